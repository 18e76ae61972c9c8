package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"postern/internal/maillog"
	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// windowed gives a desk a window, and messages.
func (d *desk) windowed(t *testing.T, window int, recipients ...string) {
	t.Helper()
	d.Relay.Config.Smarthosts[0].Window = window
	for _, to := range recipients {
		env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(to)}
		if _, err := d.Put(context.Background(), "", env, newMessage(t, "x"), nil, 0, d.now); err != nil {
			t.Fatal(err)
		}
	}
}

// crowdOf are recipients r0@x, r1@x …
func crowdOf(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("r%d@x", i))
	}
	return all
}

// swift is a server that answers all that comes in one segment in one segment, behind
// a line.
func swift(t *testing.T, o smtptest.ProxyOptions) *smtptest.Proxy {
	t.Helper()
	s, err := smtptest.StartSwift(smtptest.SwiftOptions{Chunking: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return smtptest.NewProxy(t, s.Addr(), o)
}

// What came in one burst is written down with one sync, and is gone before anything
// more is sent: 2 messages alone, 10 flights of 10, the goodbye.
func TestBurstsShareASync(t *testing.T) {
	line := swift(t, smtptest.ProxyOptions{})
	steps := spooltest.NewSteps(spooltest.NewDisk(), -1, spooltest.Refuse, nil)
	d, err := newDesk(t, steps, line.Port(), "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	d.windowed(t, 10, crowdOf(102)...)
	before := len(steps.Log())
	if p, err := d.Run(context.Background(), RunOptions{}); err != nil || p.Sent != 102 {
		t.Fatalf("%+v %v", p, err)
	}
	var order []string // of removals and syncs
	for _, step := range steps.Log()[before:] {
		if what, ok := strings.CutSuffix(step, " active"); ok && (what == "remove" || what == "syncdir") {
			order = append(order, what)
		}
	}
	want := strings.Repeat("remove syncdir ", 2) + strings.Repeat(strings.Repeat("remove ", 10)+"syncdir ", 10)
	if got := strings.Join(order, " ") + " "; got != want {
		t.Errorf("%q", got)
	}
	if n := line.Turnarounds(); n != 1+2+10+1 {
		t.Errorf("%d times waited", n)
	}
}

// disturbBurst runs a queue with a window in which a step of the file system goes
// wrong, and runs it again without.
func disturbBurst(t *testing.T, aside bool, at int, kind spooltest.Kind, fault error) disturbed {
	t.Helper()
	refuse := map[string]*gosmtp.SMTPError{
		"bad@x":   {Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such user"},
		"later@x": {Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 7, 1}, Message: "later"},
	}
	one := smtptest.NewSink(t, smtptest.SinkOptions{Refuse: refuse})
	two := smtptest.NewSink(t, smtptest.SinkOptions{Refuse: map[string]*gosmtp.SMTPError{"bad@x": refuse["bad@x"]}})
	f := spooltest.NewDisk()
	setup, err := newDesk(t, f, one.Port(), "setupsetup")
	if err != nil {
		t.Fatal(err)
	}
	setup.windowed(t, 3, "r0@x", "r1@x", "r2@x", "bad@x", "r3@x", "later@x", "r4@x")
	steps := spooltest.NewSteps(f, at, kind, fault)
	if first, err := newDesk(t, steps, one.Port(), "firstfirst"); err == nil {
		first.aside, first.Relay.Config.Smarthosts[0].Window = aside, 3
		// What goes wrong is seen by what is left.
		_, _ = first.Run(context.Background(), RunOptions{DueOnly: true})
	}
	return afterwards(t, f, steps, one, two)
}

// Whatever step fails while a burst is written down, nobody gets a message twice, who
// did not get it is in the spool still, and one failure does not touch the others.
func TestBurstFaults(t *testing.T) {
	for _, fault := range []struct {
		kind spooltest.Kind
		err  error
	}{{spooltest.Refuse, syscall.EIO}, {spooltest.Late, syscall.EIO}, {spooltest.Full, syscall.ENOSPC}} {
		hereAndFar(t, fault.kind.String(), func(t *testing.T, aside bool) {
			for n, more := 0, true; more; n += 3 {
				d := disturbBurst(t, aside, n, fault.kind, fault.err)
				more = n < d.steps
				for _, to := range append(crowdOf(5), "later@x") {
					if d.took[to] > 1 || d.took[to] == 0 && len(d.held) == 0 {
						t.Errorf("step %d: %s got it %d times; held %v", n, to, d.took[to], d.held)
					}
				}
				if d.reports != 1 && len(d.held) == 0 || d.reports > 1 {
					t.Errorf("step %d: %d reports", n, d.reports)
				}
				if len(d.leftover) > 0 {
					t.Errorf("step %d: left: %v", n, d.leftover)
				}
			}
		})
	}
}

// unsynced is a disk on which the removal of what was sent cannot be made durable.
type unsynced struct{ spool.FS }

func (u unsynced) SyncDir(dir string) error {
	if dir == "active" {
		return syscall.EIO
	}
	return u.FS.SyncDir(dir)
}

// That is in the log, and makes nobody send again what is gone.
func TestBurstNotSynced(t *testing.T) {
	sink := smtptest.NewSink(t, smtptest.SinkOptions{})
	d, err := newDesk(t, unsynced{spooltest.NewDisk()}, sink.Port(), "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	d.Relay.Log = maillog.Open(maillog.Options{To: "stderr", Stderr: &log, Now: time.Now})
	d.windowed(t, 3, crowdOf(8)...)
	if p, err := d.Run(context.Background(), RunOptions{}); err != nil || p.Sent != 8 {
		t.Errorf("%+v %v", p, err)
	}
	if n := len(sink.Deliveries()); n != 8 {
		t.Errorf("%d came", n)
	}
	if all, _, err := d.Spool.All(); err != nil || len(all) != 0 {
		t.Errorf("left %v %v", all, err)
	}
	if text := log.String(); !strings.Contains(text, "input/output error; a power cut could bring back what was sent") {
		t.Errorf("the log: %s", text)
	}
}

// A burst that ends with the connection: what was answered is done with, what was not
// waits with the word that it may have been delivered, and goes again later.
func TestBurstCutOff(t *testing.T) {
	const n, window = 12, 4
	for heard := 1; heard < n; heard++ { // of the answers to contents
		t.Run(fmt.Sprint(heard), func(t *testing.T) {
			t.Parallel()
			var answers []smtptest.Answer
			for i := range n {
				answers = append(answers, smtptest.Say(fmt.Sprintf("250 2.0.0 queued as Q%d", i+1)))
			}
			w, s := newWorld(t, smtptest.Polite("PIPELINING", "CHUNKING").With("_content", answers...))
			line := smtptest.NewProxy(t, s.Addr(), smtptest.ProxyOptions{CutBefore: fmt.Sprintf("250 2.0.0 queued as Q%d\r\n", heard+1)})
			h := w.Relay.Config.Smarthosts[0]
			h.Port, h.Window, h.CommandTimeout = line.Port(), window, 2*time.Second
			for i := range n {
				w.put("s@x", fmt.Sprintf("r%d@x", i))
			}
			p := w.run()
			maybe := 0
			entries, _, err := w.Spool.List("queue")
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				state, err := w.Spool.Read(e)
				if err != nil {
					t.Fatal(err)
				}
				if state.Recipients[0].Maybe {
					maybe++
				}
			}
			if len(entries) != p.Deferred || p.Sent+p.Deferred != n || p.Sent < heard || maybe < 1 || maybe > window {
				t.Errorf("%+v, %d wait, %d of them maybe delivered", p, len(entries), maybe)
			}
		})
	}
}

// meeting is a disk on which the removals after the first two wait for each other.
type meeting struct {
	spool.FS
	mu   sync.Mutex
	n    int
	want int
	all  chan bool
}

func (m *meeting) Remove(name string) error {
	if !strings.HasPrefix(name, "active/") {
		return m.FS.Remove(name)
	}
	m.mu.Lock()
	m.n++
	n := m.n - 2
	m.mu.Unlock()
	if n == m.want {
		close(m.all)
	}
	if n > 0 {
		select {
		case <-m.all:
		case <-time.After(5 * time.Second):
			return errors.New("the others of the burst are not removed meanwhile")
		}
	}
	return m.FS.Remove(name)
}

// On a spool that is far away, where each removal waits for its answer, those of a
// burst go side by side.
func TestBurstFarAway(t *testing.T) {
	line := swift(t, smtptest.ProxyOptions{})
	disk := &meeting{FS: spooltest.NewDisk(), want: 4, all: make(chan bool)}
	d, err := newDesk(t, disk, line.Port(), "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	d.Relay.Log = maillog.Open(maillog.Options{To: "stderr", Stderr: &log, Now: time.Now})
	d.aside = true
	d.windowed(t, 4, crowdOf(6)...)
	if p, err := d.Run(context.Background(), RunOptions{}); err != nil || p.Sent != 6 || strings.Contains(log.String(), "the others") {
		t.Errorf("%+v %v: %s", p, err, log.String())
	}
}
