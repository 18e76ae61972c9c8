package smtptest

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

func open(t *testing.T, c *smtp.Client, err error) *smtp.Client {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// code is the reply code of an error.
func code(err error) int {
	var e *smtp.SMTPError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestSinkKeeps(t *testing.T) {
	s := NewSink(t, SinkOptions{
		MaxMessageBytes: 100, MaxRecipients: 2, EnableBINARYMIME: true,
		Refuse: map[string]*smtp.SMTPError{"bad@x": {Code: 550, Message: "no"}},
	})
	c, err := smtp.Dial(s.Addr())
	open(t, c, err)
	if ok, limit := c.Extension("LIMITS"); !ok || limit != "RCPTMAX=2" {
		t.Errorf("LIMITS %v %q", ok, limit)
	}
	if ok, _ := c.Extension("BINARYMIME"); !ok {
		t.Error("no BINARYMIME")
	}
	if err := c.Mail("a@x", &smtp.MailOptions{EnvelopeID: "e1", Return: smtp.DSNReturnHeaders}); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("bad@x", nil); code(err) != 550 {
		t.Errorf("bad@x: %v", err)
	}
	if err := c.Rcpt("b@x", &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever}}); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("A: b\r\n\r\n.dot\r\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	checkKept(t, s.Deliveries())
	if err := c.SendMail("a@x", []string{"b@x"}, strings.NewReader(strings.Repeat("x\r\n", 50))); code(err) != 552 {
		t.Errorf("too much: %v", err)
	}
}

func checkKept(t *testing.T, all []Delivery) {
	t.Helper()
	if len(all) != 1 {
		t.Fatalf("%d deliveries", len(all))
	}
	d := all[0]
	if d.From != "a@x" || d.Mail.EnvelopeID != "e1" || len(d.To) != 1 || d.To[0] != "b@x" || d.TLS || d.User != "" {
		t.Errorf("delivery %+v", d)
	}
	if len(d.Rcpt) != 1 || len(d.Rcpt[0].Notify) != 1 || d.Rcpt[0].Notify[0] != smtp.DSNNotifyNever {
		t.Errorf("recipient options %+v", d.Rcpt)
	}
	if string(d.Data) != "A: b\r\n\r\n.dot\r\n" {
		t.Errorf("data %q", d.Data)
	}
}

func TestSinkLogin(t *testing.T) {
	a, config := serverTLS(t)
	trust := &tls.Config{RootCAs: a.Pool(), ServerName: "smarthost.test"}
	accounts := map[string]string{"u": "p"}
	startTLS := NewSink(t, SinkOptions{TLS: config, Auth: accounts, RequireAuth: true, EnableREQUIRETLS: true})
	implicit := NewSink(t, SinkOptions{TLS: config, Implicit: true, Accounts: accounts})
	for name, test := range map[string]struct {
		sink *Sink
		dial func(string, *tls.Config) (*smtp.Client, error)
		with func(password string) sasl.Client
	}{
		"STARTTLS, LOGIN": {startTLS, smtp.DialStartTLS, func(p string) sasl.Client { return sasl.NewLoginClient("u", p) }},
		"implicit, PLAIN": {implicit, smtp.DialTLS, func(p string) sasl.Client { return sasl.NewPlainClient("", "u", p) }},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := test.dial(test.sink.Addr(), trust)
			open(t, c, err)
			if err := c.Mail("a@x", nil); err == nil {
				t.Error("no login was wanted")
			}
			if err := c.Auth(test.with("wrong")); code(err) != 535 {
				t.Errorf("wrong password: %v", err)
			}
			if err := c.Auth(test.with("p")); err != nil {
				t.Fatal(err)
			}
			if err := c.SendMail("a@x", []string{"b@x"}, strings.NewReader("x\r\n")); err != nil {
				t.Fatal(err)
			}
			if all := test.sink.Deliveries(); len(all) != 1 || all[0].User != "u" || !all[0].TLS {
				t.Errorf("deliveries %+v", all)
			}
		})
	}
}

// LOGIN without an initial response, over a socket; a login is not wanted.
func TestSinkLoginByLines(t *testing.T) {
	s := NewSink(t, SinkOptions{Unix: t.TempDir() + "/s", Auth: map[string]string{"u": "p"}})
	c := dial(t, "unix", s.Addr())
	c.send("HELO me\r\nMAIL FROM:<a@x>\r\nRSET\r\nAUTH LOGIN\r\ndQ==\r\ncA==\r\n")
	c.want("220 ", "250 ", "250 ", "250 ", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ")
}
