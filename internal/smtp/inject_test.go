package smtp_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// Text that could end a command and begin another, or change what a server or a
// terminal makes of it.
func controls() []string {
	return []string{"a\r\nRSET", "a\nRSET", "a\rRSET", "\r\n", "a\x00", "a\x1b[2J", "a\x7f", "a\tb", "ä\u0085b"}
}

// No argument of any method can bring a command of its own: it is refused, and
// nothing is written.
func TestInjection(t *testing.T) {
	t.Parallel()
	paths := append(controls(), "a@x> SIZE=1", "a@x>\r\nRSET", "<a@x", "a b@x")
	words := append(controls(), "A B", "")
	type call = func(context.Context, *smtp.Client, string) (smtp.Reply, error)
	send := func(edit func(*smtp.Envelope, string)) call {
		return func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) {
			e := smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x")}
			edit(&e, bad)
			result, err := c.Send(ctx, e, smtp.Bytes([]byte("x: y\n")))
			return result.Reply, err
		}
	}
	for name, test := range map[string]struct {
		bad []string
		do  call
	}{
		"Ehlo":   {append(controls(), "a b"), func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) { return c.Ehlo(ctx, bad) }},
		"Helo":   {append(controls(), "a b"), func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) { return c.Helo(ctx, bad) }},
		"Verify": {append(controls(), ""), func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) { return c.Verify(ctx, bad) }},
		"Verify, option": {words, func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) {
			return c.Verify(ctx, "a", bad)
		}},
		"Expand": {append(controls(), ""), func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) { return c.Expand(ctx, bad) }},
		"Expand, option": {words, func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) {
			return c.Expand(ctx, "a", bad)
		}},
		"Mail": {paths, func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) { return c.Mail(ctx, bad) }},
		"Mail, option": {words, func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) {
			return c.Mail(ctx, "a@x", bad)
		}},
		"Rcpt": {append(paths, ""), func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) { return c.Rcpt(ctx, bad) }},
		"Rcpt, option": {words, func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) {
			return c.Rcpt(ctx, "a@x", bad)
		}},
		"Execute": {append(controls(), "", " "), func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) { return c.Execute(ctx, bad) }},
		"Execute, second": {controls(), func(ctx context.Context, c *smtp.Client, bad string) (smtp.Reply, error) {
			return c.Execute(ctx, "NOOP", bad)
		}},
		"sender":      {paths, send(func(e *smtp.Envelope, bad string) { e.Sender = bad })},
		"recipient":   {append(paths, ""), send(func(e *smtp.Envelope, bad string) { e.Recipients[0].Address = bad })},
		"MAIL option": {words, send(func(e *smtp.Envelope, bad string) { e.Options = []string{bad} })},
		"RCPT option": {words, send(func(e *smtp.Envelope, bad string) { e.Recipients[0].Options = []string{bad} })},
		"NOTIFY":      {append(controls(), "A B"), send(func(e *smtp.Envelope, bad string) { e.Recipients[0].Notify = bad })},
		"ORCPT":       {controls(), send(func(e *smtp.Envelope, bad string) { e.Recipients[0].Original = bad })},
		"RET":         {append(controls(), "A B"), send(func(e *smtp.Envelope, bad string) { e.Return = bad })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, stepwise())
			c := r.dial()
			for _, bad := range test.bad {
				if name == "ORCPT" && !strings.ContainsAny(bad, "\r\n\x00") {
					continue // has a coding for it (RFC 3461 4)
				}
				_, err := test.do(t.Context(), c, bad)
				if !errors.Is(r.diary.note(err), smtp.ErrInvalid) || smtp.Temporary(err) {
					t.Errorf("%q: %v", bad, err)
				}
				if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
					t.Errorf("%q: %q acts on a terminal", bad, err)
				}
				if !c.IsConnected() {
					t.Fatalf("%q: not connected", bad)
				}
			}
			r.wantHeard("EHLO client.test")
		})
	}
}

