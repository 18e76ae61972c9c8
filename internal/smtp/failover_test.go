package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// A message that a server takes for nobody, but only for now, is offered to the
// next; one of unknown or settled fate never is.
func TestSendElsewhere(t *testing.T) {
	polite := smtptest.Polite("PIPELINING")
	gone := smtptest.Answer{Then: smtptest.Close}
	for _, row := range []struct {
		why         string
		first       smtptest.Script
		taken       bool // by the second, for a@x
		code        int  // of the error, if nobody took it
		sessionsOfB int
	}{
		{"greeting", polite.With("_banner", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)), true, 0, 1},
		{"EHLO", polite.With("EHLO", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)), true, 0, 1},
		{"MAIL", polite.With("MAIL", smtptest.Say("451 4.3.2 later")), true, 0, 1},
		{"all RCPT", polite.With("RCPT", smtptest.Say("450 4.3.2 later")), true, 0, 1},
		{"DATA", polite.With("DATA", smtptest.Say("451 4.3.2 later")), true, 0, 1},
		{"content, with an answer", polite.With("_content", smtptest.Say("451 4.3.2 later")), true, 0, 1},
		{"lost before the content", polite.With("RCPT", gone), true, 0, 1},
		{"lost after the content", polite.With("_content", gone), false, 0, 0},
		{"MAIL for good", polite.With("MAIL", smtptest.Say("550 5.7.1 no")), false, 550, 0},
		{"one RCPT for good", polite.With("RCPT TO:<A", smtptest.Say("550 5.1.1 no")).With("RCPT TO:<B", smtptest.Say("450 later")), false, 550, 0},
		{"one is taken", polite.With("RCPT TO:<A", smtptest.Say("450 later")), false, 450, 0},
	} {
		t.Run(row.why, func(t *testing.T) {
			a := smtptest.New(t, smtptest.Options{Script: row.first})
			b := smtptest.New(t, smtptest.Options{Script: polite, Address: fmt.Sprintf("127.0.0.2:%d", a.Port())})
			cfg := smtp.Config{Hosts: []string{"127.0.0.1", "127.0.0.2"}, Port: a.Port()}
			e := smtp.Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x", "b@x")}
			result, _ := smtp.Send(context.Background(), cfg, e, smtp.Bytes([]byte("Subject: x\r\n\r\n")))
			one := result.Recipients[0]
			if (one.Err == nil) != row.taken {
				t.Fatalf("%+v", one)
			}
			var failure *smtp.Error
			if row.code != 0 && (!errors.As(one.Err, &failure) || failure.Code != row.code) {
				t.Errorf("got %v, want %d", one.Err, row.code)
			}
			if n := len(b.Sessions()); n != row.sessionsOfB {
				t.Errorf("%d sessions at the second", n)
			}
		})
	}
}

// When the next server is of no use, what the first one said counts; there may be
// more than one to go on to.
func TestSendElsewhereInVain(t *testing.T) {
	later := smtptest.Polite().With("MAIL", smtptest.Say("451 4.3.2 later"))
	a := smtptest.New(t, smtptest.Options{Script: later})
	cfg := smtp.Config{Hosts: []string{"127.0.0.1", "127.0.0.2"}, Port: a.Port()} // nobody listens at the second
	e := smtp.Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x")}
	m := smtp.Bytes([]byte("Subject: x\r\n\r\n"))
	result, _ := smtp.Send(context.Background(), cfg, e, m)
	var failure *smtp.Error
	if !errors.As(result.Recipients[0].Err, &failure) || failure.Code != 451 {
		t.Errorf("got %v", result.Recipients[0].Err)
	}
	smtptest.New(t, smtptest.Options{Script: later, Address: fmt.Sprintf("127.0.0.2:%d", a.Port())})
	third := smtptest.New(t, smtptest.Options{Script: smtptest.Polite(), Address: fmt.Sprintf("127.0.0.3:%d", a.Port())})
	cfg.Hosts = append(cfg.Hosts, "127.0.0.3")
	if result, _ = smtp.Send(context.Background(), cfg, e, m); result.Recipients[0].Err != nil || len(third.Sessions()) != 1 {
		t.Errorf("got %v", result.Recipients[0].Err)
	}
}
