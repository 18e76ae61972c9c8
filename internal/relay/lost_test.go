package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"postern/internal/smtptest"
)

// A message that makes the server hang up waits; the others go.
func TestPoison(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite("PIPELINING").With("RCPT TO:<POISON", smtptest.Answer{Then: smtptest.Close}))
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
