package smtp_test

import (
	"context"
	"errors"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// Greeted is called when a server has greeted, and before anything is said to it; a
// server that sends us off has not greeted.
func TestGreeted(t *testing.T) {
	t.Parallel()
	busy := serve(t, smtptest.Polite().With("_banner", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)))
	r := serve(t, smtptest.Polite("PIPELINING"))
	called := 0
	r.cfg.Greeted = func(context.Context) {
		called++
		if said := r.Sessions()[0].Commands; len(said) > 0 {
			t.Errorf("before: %q", said)
		}
	}
	c, err := smtp.Dial(t.Context(), r.cfg)
	if err != nil || called != 1 {
		t.Fatalf("%v, called %d times", err, called)
	}
	c.Close()
	r.cfg.Port = busy.Port()
	if _, err := smtp.Dial(t.Context(), r.cfg); err == nil || called != 1 {
		t.Errorf("%v, called %d times", err, called)
	}
}

// Who gives up while Greeted holds the connection has said nothing, and tries no
// other server.
func TestGreetedInVain(t *testing.T) {
	t.Parallel()
	r := serve(t, smtptest.Polite("PIPELINING"))
	r.cfg.Hosts = []string{"127.0.0.1", "127.0.0.1"}
	ctx, cancel := context.WithCancel(t.Context())
	r.cfg.Greeted = func(ctx context.Context) {
		cancel()
		<-ctx.Done()
	}
	if _, err := smtp.Dial(ctx, r.cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	r.Wait()
	if all := r.Sessions(); len(all) != 1 || len(all[0].Commands) > 0 {
		t.Errorf("%d connections, said %q", len(all), all[0].Commands)
	}
}
