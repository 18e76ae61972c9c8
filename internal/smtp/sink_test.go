package smtp_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// A genuine server of another make, go-smtp, takes what each way of a drain says,
// byte for byte, each message from its sender, with what was asked for.
func TestSink(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			s := smtptest.NewSink(t, smtptest.SinkOptions{
				Accounts: map[string]string{testUser: testSecret}, TLS: serverTLS(t), MaxRecipients: 3,
				Refuse: map[string]*gosmtp.SMTPError{"bad2@x": {Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no"}},
			})
			d := keepDiary(t)
			c := must[*smtp.Client](t)(smtp.Dial(t.Context(), smtp.Config{
				Hosts: []string{"127.0.0.1"}, Port: s.Port(), TLS: smtp.Required, CAFile: authorityFile(t), Username: testUser, Secret: giveSecret,
				LocalName: "client.test", Trace: d.trace,
			}))
			n, got := 0, map[string]smtp.Result{}
			next := func(context.Context) (*smtp.Transaction, error) {
				if n++; n > 30 {
					return nil, io.EOF
				}
				e := smtp.Envelope{Sender: fmt.Sprintf("m%d@x", n), Recipients: smtp.RecipientsOf(fmt.Sprintf("to%d@x", n), fmt.Sprintf("bad%d@x", n)), EightBit: true, Return: "HDRS"}
				e.Recipients[0].Notify = "SUCCESS"
				return &smtp.Transaction{Envelope: e, Message: smtp.Bytes(fmt.Appendf(nil, "Subject: %d\n\n.ü %d\n.\n", n, n))}, nil
			}
			if err := c.Drain(t.Context(), smtp.DrainOptions{Window: w.window}, next, func(tx *smtp.Transaction, r smtp.Result) { got[tx.Envelope.Sender] = r }); err != nil {
				t.Fatal(err)
			}
			all := s.Deliveries()
			if len(all) != 30 || len(got) != 30 {
				t.Fatalf("%d delivered, %d told", len(all), len(got))
			}
			for i, one := range all {
				from, to := fmt.Sprintf("m%d@x", i+1), []string{fmt.Sprintf("to%d@x", i+1), fmt.Sprintf("bad%d@x", i+1)}
				if i == 1 {
					to = to[:1]
				}
				if one.From != from || !slices.Equal(one.To, to) || string(one.Data) != fmt.Sprintf("Subject: %d\r\n\r\n.ü %d\r\n.\r\n", i+1, i+1) {
					t.Errorf("%+v", one)
				}
				if one.User != testUser || !one.TLS || one.Mail.Return != gosmtp.DSNReturnHeaders || one.Mail.Body != gosmtp.Body8BitMIME || !slices.Equal(one.Rcpt[0].Notify, []gosmtp.DSNNotify{gosmtp.DSNNotifySuccess}) {
					t.Errorf("%+v", one)
				}
				for j, r := range got[from].Recipients {
					if want := j == 0 || i != 1; (r.Fate == smtp.Taken) != want {
						t.Errorf("%s, recipient %d: %v, %v", from, j, r.Fate, r.Err)
					}
				}
			}
		})
	}
}
