package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// step is a call of one method.
type step struct {
	name string
	do   func(context.Context, *smtp.Client) (smtp.Reply, error)
	line string // on the wire
	kind error  // of a refusal
}

// steps are all methods that send one command, none of them twice.
func steps() []step {
	return []step{
		{"Ehlo", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Ehlo(ctx, "me.test") }, "EHLO me.test", smtp.ErrHello},
		{"Helo", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Helo(ctx, "me.test") }, "HELO me.test", smtp.ErrHello},
		{"Help", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) {
			_, err := c.Help(ctx)
			return smtp.Reply{}, err
		}, "HELP", smtp.ErrResponse},
		{"Noop", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Noop(ctx) }, "NOOP", smtp.ErrResponse},
		{"Verify", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Verify(ctx, "a b") }, "VRFY a b", smtp.ErrResponse},
		{"Expand", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Expand(ctx, "list", "X=1") }, "EXPN list X=1", smtp.ErrResponse},
		{"Mail", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Mail(ctx, "a@x", "SIZE=3") }, "MAIL FROM:<a@x> SIZE=3", smtp.ErrSenderRefused},
		{"Rcpt", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) {
			return c.Rcpt(ctx, "b@x", "NOTIFY=NEVER")
		}, "RCPT TO:<b@x> NOTIFY=NEVER", smtp.ErrRecipientRefused},
		{"Data", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) {
			return c.Data(ctx, smtp.Bytes([]byte(".x")))
		}, "DATA", smtp.ErrData},
		{"Reset", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Reset(ctx) }, "RSET", smtp.ErrResponse},
		{"StartTLS", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.StartTLS(ctx) }, "STARTTLS", smtp.ErrTLS},
		{"Login", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Login(ctx) }, "AUTH EXTERNAL =", smtp.ErrAuth},
		{"Quit", func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Quit(ctx) }, "QUIT", smtp.ErrResponse},
	}
}

// stepwise is a server that offers all that steps need.
func stepwise() smtptest.Script {
	return smtptest.Polite("STARTTLS", "AUTH EXTERNAL", "SIZE", "DSN", "SMTPUTF8")
}

func (r *rig) stepwise() *smtp.Client {
	r.t.Helper()
	r.cfg.Auth, r.cfg.Insecure, r.cfg.TLS = []string{"EXTERNAL"}, true, smtp.Opportunistic
	return r.connect()
}

// Each method says what it has to, after EHLO if nobody has said that, and
// brings back the answer or the refusal.
func TestSteps(t *testing.T) {
	t.Parallel()
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want := []string{"EHLO client.test", s.line}
			switch s.name {
			case "Ehlo", "Helo", "Quit": // these need nothing
				want = want[1:]
			case "StartTLS": // and what was known is forgotten
				want = append(want, want[0])
			}
			r := serve(t, stepwise())
			c := r.stepwise()
			if !c.NeedsHello() || !c.IsConnected() || c.SupportsExtension("SIZE") || c.Greeting().Text() != "smarthost.test ESMTP" {
				t.Error("something is known before EHLO")
			}
			must[smtp.Reply](t)(s.do(t.Context(), c))
			if s.name == "Quit" == c.IsConnected() || s.name != "Quit" && c.NeedsHello() {
				t.Errorf("connected %v, needs hello %v", c.IsConnected(), c.NeedsHello())
			}
			if got := c.SupportsExtension("sIZE"); got != (s.name != "Helo" && s.name != "Quit") {
				t.Errorf("SupportsExtension() = %v", got)
			}
			r.wantHeard(want...)

			// A refusal does not end the connection, and a farewell does. Neither
			// concerns the EHLO in front.
			verb, _, _ := strings.Cut(s.line, " ")
			for _, code := range []string{"450 4.0.0", "550 5.0.0", "334", "421 4.0.0"} {
				r := serve(t, stepwise().With(verb, smtptest.Say(code+" because")))
				c := r.stepwise()
				_, err := s.do(t.Context(), c)
				var e *smtp.Error
				switch {
				case s.name == "Quit" && code[:3] == "421": // as good as any other end
					if err != nil {
						t.Error(err)
					}
				case s.name == "Login" && code == "334": // a challenge
					mustBe(t, err, smtp.ErrAuthUnavailable)
				case !errors.As(r.diary.note(err), &e) || fmt.Sprint(e.Code) != code[:3] || !errors.Is(err, s.kind):
					t.Errorf("%v is not %s, %v", err, code, s.kind)
				}
				alive := code[:3] != "421" && s.name != "Quit"
				if c.IsConnected() != alive {
					t.Errorf("%s: IsConnected() = %v", code, !alive)
				}
				if _, again := c.Execute(t.Context(), "NOOP"); (again == nil) != alive || code[:3] == "421" && err != nil && again.Error() != err.Error() {
					t.Errorf("%v after %v", again, err)
				}
			}
		})
	}
}

