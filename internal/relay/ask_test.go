package relay

import (
	"context"
	"slices"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/smtp"
	"postern/internal/smtptest"
)

func asker(t *testing.T, script smtptest.Script) (*Asker, *smtptest.Server) {
	s := smtptest.New(t, smtptest.Options{Script: script})
	r, _ := relayTo(t, s.Port())
	return &Asker{Relay: r, Within: 5 * time.Second}, s
}

// Only what is refused for good about the address itself is told.
func TestAsker(t *testing.T) {
	script := smtptest.Polite()
	for key, reply := range map[string]string{
		"MAIL FROM:<BAD": "553 5.7.1 not yours", "MAIL FROM:<LATER": "451 4.3.0 later", "MAIL FROM:<LOGIN": "530 5.7.0 log in",
		"RCPT TO:<BAD": "550 5.1.1 no such user", "RCPT TO:<LATER": "450 4.2.0 later", "RCPT TO:<FULL": "552 5.5.3 too many recipients",
	} {
		script = script.With(key, smtptest.Say(reply))
	}
	k, s := asker(t, script)
	ctx := context.Background()
	for sender, code := range map[string]int{"bad@x": 553, "later@x": 0, "login@x": 0} {
		if e := k.Sender(ctx, sender); codeOf(e) != code {
			t.Errorf("sender %s: %v", sender, e)
		}
		// A refused sender stays so; with another there is nothing to ask in.
		if e := k.Recipient(ctx, "bad@x"); codeOf(e) != code {
			t.Errorf("recipient behind %s: %v", sender, e)
		}
	}
	for range 2 { // one connection for several messages
		if e := k.Sender(ctx, "s@x"); e != nil {
			t.Error(e)
		}
		for address, code := range map[string]int{"a@x": 0, "bad@x": 550, "later@x": 0, "full@x": 0, "ü@x": 0} {
			if e := k.Recipient(ctx, address); codeOf(e) != code {
				t.Errorf("recipient %s: %v", address, e)
			}
		}
	}
	for range 2 * maxAsked {
		k.Recipient(ctx, "a@x")
	}
	k.Close(ctx)
	s.Wait()
	if n := len(s.Sessions()); n != 1 {
		t.Errorf("%d connections", n)
	}
	asked := 0
	for _, c := range s.Sessions()[0].Commands {
		if c == "RCPT TO:<a@x>" {
			asked++
		}
	}
	if asked > maxAsked+2 || slices.Contains(s.Sessions()[0].Commands, "DATA") {
		t.Errorf("asked about %d", asked)
	}
}

func codeOf(e *smtp.Error) int {
	if e == nil {
		return 0
	}
	return e.Code
}

// A connection that is lost is made anew for the next sender; a smarthost that
// cannot be reached is not tried again, and refuses nobody.
func TestAskerWithoutSmarthost(t *testing.T) {
	k, s := asker(t, smtptest.Polite().With("RCPT TO:<LOST", smtptest.Answer{}.And(smtptest.Close)))
	ctx := context.Background()
	for range 2 {
		if e := k.Sender(ctx, "s@x"); e != nil {
			t.Error(e)
		}
		if e := k.Recipient(ctx, "lost@x"); e != nil {
			t.Error(e)
		}
		if e := k.Recipient(ctx, "bad@x"); e != nil {
			t.Error(e)
		}
	}
	if n := len(s.Sessions()); n != 2 {
		t.Errorf("%d connections", n)
	}
	k.Forget(ctx)
	s.Close()
	if e := k.Sender(ctx, "s@x"); e != nil || !k.lines[k.Relay.Config.Smarthosts[0]].blind {
		t.Error(e)
	}
	k.Close(ctx)
}

// With several smarthosts the recipients tell who is to be asked about the sender.
func TestAskerRoutes(t *testing.T) {
	w, out := newWorld(t, smtptest.Polite().With("MAIL", smtptest.Say("553 5.7.1 not yours")))
	in := w.inside(smtptest.Polite())
	w.Relay.Config.Smarthosts[1].Recipients = []config.Pattern{"*@out"}
	k := &Asker{Relay: w.Relay, Within: 5 * time.Second}
	ctx := context.Background()
	if e := k.Sender(ctx, "s@x"); e != nil || len(in.Sessions())+len(out.Sessions()) != 0 {
		t.Error(e, "too early")
	}
	for address, code := range map[string]int{"a@in": 0, "b@in": 0, "a@out": 553, "b@out": 553, "a@nowhere": 0} {
		if e := k.Recipient(ctx, address); codeOf(e) != code {
			t.Errorf("%s: %v", address, e)
		}
	}
	k.Close(ctx)
}
