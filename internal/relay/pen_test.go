package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// watched is a file system on which a removal takes until the next message is
// opened to be sent, and that looks at the server before the removal is durable.
type watched struct {
	spool.FS
	t      *testing.T
	server *smtptest.Server

	mu      sync.Mutex
	opened  int // files in active/
	removed int
	more    chan bool // one more was opened
}

func (w *watched) Open(name string) (spool.Source, error) {
	if strings.HasPrefix(name, "active/") {
		w.mu.Lock()
		w.opened++
		w.mu.Unlock()
		select {
		case w.more <- true:
		default:
		}
	}
	return w.FS.Open(name)
}

// Remove of message k of n waits until message k+1 was opened a second time: once to
// read its state, and once to send it.
func (w *watched) Remove(name string) error {
	if !strings.HasPrefix(name, "active/") {
		return w.FS.Remove(name)
	}
	w.mu.Lock()
	w.removed++
	k := w.removed
	w.mu.Unlock()
	late := time.After(5 * time.Second)
	for k < pennedMessages {
		w.mu.Lock()
		opened := w.opened
		w.mu.Unlock()
		if opened >= 2*(k+1) {
			break
		}
		select {
		case <-w.more:
		case <-late:
			w.t.Errorf("message %d is not opened while message %d is removed", k+1, k)
			return w.FS.Remove(name)
		}
	}
	return w.FS.Remove(name)
}

func (w *watched) SyncDir(dir string) error {
	if dir == "active" {
		w.mu.Lock()
		k := w.removed
		w.mu.Unlock()
		if n := len(w.server.Sessions()[0].Messages); n != k {
			w.t.Errorf("the server has %d messages before the removal of message %d is durable", n, k)
		}
	}
	return w.FS.SyncDir(dir)
}

const pennedMessages = 5

// On a spool that is far away the next message is read while the one before is
// removed; it is not sent to its end before that is durable.
func TestPenGoesOn(t *testing.T) {
	s := smtptest.New(t, smtptest.Options{Script: smtptest.Polite("PIPELINING")})
	f := &watched{FS: spooltest.NewDisk(), t: t, server: s, more: make(chan bool, 1)}
	d, err := newDesk(t, f, s.Port(), "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	d.aside = true
	for i := range pennedMessages {
		env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(fmt.Sprintf("r%d@x", i))}
		if _, err := d.Put(context.Background(), "", env, newMessage(t, "x"), nil, 0, d.now); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := d.Run(context.Background(), RunOptions{}); err != nil || p.Sent != pennedMessages || f.removed != pennedMessages {
		t.Errorf("%+v %v, %d removed", p, err, f.removed)
	}
}

// frozen is a disk on which nothing changes any more once a message was sent.
type frozen struct {
	spool.FS
	mu   sync.Mutex
	sent bool
}

func (f *frozen) broken() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sent {
		return syscall.EROFS
	}
	return nil
}

func (f *frozen) Remove(name string) error {
	if !strings.HasPrefix(name, "active/") {
		return f.FS.Remove(name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = true
	return syscall.EROFS
}

func (f *frozen) Rename(from, to string) error {
	if err := f.broken(); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *frozen) Append(name string) (spool.File, error) {
	if err := f.broken(); err != nil {
		return nil, err
	}
	return f.FS.Append(name)
}

// When not even that a message was sent can be written down, the next one is not
// sent to its end.
func TestPenBroken(t *testing.T) {
	s := smtptest.New(t, smtptest.Options{Script: smtptest.Polite("PIPELINING")})
	disk := spooltest.NewDisk()
	d, err := newDesk(t, &frozen{FS: disk}, s.Port(), "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	d.aside = true
	for i := range 3 {
		env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(fmt.Sprintf("r%d@x", i))}
		if _, err := d.Put(context.Background(), "", env, newMessage(t, "x"), nil, 0, d.now); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := d.Run(context.Background(), RunOptions{}); p.Sent != 1 {
		t.Errorf("%+v %v", p, err)
	}
	s.Wait()
	got := 0
	for _, session := range s.Sessions() {
		got += len(session.Messages)
	}
	later := smtptest.NewSink(t, smtptest.SinkOptions{})
	next, err := newDesk(t, disk, later.Port(), "laterlater", "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := next.Run(context.Background(), RunOptions{}); err != nil {
		t.Error(err)
	}
	if again := later.Deliveries(); got != 1 || len(again) != 3 {
		t.Errorf("%d came before, %d later", got, len(again))
	}
}

// The last octet of a message waits, and no other; a failure comes in its place.
func TestOrderly(t *testing.T) {
	for _, text := range []string{"", "x", "0123456789"} {
		for _, size := range []int{1, 3, 10, 100} {
			for _, failure := range []error{nil, syscall.EROFS} {
				synctest.Test(t, func(t *testing.T) { readOrderly(t, text, size, failure) })
			}
		}
	}
}

// readOrderly reads a text by pieces while something is written for an hour.
func readOrderly(t *testing.T, text string, size int, failure error) {
	p := &pen{}
	p.write(func() error { time.Sleep(time.Hour); return failure })
	began := time.Now()
	r, err := orderly{textMessage(text), p}.Open()
	if err != nil {
		t.Fatal(err)
	}
	got, buf := 0, make([]byte, size)
	for err == nil {
		var n int
		n, err = r.Read(buf)
		got += n
		if waited := time.Since(began) > 0; waited != (got == len(text) || err != nil) {
			t.Errorf("%q by %d: %d octets given out, waited %v", text, size, got, waited)
		}
	}
	if failure == nil && (err != io.EOF || got != len(text)) || failure != nil && (!errors.Is(err, failure) || got >= max(1, len(text))) {
		t.Errorf("%q by %d: %d octets, %v", text, size, got, err)
	}
}

type textMessage string

func (m textMessage) Size() int64 { return int64(len(m)) }
func (m textMessage) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(m))), nil
}
