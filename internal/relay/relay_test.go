package relay

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/maillog"
	"postern/internal/message"
	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// relayTo is a relay for a server on loopback, and its log.
func relayTo(t testing.TB, port int) (*Relay, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	cfg := &config.Config{Timeout: 10 * time.Second, Smarthosts: []*config.Smarthost{{Hosts: []string{"127.0.0.1"}, Port: port,
		TLS: "auto", Verify: true, CommandTimeout: 5 * time.Second}}}
	return &Relay{Config: cfg, Now: time.Now, Host: "client.example",
		Log: maillog.Open(maillog.Options{To: "stderr", Stderr: &log, Now: time.Now})}, &log
}

func newMessage(t testing.TB, body string) *message.Message {
	t.Helper()
	b, err := message.ReadBody(strings.NewReader(body), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return message.New([]byte("Subject: x\r\n\r\n"), b)
}

func TestDeliver(t *testing.T) {
	polite := smtptest.Polite("PIPELINING", "8BITMIME")
	tests := []struct {
		why    string
		script smtptest.Script
		want   []Status // for good@x and bad@x
		log    string   // about bad@x
	}{
		{"all taken", polite, []Status{Sent, Sent}, "status=sent (250 2.0.0 queued as Q1)"},
		{"one refused", polite.With("RCPT TO:<BAD", smtptest.Say("550 5.1.1 no such user")), []Status{Sent, Failed}, "dsn=5.1.1, status=bounced (550 5.1.1 no such user)"},
		{"one later", polite.With("RCPT TO:<BAD", smtptest.Say("450 4.2.1 later")), []Status{Sent, Deferred}, "dsn=4.2.1, status=deferred"},
		{"a refusal without enhanced code", polite.With("RCPT TO:<BAD", smtptest.Say("550 no")), []Status{Sent, Failed}, "dsn=5.0.0"},
		{"content refused", polite.With("_content", smtptest.Say("554 5.7.1 spam")), []Status{Failed, Failed}, "dsn=5.7.1, status=bounced"},
		{"greeting refused", polite.With("_banner", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)), []Status{Deferred, Deferred}, "relay=none, "},
		{"the last answer is lost", polite.With("_content", smtptest.Answer{Then: smtptest.Close}), []Status{Unknown, Unknown}, "status=unknown"},
		{"the link is lost before", polite.With("DATA", smtptest.Answer{Then: smtptest.Close}), []Status{Deferred, Deferred}, "status=deferred"},
	}
	for _, test := range tests {
		s := smtptest.New(t, smtptest.Options{Script: test.script})
		r, log := relayTo(t, s.Port())
		outcomes := r.Deliver(context.Background(), "id1", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("good@x", "bad@x")}, newMessage(t, "body\n"))
		for i, o := range outcomes {
			if o.Status != test.want[i] || (o.Err == nil) != (o.Status == Sent) {
				t.Errorf("%s: %s: got %v (%v), want %v", test.why, o.Recipient, o.Status, o.Err, test.want[i])
			}
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[1], "id1: to=<bad@x>") || !strings.Contains(lines[1], test.log) {
			t.Errorf("%s: log %q, want %q", test.why, lines, test.log)
		}
	}
}

// 8-bit text goes as it is where that is offered, encoded where not.
func TestDeliverFits(t *testing.T) {
	for _, test := range []struct{ offer, mail, body string }{
		{"8BITMIME", " BODY=8BITMIME", "grüße\r\n"},
		{"HELP", "", "gr=C3=BC=C3=9Fe\r\n"},
	} {
		s := smtptest.New(t, smtptest.Options{Script: smtptest.Polite(test.offer)})
		r, _ := relayTo(t, s.Port())
		o := r.Deliver(context.Background(), "id1", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x")}, newMessage(t, "grüße\n"))
		session := s.Sessions()[0]
		if o[0].Status != Sent || session.Commands[1] != "MAIL FROM:<s@x>"+test.mail || !strings.HasSuffix(string(session.Messages[0]), test.body) {
			t.Errorf("%s: %+v\n%q\n%q", test.offer, o, session.Commands, session.Messages)
		}
	}
}

// The upper limit holds against a server that says nothing.
func TestDeliverEnds(t *testing.T) {
	s := smtptest.New(t, smtptest.Options{Script: smtptest.Polite().With("EHLO", smtptest.Answer{Then: smtptest.Silence})})
	r, _ := relayTo(t, s.Port())
	r.Config.Timeout = 50 * time.Millisecond
	o := r.Deliver(context.Background(), "id1", Envelope{Recipients: smtp.RecipientsOf("a@x")}, newMessage(t, ""))
	if o[0].Status != Deferred || !errors.Is(o[0].Err, smtp.ErrTimeout) {
		t.Errorf("%+v", o)
	}
}

// Wishes of the caller and of the configuration reach the wire, and a bare host
// name does not.
func TestDeliverOptions(t *testing.T) {
	s := smtptest.New(t, smtptest.Options{Script: smtptest.Polite("DSN", "MT-PRIORITY")})
	r, _ := relayTo(t, s.Port())
	r.Host = "vm"
	r.Config.Smarthosts[0].MailOptions = []string{"MT-PRIORITY=3", "UNKNOWN=1"}
	r.Deliver(context.Background(), "id1", Envelope{Sender: "s@x", Recipients: []smtp.Recipient{{Address: "a@x", Notify: "NEVER", Original: "rfc822;b@x"}}, Return: "HDRS", ID: "a+b"}, newMessage(t, ""))
	got := strings.Join(s.Sessions()[0].Commands, "\n")
	for _, want := range []string{"EHLO [127.0.0.1]", "MAIL FROM:<s@x> RET=HDRS ENVID=a+2Bb MT-PRIORITY=3\n", "RCPT TO:<a@x> NOTIFY=NEVER ORCPT=rfc822;b@x\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}
