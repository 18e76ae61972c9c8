package relay

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"postern/internal/maillog"
	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// absent is a file system whose host is away for a while, from the first removal
// of a message on: that is when a server has it and nothing says so yet.
type absent struct {
	spool.FS
	away  int    // how many calls fail
	done  bool   // the first one takes place before it fails
	each  func() // told at each call that fails
	began bool
}

func (a *absent) fails(name string) bool {
	if !a.began || a.away == 0 {
		return false
	}
	a.away--
	a.each()
	return true
}

func (a *absent) Remove(name string) error {
	if strings.HasPrefix(name, "active/") {
		if !a.began && a.done {
			if err := a.FS.Remove(name); err != nil {
				return err
			}
		}
		a.began = true
	}
	if a.fails(name) {
		return fmt.Errorf("remove: %w", spool.ErrAway)
	}
	return a.FS.Remove(name)
}

func (a *absent) Append(name string) (spool.File, error) {
	if a.fails(name) {
		return nil, fmt.Errorf("append: %w", spool.ErrAway)
	}
	return a.FS.Append(name)
}

func (a *absent) Rename(from, to string) error {
	if a.fails(from) {
		return &fs.PathError{Op: "rename", Path: from, Err: spool.ErrAway}
	}
	return a.FS.Rename(from, to)
}

// The spool's host goes away between the server's 250 and the removal of the
// message: when it is back in time the message does not go twice. If it stays away
// that is told, and the run ends.
func TestSpoolAwayAfterSending(t *testing.T) {
	for _, tt := range []struct {
		why  string
		away int
		done bool
		took int
		says string
	}{
		{"back at once", 1, false, 1, "remove: "},
		{"back after a while", 3, false, 1, "remove: "},
		{"the removal took place", 3, true, 1, "remove: "},
		{"it stays away", 1 << 30, false, 2, "they will get it again"},
	} {
		sink := smtptest.NewSink(t, smtptest.SinkOptions{})
		f := &absent{FS: spooltest.NewDisk(), away: tt.away, done: tt.done}
		d, err := newDesk(t, f, sink.Port(), "ownerowner")
		if err != nil {
			t.Fatal(err)
		}
		f.each = func() {
			if tt.away > 100 { // the clock goes on
				d.now = d.now.Add(20 * time.Second)
			}
		}
		log := &strings.Builder{}
		d.Relay.Log = maillog.Open(maillog.Options{To: "stderr", Stderr: log, Now: time.Now})
		env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x")}
		if _, err := d.Put(context.Background(), "", env, newMessage(t, "x"), nil, 0, d.now); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Run(context.Background(), RunOptions{}); err != nil && tt.away < 100 {
			t.Errorf("%s: %v", tt.why, err)
		}
		f.away = 0
		// The next runner, after the claim has lapsed.
		next, err := newDesk(t, f.FS, sink.Port(), "otherother", "ownerowner")
		if err != nil {
			t.Fatal(err)
		}
		next.now = d.now.Add(48 * time.Hour)
		if _, err := next.Run(context.Background(), RunOptions{}); err != nil {
			t.Errorf("%s: %v", tt.why, err)
		}
		took, _ := tally(sink)
		if took["a@x"] != tt.took || !strings.Contains(log.String(), tt.says) {
			t.Errorf("%s: taken %d times, want %d; the log has\n%s", tt.why, took["a@x"], tt.took, log)
		}
		if all, _, err := next.Spool.All(); err != nil || len(all) != 0 {
			t.Errorf("%s: left %v, %v", tt.why, all, err)
		}
	}
}
