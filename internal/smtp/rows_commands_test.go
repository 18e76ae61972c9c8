package smtp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// codes are the replies to try a command with.
func codes() []string {
	return []string{"211", "214", "220", "221", "235", "250", "251", "252", "334", "354", "450", "451", "500", "502", "550", "554"}
}

// takes checks which codes a method takes as success.
func takes(t *testing.T, verb, good string, kind error, do func(context.Context, *smtp.Client) (smtp.Reply, error)) {
	t.Helper()
	for _, code := range codes() {
		script := smtptest.Polite("SMTPUTF8", "SIZE").With(verb, smtptest.Say(code+" x"))
		if verb == "EHLO" || verb == "HELO" {
			script = script.With("RSET", smtptest.Say("250 ok"))
		}
		r := serve(t, script)
		c := r.connect()
		reply, err := do(t.Context(), c)
		ok := slices.Contains(strings.Fields(good), code) || good == "2yz" && code[0] == '2'
		switch {
		case ok && (err != nil || reply.Code/100 != 2 && reply.Code/100 != 3):
			t.Errorf("%s %s: %v", verb, code, err)
		case !ok && !errors.Is(err, kind):
			t.Errorf("%s %s: %v is not %v", verb, code, err, kind)
		case !ok && !c.IsConnected():
			t.Errorf("%s %s: the connection is lost", verb, code)
		}
	}
}

