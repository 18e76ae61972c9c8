package smtp_test

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// However long a content is, and whatever of it waits in the buffer, what follows
// goes with it.
func TestTurnaroundsLong(t *testing.T) {
	t.Parallel()
	for _, octets := range []int{100, 15_000, 17_000, 24_000, 32_000, 33_000, 50_000, 100_000} {
		r := serveWith(t, smtptest.Options{Script: smtptest.Polite("PIPELINING")})
		p := smtptest.NewProxy(t, r.Addr(), smtptest.ProxyOptions{})
		r.cfg.Port = p.Port()
		text := "x: y\n\n" + strings.Repeat("0123456789abcdef012345678901234\n", octets/32)
		c := r.dial()
		err := c.Drain(t.Context(), smtp.DrainOptions{Window: 1}, stream(10, text), func(*smtp.Transaction, smtp.Result) {})
		if got := p.Turnarounds(); err != nil || got != 12 { // one each, EHLO, the first MAIL
			t.Errorf("%d octets: %d turnarounds (%v)", octets, got, err)
		}
	}
}

// So it is with the transactions of one message for many, and each asks for
// SMTPUTF8 only if it needs it itself. A server without it gets all the others.
func TestManyTransactions(t *testing.T) {
	t.Parallel()
	for _, utf8 := range []bool{true, false} {
		offer := []string{"PIPELINING"}
		if utf8 {
			offer = append(offer, "SMTPUTF8")
		}
		r := serveWith(t, smtptest.Options{Script: smtptest.Polite(offer...)})
		p := smtptest.NewProxy(t, r.Addr(), smtptest.ProxyOptions{})
		r.cfg.Port = p.Port()
		var mails []string
		r.cfg.Trace = func(direction byte, line string) {
			if direction == '>' && strings.HasPrefix(line, "MAIL ") {
				mails = append(mails, line)
			}
		}
		var to []string
		for i := range 1000 {
			to = append(to, fmt.Sprintf("user%d@x", i))
		}
		to[120] = "ü@x"
		result, err := r.dial().SendAndQuit(t.Context(), smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf(to...)},
			smtp.Bytes([]byte("x: y\n\n"+strings.Repeat("text\n", 4000))))
		if err != nil {
			t.Fatal(err)
		}
		trips, with := 12, 1 // one each, EHLO, the first MAIL
		if !utf8 {
			with = 0
		}
		if got := p.Turnarounds(); got != trips {
			t.Errorf("UTF-8 %v: %d turnarounds, want %d", utf8, got, trips)
		}
		if n := strings.Count(strings.Join(mails, "\n"), "SMTPUTF8"); len(mails) != trips-2 || n != with {
			t.Errorf("UTF-8 %v: %d transactions, %d with SMTPUTF8", utf8, len(mails), n)
		}
		for i, one := range result.Recipients {
			if want := utf8 || i != 120; (one.Err == nil) != want || one.Err == nil && one.Reply.Code != 250 {
				t.Errorf("UTF-8 %v: %d: %+v", utf8, i, one)
			}
		}
	}
}
