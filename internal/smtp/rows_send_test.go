package smtp_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// Rows 23 to 28 and 57 to 70: sending a message.
func TestRowsSend(t *testing.T) {
	t.Parallel()
	text := smtp.Bytes([]byte("Subject: x\n\nbody\n"))
	to := func(list ...string) smtp.Envelope {
		return smtp.Envelope{Sender: "from@x", Recipients: smtp.RecipientsOf(list...)}
	}
	t.Run("row 23: connect, send, QUIT, also when sending failed", func(t *testing.T) {
		for _, answer := range []string{"250 ok", "550 5.7.1 no"} {
			r := serve(t, smtptest.Polite().With("MAIL", smtptest.Say(answer)))
			_, err := smtp.Send(t.Context(), r.cfg, to("a@x"), text)
			if (err == nil) != (answer[0] == '2') {
				t.Errorf("%v", err)
			}
			if got := r.heard(0).Commands; got[len(got)-1] != "QUIT" {
				t.Errorf("%s: %q", answer, got)
			}
		}
		r := serve(t, smtptest.Polite().With("MAIL", smtptest.Answer{Then: smtptest.Close}))
		_, err := smtp.Send(t.Context(), r.cfg, to("a@x"), text)
		mustBe(t, err, smtp.ErrDisconnected)
		r.wantHeard("EHLO client.test", "MAIL FROM:<from@x>")
	})
	t.Run("row 24: a message is opened for each transaction", func(t *testing.T) {
		m := &counted{Message: text}
		r := serve(t, smtptest.Polite("LIMITS RCPTMAX=1"))
		result, err := smtp.Send(t.Context(), r.cfg, to("a@x", "b@x", "c@x"), m)
		if err != nil || m.opened != 3 || result.Size != m.Size() || len(r.heard(0).Messages) != 3 {
			t.Errorf("%v, opened %d times", err, m.opened)
		}
	})
	t.Run("row 25: without recipients nobody is called", func(t *testing.T) {
		r := serve(t, smtptest.Polite())
		_, err := smtp.Send(t.Context(), r.cfg, to(), text)
		mustBe(t, err, smtp.ErrNoRecipients)
		if smtp.Temporary(err) || len(r.Sessions()) != 0 {
			t.Errorf("%v, %d sessions", err, len(r.Sessions()))
		}
	})
	t.Run("rows 26, 64, 67: what is given goes before the header; Bcc never goes", func(t *testing.T) {
		r := serve(t, smtptest.Polite())
		message := []byte("From: a@x\nTo: b@x\nBcc: c@x\n\nbody\n")
		sender := "given@x"
		for _, e := range []smtp.HeaderEnvelope{{}, {Sender: &sender, Recipients: []string{"r@x"}}} {
			if _, err := smtp.SendMessage(t.Context(), r.cfg, message, e); err != nil {
				t.Error(err)
			}
		}
		first, second := r.heard(0), r.heard(1)
		if !slices.Equal(first.Commands[1:4], []string{"MAIL FROM:<a@x>", "RCPT TO:<b@x>", "RCPT TO:<c@x>"}) ||
			!slices.Equal(second.Commands[1:4], []string{"MAIL FROM:<given@x>", "RCPT TO:<r@x>", "DATA"}) {
			t.Errorf("%q, %q", first.Commands, second.Commands)
		}
		for _, s := range []*smtptest.Session{first, second} {
			if got := string(s.Messages[0]); got != "From: a@x\r\nTo: b@x\r\n\r\nbody\r\n" {
				t.Errorf("%q", got)
			}
		}
	})
	t.Run("row 27: options go out where they are offered", func(t *testing.T) {
		for offer, want := range map[string][]string{
			"X-OWN":         {"MAIL FROM:<from@x> X-OWN=1", "RCPT TO:<a@x>"},
			"DELIVERBY 240": {"MAIL FROM:<from@x> BY=120;R", "RCPT TO:<a@x>"},
			"MT-PRIORITY":   {"MAIL FROM:<from@x> MT-PRIORITY=3", "RCPT TO:<a@x> MT-PRIORITY=1"},
			"SIZE":          {"MAIL FROM:<from@x> SIZE=20", "RCPT TO:<a@x>"},
		} {
			e := to("a@x")
			e.Options = []string{"X-OWN=1", "BY=120;R", "MT-PRIORITY=3"}
			e.Recipients[0].Options = []string{"MT-PRIORITY=1"}
			r := serve(t, smtptest.Polite(offer))
			if _, err := r.dial().Send(t.Context(), e, text); err != nil {
				t.Error(err)
			}
			if got := r.heard(0).Commands[1:3]; !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", offer, got, want)
			}
		}
	})
	t.Run("rows 28, 57, 58, 63: some refused: the others get it", func(t *testing.T) {
		r := serve(t, smtptest.Polite().With("RCPT TO:<B@", smtptest.Say("550 5.1.1 unknown")).With("RCPT TO:<C@", smtptest.Say("451 4.7.1 grey")))
		e := to("a@x", "b@x", "c@x")
		result, err := r.dial().Send(t.Context(), e, text)
		refused := result.Refused(e)
		if err != nil || len(refused) != 2 || result.Reply.Text() != "queued as Q1" {
			t.Errorf("%v, %v, %v", err, refused, result.Reply)
		}
		mustBe(t, refused["b@x"], smtp.ErrRecipientRefused)
		if smtp.Temporary(refused["b@x"]) || !smtp.Temporary(refused["c@x"]) || result.Recipients[0].Fate != smtp.Taken {
			t.Errorf("%+v", result)
		}
	})
	t.Run("row 59: all refused: one error with all of them, and no DATA", func(t *testing.T) {
		for _, second := range []string{"550 5.1.1 unknown", "451 4.7.1 grey"} {
			r := serve(t, smtptest.Polite().With("RCPT", smtptest.Say("550 5.1.1 unknown"), smtptest.Say(second)))
			_, err := r.dial().Send(t.Context(), to("a@x", "b@x"), text)
			var all *smtp.RecipientsError
			if !errors.As(err, &all) || len(all.Refused) != 2 || all.Refused[1].Addr != "b@x" || smtp.Temporary(err) != (second[0] == '4') {
				t.Errorf("%#v", err)
			}
			mustBe(t, err, smtp.ErrRecipientRefused, smtp.ErrResponse)
			if got := r.heard(0).Commands; slices.Contains(got, "DATA") {
				t.Errorf("%q", got)
			}
		}
	})
	t.Run("row 60: after a failure RSET, so that the connection can be used", func(t *testing.T) {
		for key, resets := range map[string]bool{"MAIL": false, "RCPT": true, "DATA": true, "_content": false} { // where a transaction is open
			script := smtptest.Polite().With(key, smtptest.Say("550 5.0.0 no"), smtptest.Polite()[key][0])
			r := serve(t, script)
			c := r.dial()
			if _, err := c.Send(t.Context(), to("a@x"), text); err == nil {
				t.Errorf("%s: no error", key)
			}
			if _, err := c.Send(t.Context(), to("a@x"), text); err != nil {
				t.Errorf("%s: %v", key, err)
			}
			if got := r.heard(0).Commands; slices.Contains(got, "RSET") != resets {
				t.Errorf("%s: %q", key, got)
			}
		}
		r := serve(t, smtptest.Polite().With("RCPT", smtptest.Say("550 5.1.1 first")).With("RSET", smtptest.Say("500 what")))
		_, err := r.dial().Send(t.Context(), to("a@x"), text)
		if mustBe(t, err, smtp.ErrRecipientRefused); !strings.Contains(err.Error(), "first") {
			t.Error(err)
		}
	})
	t.Run("rows 61, 62: line ends and dots", func(t *testing.T) {
		for _, offer := range []string{"SIZE", "PIPELINING", "CHUNKING"} {
			r := serve(t, smtptest.Polite("PIPELINING", offer))
			if _, err := r.dial().SendAndQuit(t.Context(), to("a@x"), smtp.Bytes([]byte("a: b\n\r.\rx\n..\n.\n"))); err != nil {
				t.Error(err)
			}
			if got := string(r.heard(0).Messages[0]); got != "a: b\r\n\r\n.\r\nx\r\n..\r\n.\r\n" {
				t.Errorf("%s: %q", offer, got)
			}
		}
	})
	t.Run("row 69: SMTPUTF8 once, only where the part before the @ needs it", func(t *testing.T) {
		for _, test := range []struct {
			sender, recipient, mail, rcpt string
			needs                         bool
		}{
			{"ü@x", "a@x", "MAIL FROM:<ü@x> SMTPUTF8", "RCPT TO:<a@x>", true},
			{"a@x", "ü@bücher.example", "MAIL FROM:<a@x> SMTPUTF8", "RCPT TO:<ü@bücher.example>", true},
			{"a@bücher.example", "b@bücher.example", "MAIL FROM:<a@xn--bcher-kva.example>", "RCPT TO:<b@xn--bcher-kva.example>", false},
			{"", "b@x", "MAIL FROM:<>", "RCPT TO:<b@x>", false},
		} {
			for _, offered := range []bool{true, false} {
				script := smtptest.Polite("X")
				if offered {
					script = smtptest.Polite("SMTPUTF8")
				}
				r := serve(t, script)
				e := smtp.Envelope{Sender: test.sender, Recipients: smtp.RecipientsOf(test.recipient)}
				_, err := r.dial().Send(t.Context(), e, text)
				if test.needs && !offered {
					mustBe(t, err, smtp.ErrNotSupported, smtp.ErrUTF8)
					r.wantHeard("EHLO client.test")
				} else if got := r.heard(0).Commands[1:3]; err != nil || !slices.Equal(got, []string{test.mail, test.rcpt}) {
					t.Errorf("%v, %q", err, got)
				}
			}
		}
	})
	t.Run("row 70: the header alone can need it", func(t *testing.T) {
		e := to("a@x")
		e.UTF8 = true
		r := serve(t, smtptest.Polite())
		_, err := r.dial().Send(t.Context(), e, text)
		mustBe(t, err, smtp.ErrUTF8)
		r = serve(t, smtptest.Polite("SMTPUTF8"))
		if _, err := r.dial().Send(t.Context(), e, text); err != nil || r.heard(0).Commands[1] != "MAIL FROM:<from@x> SMTPUTF8" {
			t.Errorf("%v, %q", err, r.heard(0).Commands)
		}
	})
}

// counted counts how often a message is opened.
type counted struct {
	smtp.Message
	opened int
}

func (c *counted) Open() (io.ReadCloser, error) {
	c.opened++
	return c.Message.Open()
}
