package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/smtptest"
)

// crowd is a queue with work for four connections.
func crowd(t *testing.T, script smtptest.Script) (*world, *smtptest.Server) {
	t.Helper()
	w, s := newWorld(t, script)
	w.Relay.Config.Smarthosts[0].MaxConnections = 4
	for i := range 40 {
		w.put("s@x", fmt.Sprintf("r%d@x", i))
	}
	return w, s
}

// made is a script in which f gives the answer to something.
func made(script smtptest.Script, key string, f func(said string) smtptest.Answer) smtptest.Script {
	return script.With(key, smtptest.Answer{Make: func(said string, _ *tls.ConnectionState) smtptest.Answer { return f(said) }})
}

// The others connect when the probe was greeted, and have heard their greeting when
// it is ready; not before that do they say anything.
func TestOthersConnectEarly(t *testing.T) {
	polite := smtptest.Polite("PIPELINING")
	var greeted, hellos atomic.Int32
	all := make(chan bool)
	var s *smtptest.Server
	script := made(polite, "_banner", func(string) smtptest.Answer {
		if greeted.Add(1) == 4 {
			close(all)
		}
		return polite["_banner"][0]
	})
	script = made(script, "EHLO", func(string) smtptest.Answer {
		if hellos.Add(1) > 1 {
			return polite["EHLO"][0]
		}
		select {
		case <-all:
		case <-time.After(5 * time.Second):
			t.Error("the others wait for more than the greeting of the probe")
		}
		for i, session := range s.Sessions() {
			if said := session.Commands; (len(said) > 0) != (i == 0) {
				t.Errorf("connection %d says %q before the probe is ready", i, said)
			}
		}
		return polite["EHLO"][0]
	})
	w, server := crowd(t, script)
	s = server
	if p := w.run(); p.Sent != 40 || len(s.Sessions()) != 4 {
		t.Errorf("%+v over %d connections", p, len(s.Sessions()))
	}
}

// What the probe meets when it proves who it is, the others do not meet: with a
// login they wait for it to the end.
func TestOthersWaitForLogin(t *testing.T) {
	polite := smtptest.Polite("PIPELINING", "AUTH PLAIN")
	var s *smtptest.Server
	var logins atomic.Int32
	w, server := crowd(t, made(polite, "AUTH", func(string) smtptest.Answer {
		if n := len(s.Sessions()); logins.Add(1) == 1 && n != 1 {
			t.Errorf("%d connections before the probe has logged in", n)
		}
		return polite["AUTH"][0]
	}))
	s = server
	h := w.Relay.Config.Smarthosts[0]
	h.Username, h.Secret = "me", config.NewSecret("secret")
	if p := w.run(); p.Sent != 40 || len(s.Sessions()) != 4 {
		t.Errorf("%+v over %d connections", p, len(s.Sessions()))
	}
}

// A smarthost that is of no use now is not knocked at by all, and all wait for it.
func TestOneKnock(t *testing.T) {
	polite := smtptest.Polite("PIPELINING", "AUTH PLAIN")
	for _, test := range []struct {
		why    string
		script smtptest.Script
		login  bool
		most   int // connections
	}{
		{"no greeting", polite.With("_banner", smtptest.Answer{Then: smtptest.Close}), false, 1},
		{"it sends everybody off", polite.With("_banner", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)), false, 1},
		{"it wants nobody", polite.With("_banner", smtptest.Say("554 5.3.2 no mail here")), false, 1},
		{"an account that is refused", polite.With("AUTH", smtptest.Say("535 5.7.8 wrong password")), true, 1},
		{"an account that is refused for now", polite.With("AUTH", smtptest.Say("454 4.7.0 later")), true, 1},
		{"no hello, before a login", polite.With("EHLO", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)), true, 1},
		// These have heard a greeting and have said nothing.
		{"no hello", polite.With("EHLO", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)), false, 4},
	} {
		t.Run(test.why, func(t *testing.T) {
			t.Parallel()
			w, s := crowd(t, test.script)
			if test.login {
				h := w.Relay.Config.Smarthosts[0]
				h.Username, h.Secret = "me", config.NewSecret("secret")
			}
			p, err := w.Run(context.Background(), RunOptions{})
			var away *AwayError
			if !errors.As(err, &away) || p.Deferred != 40 || len(w.waiting("queue")) != 40 || len(w.waiting("active")) != 0 {
				t.Errorf("%+v %v; %d wait", p, err, len(w.waiting("queue")))
			}
			s.Wait()
			sessions := s.Sessions()
			if n := len(sessions); n < 1 || n > test.most {
				t.Errorf("%d connections, want %d", n, test.most)
			}
			said := 0
			for _, one := range sessions {
				if len(one.Commands) > 0 {
					said++
				}
			}
			if said > 1 {
				t.Errorf("something was said on %d connections", said)
			}
		})
	}
}