// Nor can an option: Dial does not even connect.
func TestInjectionByConfig(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*smtp.Config, string){
		"LocalName": func(c *smtp.Config, bad string) { c.LocalName = bad },
		"Hosts":     func(c *smtp.Config, bad string) { c.Hosts = []string{bad} },
		"Auth":      func(c *smtp.Config, bad string) { c.Auth = []string{bad} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, stepwise())
			for _, bad := range controls() {
				cfg := r.cfg
				edit(&cfg, bad)
				_, err := smtp.Dial(t.Context(), cfg)
				mustBe(t, err, smtp.ErrInvalid)
			}
			if n := len(r.Sessions()); n > 0 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

// PLAIN has NUL between its fields, so that it cannot be in one (RFC 4616 2).
func TestInjectionIntoPlain(t *testing.T) {
	t.Parallel()
	r := serve(t, smtptest.Polite("AUTH PLAIN"))
	c := r.dial()
	for _, login := range [][2]string{{"a\x00admin", "pw"}, {"a", "p\x00w"}} {
		_, err := c.AuthPlain(t.Context(), login[0], login[1])
		mustBe(t, err, smtp.ErrAuthUnavailable)
	}
	r.wantHeard("EHLO client.test")
}

// Addresses and options that need what the server does not offer.
func TestStepsUnsupported(t *testing.T) {
	t.Parallel()
	r := serve(t, smtptest.Polite())
	c := r.dial()
	ctx := t.Context()
	for name, do := range map[string]func() (smtp.Reply, error){
		"Mail":           func() (smtp.Reply, error) { return c.Mail(ctx, "ü@x.example") },
		"Mail, option":   func() (smtp.Reply, error) { return c.Mail(ctx, "u@x.example", "smtputf8") },
		"Rcpt":           func() (smtp.Reply, error) { return c.Rcpt(ctx, "ü@x.example") },
		"Verify":         func() (smtp.Reply, error) { return c.Verify(ctx, "ü") },
		"Expand, option": func() (smtp.Reply, error) { return c.Expand(ctx, "u", "SMTPUTF8") },
	} {
		if _, err := do(); !errors.Is(r.diary.note(err), smtp.ErrUTF8) || !errors.Is(err, smtp.ErrNotSupported) || smtp.Temporary(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := c.StartTLS(ctx)
	mustBe(t, err, smtp.ErrTLS, smtp.ErrNotOffered)
	r.wantHeard("EHLO client.test")

	r = serve(t, stepwise())
	c = r.dial()
	must[smtp.Reply](t)(c.Mail(ctx, "ü@x.example", "SIZE=1"))
	must[smtp.Reply](t)(c.Rcpt(ctx, "ü@x.example"))
	must[smtp.Reply](t)(c.Verify(ctx, "ü", "SMTPUTF8"))
	r.wantHeard("EHLO client.test", "MAIL FROM:<ü@x.example> SIZE=1 SMTPUTF8", "RCPT TO:<ü@x.example>", "VRFY ü SMTPUTF8")
}

// A goodbye closes the connection, whatever the server makes of it.
func TestQuit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer smtptest.Answer
		code   int // 0 for an error
	}{
		"polite":  {smtptest.Say("221 2.0.0 bye"), 221},
		"250":     {smtptest.Say("250 2.0.0 bye"), 250},
		"gone":    {smtptest.Answer{Then: smtptest.Close}, 221}, // it has done what we wanted
		"refused": {smtptest.Say("502 5.5.1 stay"), 0},
		"garbage": {smtptest.Say("bye"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, smtptest.Polite().With("QUIT", test.answer))
			c := r.dial()
			reply, err := c.Quit(t.Context())
			if (err == nil) != (test.code != 0) || err == nil && reply.Code != test.code {
				t.Errorf("%v, %v", reply, err)
			}
			closed(t, c)
		})
	}
	c := serve(t, smtptest.Polite()).dial()
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	closed(t, c)
}

// closed checks that all methods fail with the kind of a closed connection.
func closed(t *testing.T, c *smtp.Client) {
	t.Helper()
	if c.IsConnected() || c.SupportsExtension("SIZE") {
		t.Error("still connected")
	}
	for _, s := range steps() {
		if _, err := s.do(t.Context(), c); err == nil {
			t.Errorf("%s is possible after the end", s.name)
		}
	}
	_, err := c.Info()
	mustBe(t, err, smtp.ErrDisconnected)
	e := smtp.Envelope{Recipients: smtp.RecipientsOf("a@x", "b@x")}
	for _, send := range []func(context.Context, smtp.Envelope, smtp.Message) (smtp.Result, error){c.Send, c.SendAndQuit} {
		result, err := send(t.Context(), e, smtp.Bytes(nil))
		if err == nil || len(result.Recipients) != 2 || result.Recipients[1].Err == nil {
			t.Errorf("%v, %+v", err, result)
		}
	}
}

// Who we say we are: what was set, or the address at our end.
func TestLocalName(t *testing.T) {
	t.Parallel()
	r := serve(t, smtptest.Polite())
	if got := r.dial().LocalName(); got != "client.test" {
		t.Errorf("set: %s", got)
	}
	r.cfg.LocalName = ""
	if got := r.dial().LocalName(); got != "[127.0.0.1]" {
		t.Errorf("IPv4: %s", got)
	}
	synctest.Test(t, func(t *testing.T) {
		r := serveOver(t, smtptest.Polite())
		r.cfg.LocalName = ""
		r.pipe = at{r.pipe, &net.TCPAddr{IP: net.ParseIP("2001:db8::1")}}
		if got := r.dial().LocalName(); got != "[IPv6:2001:db8::1]" {
			t.Errorf("IPv6: %s", got)
		}
		r.wantHeard("EHLO [IPv6:2001:db8::1]")
	})
}

// at is a connection whose local end is another.
type at struct {
	net.Conn
	local net.Addr
}

func (a at) LocalAddr() net.Addr { return a.local }
