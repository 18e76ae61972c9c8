package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// A message that makes the server hang up waits; the others go.
func TestPoison(t *testing.T) {
	for window, extensions := range map[int][]string{1: {"PIPELINING"}, 10: {"PIPELINING", "CHUNKING"}} {
		t.Run(fmt.Sprint("window ", window), func(t *testing.T) { poison(t, window, extensions) })
	}
}

func poison(t *testing.T, window int, extensions []string) {
	w, s := newWorld(t, smtptest.Polite(extensions...).With("RCPT TO:<POISON", smtptest.Answer{Then: smtptest.Close}))
	w.Relay.Config.Smarthosts[0].Window = window
	w.put("s@x", "poison@x")
	for i := range 5 {
		w.put("s@x", fmt.Sprintf("r%d@x", i))
	}
	if p, err := w.Run(context.Background(), RunOptions{}); err != nil || p.Sent != 5 {
		t.Errorf("%+v %v", p, err)
	}
	if got := w.waiting("queue"); !slices.Equal(got, []string{"s@x→poison@x"}) {
		t.Errorf("waiting: %v", got)
	}
	if n := len(s.Sessions()); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A server that hangs up on everything is left alone after two connections, and
// all wait, with its words.
func TestHangsUp(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite("PIPELINING").With("MAIL", smtptest.Say("421 4.3.2 shutting down").And(smtptest.Close)))
	for i := range 20 {
		w.put("s@x", fmt.Sprintf("r%d@x", i))
	}
	p, err := w.Run(context.Background(), RunOptions{})
	var away *AwayError
	if !errors.As(err, &away) || p.Sent != 0 || p.Deferred != 20 || len(w.waiting("queue")) != 20 || len(w.waiting("active")) != 0 {
		t.Errorf("%+v %v, waiting %d", p, err, len(w.waiting("queue")))
	}
	if n := len(s.Sessions()); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A transfer that takes longer than a delivery may is ended; the message waits.
func TestSlowTransfer(t *testing.T) {
	w, _ := newWorld(t, smtptest.Polite("PIPELINING").With("_content", smtptest.Answer{Then: smtptest.Silence}))
	w.Relay.Config.Timeout = 100 * time.Millisecond
	w.put("s@x", "a@x")
	begin := time.Now()
	if p, err := w.Run(context.Background(), RunOptions{}); err != nil || p.Deferred != 1 || len(w.waiting("queue")) != 1 {
		t.Errorf("%+v %v", p, err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A spool that cannot be used is another error than a smarthost that is away.
func TestSpoolGone(t *testing.T) {
	w, _ := newWorld(t, smtptest.Polite())
	w.put("s@x", "a@x")
	if err := os.RemoveAll(w.dir + "/queue"); err != nil {
		t.Fatal(err)
	}
	var away *AwayError
	if _, err := w.Run(context.Background(), RunOptions{}); err == nil || errors.As(err, &away) {
		t.Errorf("%v", err)
	}
}

// leaving is a file system whose host goes away after some renames.
type leaving struct {
	spool.FS
	stays, asked int
}

func (l *leaving) Rename(from, to string) error {
	if l.asked++; l.asked > l.stays {
		return fmt.Errorf("rename %s: %w", from, spool.ErrAway)
	}
	return l.FS.Rename(from, to)
}

// A spool that goes away in the middle of a run ends it, with the reason: the
// messages are not asked for one by one.
func TestSpoolGoesAway(t *testing.T) {
	sink := smtptest.NewSink(t, smtptest.SinkOptions{})
	f := &leaving{FS: spooltest.NewDisk(), stays: 21}
	d, err := newDesk(t, f, sink.Port(), "ownerowner")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(fmt.Sprintf("r%d@x", i))}
		if _, err := d.Put(context.Background(), "", env, newMessage(t, "x"), nil, 0, d.now); err != nil {
			t.Fatal(err)
		}
	}
	_, err = d.Run(context.Background(), RunOptions{})
	var away *AwayError
	if !errors.Is(err, spool.ErrAway) || errors.As(err, &away) {
		t.Errorf("%v", err)
	}
	if took, _ := tally(sink); len(took) != 1 || took["r0@x"] != 1 || f.asked > f.stays+2 {
		t.Errorf("took %v, asked %d times", took, f.asked)
	}
}