// HELO is for servers that do not know EHLO, unless what only EHLO brings is
// needed, or the server said goodbye.
func TestHeloFallBack(t *testing.T) {
	t.Parallel()
	login := func(c *smtp.Config) { c.Username, c.Secret = testUser, giveSecret }
	for name, test := range map[string]struct {
		ehlo, helo string
		configure  func(*smtp.Config)
		heard      []string
		code       int
	}{
		"unknown":        {ehlo: "502 5.5.1 what?", helo: "250 hi", heard: []string{"EHLO", "HELO"}},
		"temporary":      {ehlo: "451 4.3.0 later", helo: "250 hi", heard: []string{"EHLO", "HELO"}},
		"neither":        {ehlo: "502 5.5.1 what?", helo: "550 5.7.1 no", heard: []string{"EHLO", "HELO"}, code: 550},
		"farewell":       {ehlo: "421 4.3.2 off", heard: []string{"EHLO"}, code: 421},
		"TLS is needed":  {ehlo: "502 what?", configure: func(c *smtp.Config) { c.TLS = smtp.Required }, heard: []string{"EHLO"}, code: 502},
		"login is asked": {ehlo: "502 what?", configure: login, heard: []string{"EHLO"}, code: 502},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, smtptest.Polite("SIZE").With("EHLO", smtptest.Say(test.ehlo)).With("HELO", smtptest.Say(test.helo)))
			if test.configure != nil {
				test.configure(&r.cfg)
			}
			if test.code != 0 {
				var e *smtp.Error
				if err := r.dialFails(smtp.ErrHello); !errors.As(err, &e) || e.Code != test.code {
					t.Errorf("%v", err)
				}
			} else if c := r.dial(); c.Hello().Text() != "hi" || len(c.Extensions().Names()) > 0 {
				t.Errorf("%v, %v", c.Hello(), c.Extensions())
			}
			var verbs []string
			for _, command := range r.heard(0).Commands {
				verbs = append(verbs, command[:4])
			}
			if !slices.Equal(verbs, test.heard) {
				t.Errorf("the server heard %q", verbs)
			}
		})
	}
}

// What came without being asked for must not be the answer to what is asked next.
func TestUnsolicited(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		kind error
		code int
	}{
		"a reply":    {"250 2.0.0 ok\r\n250 2.0.0 again\r\n", smtp.ErrProtocol, smtp.CodeInvalidResponse},
		"a refusal":  {"250 2.0.0 ok\r\n550 5.0.0 no\r\n", smtp.ErrProtocol, smtp.CodeInvalidResponse},
		"garbage":    {"250 2.0.0 ok\r\nhello\r\n", smtp.ErrProtocol, smtp.CodeInvalidResponse},
		"a farewell": {"250 2.0.0 ok\r\n421 4.3.2 off\r\n", smtp.ErrDisconnected, 421},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, smtptest.Polite().With("NOOP", smtptest.Answer{Text: test.text}))
			c := r.dial()
			must[smtp.Reply](t)(c.Noop(t.Context()))
			_, err := c.Mail(t.Context(), "a@x.example")
			mustBe(t, r.diary.note(err), test.kind)
			var e *smtp.Error
			if !errors.As(err, &e) || e.Code != test.code || e.Stage != smtp.StageMail || c.IsConnected() {
				t.Errorf("%#v", err)
			}
			r.wantHeard("EHLO client.test", "NOOP")
		})
	}
}

// The end of the context ends any wait, and the connection with it.
func TestCancel(t *testing.T) {
	t.Parallel()
	all := slices.DeleteFunc(steps(), func(s step) bool { return s.name == "Login" }) // NewClient does that itself
	login := func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) {
		return c.AuthPlain(ctx, testUser, testSecret)
	}
	data := func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Data(ctx, smtp.Bytes(nil)) }
	all = append(all, step{name: "AuthPlain", line: "AUTH", do: login}, step{name: "content", line: "_content", do: data})
	for _, s := range all {
		verb, _, _ := strings.Cut(s.line, " ")
		answers := []smtptest.Answer{{Then: smtptest.Silence}}
		if verb == "EHLO" { // NewClient says the first
			answers = append(stepwise()[verb], answers...)
		}
		for _, deadline := range []bool{false, true} {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := serveOver(t, stepwise().With(verb, answers...))
					r.cfg.AllowPlaintextAuth = true
					c := r.dial()
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					began, got := time.Now(), make(chan error, 1)
					go func() {
						_, err := s.do(ctx, c)
						got <- r.diary.note(err)
					}()
					want, waited := context.Canceled, time.Duration(0)
					if deadline { // sooner than that of a command
						want, waited = smtp.ErrTimeout, time.Second
					} else {
						synctest.Wait() // until nothing goes on any more
						cancel()
					}
					err := <-got
					mustBe(t, err, want)
					if d := time.Since(began); d != waited {
						t.Errorf("after %v", d)
					}
					if _, again := c.Noop(t.Context()); s.name != "Quit" && again != err {
						t.Errorf("%v after %v", again, err)
					}
					if c.IsConnected() {
						t.Error("still connected")
					}
				})
			})
		}
	}
}