// Rows 29 to 42: the commands, one by one.
func TestRowsCommands(t *testing.T) {
	t.Parallel()
	type cmd = func(context.Context, *smtp.Client) (smtp.Reply, error)
	for _, test := range []struct {
		row, verb, good string
		kind            error
		do              cmd
	}{
		{"row 29: EHLO", "EHLO", "2yz", smtp.ErrHello, func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Ehlo(ctx, "") }},
		{"row 29: HELO", "HELO", "2yz", smtp.ErrHello, func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Helo(ctx, "") }},
		{"row 33: MAIL", "MAIL", "2yz", smtp.ErrSenderRefused, func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Mail(ctx, "a@x") }},
		{"row 34: RCPT", "RCPT", "2yz", smtp.ErrRecipientRefused, func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Rcpt(ctx, "a@x") }},
		{"row 36: RSET", "RSET", "2yz", smtp.ErrResponse, func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Reset(ctx) }},
		{"row 36: NOOP", "NOOP", "250", smtp.ErrResponse, func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Noop(ctx) }},
		{"row 37: VRFY", "VRFY", "250 251 252", smtp.ErrResponse, func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Verify(ctx, "a") }},
		{"row 37: EXPN", "EXPN", "250", smtp.ErrResponse, func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Expand(ctx, "a") }},
		{"row 41: any command", "XYZZ", "211 214 220 221 235 250 251 252 334 354", nil, nil},
	} {
		t.Run(test.row, func(t *testing.T) {
			if test.do != nil {
				takes(t, test.verb, test.good, test.kind, test.do)
				return
			}
			for _, code := range codes() { // whatever is said comes back
				c := serve(t, smtptest.Polite().With("XYZZY", smtptest.Say(code+" x"))).connect()
				if r, err := c.Execute(t.Context(), "XYZZY", "A", "B"); err != nil || r.String() != code+" x" {
					t.Errorf("%s: %v, %v", code, r, err)
				}
			}
		})
	}
	t.Run("row 30: EHLO goes first where it is needed", func(t *testing.T) {
		for _, s := range steps() {
			r := serve(t, stepwise())
			must[smtp.Reply](t)(s.do(t.Context(), r.stepwise()))
			first := r.heard(0).Commands[0]
			if needs := !slices.Contains([]string{"Ehlo", "Helo", "Quit"}, s.name); (first == "EHLO client.test") != needs {
				t.Errorf("%s: first %q", s.name, first)
			}
		}
	})
	t.Run("row 31: HELO after EHLO is refused", func(t *testing.T) {
		r := serve(t, smtptest.Polite("SIZE").With("EHLO", smtptest.Say("550 5.5.1 what")))
		if c := r.dial(); len(c.Extensions().Names()) != 0 {
			t.Error(c.Extensions())
		}
		r.wantHeard("EHLO client.test", "HELO client.test")
	})
	t.Run("row 32: NeedsHello until EHLO or HELO is answered", func(t *testing.T) {
		for _, do := range []cmd{func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Ehlo(ctx, "") },
			func(ctx context.Context, c *smtp.Client) (smtp.Reply, error) { return c.Helo(ctx, "") }} {
			c := serve(t, smtptest.Polite()).connect()
			before := c.NeedsHello()
			must[smtp.Reply](t)(do(t.Context(), c))
			if after := c.NeedsHello(); !before || after {
				t.Errorf("%v, then %v", before, after)
			}
		}
	})
	t.Run("rows 33, 34: the address is in the error", func(t *testing.T) {
		r := serve(t, smtptest.Polite().With("MAIL", smtptest.Say("550 5.7.1 no")).With("RCPT", smtptest.Say("450 4.2.1 busy")))
		c := r.dial()
		_, mail := c.Mail(t.Context(), "from@x")
		_, rcpt := c.Rcpt(t.Context(), "to@x")
		var e, f *smtp.Error
		if !errors.As(mail, &e) || e.Addr != "from@x" || e.Code != 550 || e.Enhanced != (smtp.Enhanced{5, 7, 1}) || e.Temporary() {
			t.Errorf("%#v", mail)
		}
		if !errors.As(rcpt, &f) || f.Addr != "to@x" || !f.Temporary() || !strings.Contains(f.Error(), "<to@x>") {
			t.Errorf("%#v", rcpt)
		}
	})
	t.Run("row 35: DATA, 354, content, 2yz", func(t *testing.T) {
		r := serve(t, smtptest.Polite())
		c := r.dial()
		must[smtp.Reply](t)(c.Mail(t.Context(), ""))
		must[smtp.Reply](t)(c.Rcpt(t.Context(), "a@x"))
		if reply, err := c.Data(t.Context(), smtp.Bytes([]byte("a: b\n\n.c\n"))); err != nil || reply.Text() != "queued as Q1" {
			t.Errorf("%v, %v", reply, err)
		}
		if got := string(r.heard(0).Messages[0]); got != "a: b\r\n\r\n.c\r\n" {
			t.Errorf("%q", got)
		}
		for _, bad := range []string{"220 x", "221 x", "235 x", "250 2.1.5 recipient ok", "214 help", "334 x", "354 x", "450 x", "554 x"} {
			c := serve(t, smtptest.Polite().With("_content", smtptest.Say(bad))).dial()
			if _, err := c.Data(t.Context(), smtp.Bytes([]byte("x"))); !errors.Is(err, smtp.ErrData) {
				t.Errorf("%s: %v", bad, err)
			}
		}
	})
	t.Run("row 38: HELP gives its text", func(t *testing.T) {
		for _, code := range codes() {
			c := serve(t, smtptest.Polite().With("HELP", smtptest.Say(code+"-do", code+" it"))).connect()
			text, err := c.Help(t.Context())
			if ok := slices.Contains([]string{"211", "214", "250"}, code); ok != (err == nil) || ok && text != "do\nit" {
				t.Errorf("%s: %q, %v", code, text, err)
			}
		}
	})
	t.Run("row 39: QUIT closes, whatever is answered", func(t *testing.T) {
		for _, code := range codes() {
			c := serve(t, smtptest.Polite().With("QUIT", smtptest.Say(code+" x"))).connect()
			_, err := c.Quit(t.Context())
			if c.IsConnected() || (err == nil) != (code[0] == '2') {
				t.Errorf("%s: connected %v, %v", code, c.IsConnected(), err)
			}
		}
	})
	t.Run("row 40: Close says nothing and forgets", func(t *testing.T) {
		r := serve(t, smtptest.Polite("SIZE"))
		c := r.dial()
		if err := c.Close(); err != nil || c.IsConnected() || c.SupportsExtension("SIZE") || !c.NeedsHello() {
			t.Errorf("%v", err)
		}
		r.wantHeard("EHLO client.test")
	})
	t.Run("row 41: 421 and a loss end the connection", func(t *testing.T) {
		for _, a := range []smtptest.Answer{smtptest.Say("421 off"), {Then: smtptest.Close}} {
			c := serve(t, smtptest.Polite().With("XYZZY", a)).dial()
			_, err := c.Execute(t.Context(), "XYZZY")
			mustBe(t, err, smtp.ErrDisconnected)
			if _, again := c.Execute(t.Context(), "NOOP"); c.IsConnected() || again != err {
				t.Errorf("%v after %v", again, err)
			}
		}
	})
	t.Run("row 42: extensions in any case; mechanisms that both know, in our order", func(t *testing.T) {
		c := serve(t, smtptest.Polite("size 1000", "Auth LOGIN GSSAPI PLAIN", "AUTH=CRAM-MD5", "X-Own")).dial()
		if !c.SupportsExtension("SIZE") || !c.SupportsExtension("x-own") || c.SupportsExtension("DSN") || c.Extensions().MaxSize() != 1000 {
			t.Errorf("%q", c.Extensions().Names())
		}
		if got := c.AuthMechanisms(); !slices.Equal(got, []string{"CRAM-MD5", "PLAIN", "LOGIN"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("row 43: the local name does not change", func(t *testing.T) {
		c := serve(t, smtptest.Polite()).dial()
		for range 2 {
			if got := c.LocalName(); got != "client.test" {
				t.Error(got)
			}
		}
	})
}

// Row 44: what is known of the transport; and rows 46 to 49: STARTTLS.
func TestRowsTransport(t *testing.T) {
	t.Parallel()
	t.Run("row 44: both ends, TLS version, cipher, certificate", func(t *testing.T) {
		r := serve(t, smtptest.Polite("STARTTLS", "AUTH PLAIN"))
		r.cfg.TLS, r.cfg.CAFile, r.cfg.Username, r.cfg.Secret = smtp.Required, authorityFile(t), testUser, giveSecret
		c := r.dial()
		info := must[smtp.Info](t)(c.Info())
		if info.Remote.String() != r.Addr() || info.Local.(*net.TCPAddr).Port == 0 || info.Mechanism != "PLAIN" || info.Server != "127.0.0.1" {
			t.Errorf("%+v", info)
		}
		if info.TLS.Version < tls.VersionTLS12 || !strings.HasPrefix(info.Cipher(), "TLS 1.3 TLS_") || len(info.TLS.PeerCertificates) == 0 || len(info.TLS.VerifiedChains) == 0 {
			t.Errorf("%+v", info.TLS)
		}
		c.Close()
		_, err := c.Info()
		mustBe(t, err, smtp.ErrDisconnected)
	})
	t.Run("row 46: the name to verify is the host, or what is set", func(t *testing.T) {
		for name, good := range map[string]bool{"": true, "localhost": true, "else.test": false} {
			r := serve(t, smtptest.Polite("STARTTLS"))
			r.cfg.TLS, r.cfg.CAFile, r.cfg.ServerName = smtp.Opportunistic, authorityFile(t), name
			_, err := r.connect().StartTLS(t.Context())
			if (err == nil) != good || !good && !errors.Is(err, smtp.ErrCertificate) {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
	t.Run("row 47: EHLO first; not offered; refused", func(t *testing.T) {
		r := serve(t, smtptest.Polite())
		_, err := r.connect().StartTLS(t.Context())
		mustBe(t, err, smtp.ErrNotOffered, smtp.ErrTLS)
		r.wantHeard("EHLO client.test")
		for code, forever := range map[string]bool{"454": false, "502": true, "250": false} {
			r := serve(t, smtptest.Polite("STARTTLS").With("STARTTLS", smtptest.Say(code+" x")))
			c := r.connect()
			_, err := c.StartTLS(t.Context())
			mustBe(t, err, smtp.ErrTLS, smtp.ErrResponse)
			if smtp.Temporary(err) == forever || !c.IsConnected() {
				t.Errorf("%s: %v", code, err)
			}
		}
	})
	t.Run("row 48: twice; lost", func(t *testing.T) {
		r := serve(t, smtptest.Polite("STARTTLS"))
		r.cfg.Insecure = true
		c := r.connect()
		must[smtp.Reply](t)(c.StartTLS(t.Context()))
		_, err := c.StartTLS(t.Context())
		mustBe(t, err, smtp.ErrTLS)
		for _, then := range []smtptest.Action{smtptest.Close, smtptest.Reset} {
			c := serve(t, smtptest.Polite("STARTTLS").With("STARTTLS", smtptest.Say("220 go").And(then))).connect()
			_, err := c.StartTLS(t.Context())
			mustBe(t, err, smtp.ErrTLS, smtp.ErrDisconnected)
			if c.IsConnected() || !smtp.Temporary(err) {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("row 49: what was said before is forgotten, EHLO is said again", func(t *testing.T) {
		before, after := smtptest.Polite("STARTTLS", "SIZE")["EHLO"][0], smtptest.Polite("DSN")["EHLO"][0]
		r := serve(t, smtptest.Polite().With("EHLO", before, after))
		r.cfg.Insecure = true
		c := r.connect()
		must[smtp.Reply](t)(c.StartTLS(t.Context()))
		if c.SupportsExtension("SIZE") || !c.SupportsExtension("DSN") || c.NeedsHello() {
			t.Errorf("%q", c.Extensions().Names())
		}
		r.wantHeard("EHLO client.test", "STARTTLS", "EHLO client.test")
	})
}
