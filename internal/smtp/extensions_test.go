package smtp_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// What each extension makes of MAIL and RCPT, and what becomes of a message that
// needs one that is not offered.
func TestExtensionLines(t *testing.T) {
	t.Parallel()
	m := smtp.Bytes([]byte("Subject: x\n\nbody\n")) // 20 octets
	for _, test := range []struct {
		name  string
		offer string
		edit  func(*smtp.Envelope)
		mail  string // after MAIL FROM:<a@x>
		rcpt  string // after RCPT TO:<b@x>
		kind  error
	}{
		{"SIZE", "SIZE", nil, " SIZE=20", "", nil},
		{"SIZE with a limit", "SIZE 20", nil, " SIZE=20", "", nil},
		{"SIZE 0 is no limit", "SIZE 0", nil, " SIZE=20", "", nil},
		{"too large: nothing is sent", "SIZE 19", nil, "", "", smtp.ErrTooLarge},
		{"no SIZE", "X", nil, "", "", nil},
		{"8BITMIME, not needed", "8BITMIME", nil, "", "", nil},
		{"8BITMIME", "8BITMIME", func(e *smtp.Envelope) { e.EightBit = true }, " BODY=8BITMIME", "", nil},
		{"8BITMIME, not offered", "X", func(e *smtp.Envelope) { e.EightBit = true }, "", "", smtp.ErrNotSupported},
		{"REQUIRETLS without TLS", "REQUIRETLS", func(e *smtp.Envelope) { e.RequireTLS = true }, "", "", smtp.ErrNotSupported},
		{"DSN", "DSN", func(e *smtp.Envelope) {
			e.Return, e.EnvelopeID = "hdrs", "id+1 =ü"[:6]
			e.Recipients[0].Notify, e.Recipients[0].Original = "success,Delay", "rfc822;o=p+q@x"
		}, " RET=HDRS ENVID=id+2B1+20+3D", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o+3Dp+2Bq@x", nil},
		{"DSN, never", "DSN", func(e *smtp.Envelope) { e.Return, e.Recipients[0].Notify = "full", "never" }, " RET=FULL", " NOTIFY=NEVER", nil},
		{"DSN, not offered: the server reports as it likes", "X", func(e *smtp.Envelope) { e.Return, e.Recipients[0].Notify = "FULL", "NEVER" }, "", "", nil},
		{"DSN, bad RET", "DSN", func(e *smtp.Envelope) { e.Return = "some" }, "", "", smtp.ErrInvalid},
		{"DSN, bad NOTIFY", "DSN", func(e *smtp.Envelope) { e.Recipients[0].Notify = "NEVER,DELAY" }, "", "", smtp.ErrInvalid},
		{"DSN, ENVID too long", "DSN", func(e *smtp.Envelope) { e.EnvelopeID = strings.Repeat("x", 101) }, "", "", smtp.ErrInvalid},
		{"DSN, ORCPT without a type", "DSN", func(e *smtp.Envelope) { e.Recipients[0].Original = "o@x" }, "", "", smtp.ErrInvalid},
		{"an option that has its own field", "SIZE", func(e *smtp.Envelope) { e.Options = []string{"size=1"} }, "", "", smtp.ErrInvalid},
		{"the file's DSN options", "DSN", func(e *smtp.Envelope) {
			e.Options, e.Recipients[0].Options = []string{"RET=HDRS", "ENVID=f"}, []string{"NOTIFY=FAILURE,DELAY"}
		}, " RET=HDRS ENVID=f", " NOTIFY=FAILURE,DELAY", nil},
		{"the file's DSN options, and the message's own", "DSN", func(e *smtp.Envelope) {
			e.Options, e.Recipients[0].Options = []string{"ret=HDRS", "ENVID=f"}, []string{"notify=DELAY"}
			e.Return, e.Recipients[0].Notify = "FULL", "NEVER"
		}, " RET=FULL ENVID=f", " NOTIFY=NEVER", nil},
		{"the file's DSN options, not offered", "X", func(e *smtp.Envelope) {
			e.Options, e.Recipients[0].Options = []string{"RET=HDRS"}, []string{"NOTIFY=NEVER"}
		}, "", "", nil},
		{"options in the order of the envelope", "X-B|X-A|SIZE", func(e *smtp.Envelope) { e.Options = []string{"X-A", "X-B=2"} }, " SIZE=20 X-A X-B=2", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := serve(t, smtptest.Polite(append([]string{"PIPELINING"}, strings.Split(test.offer, "|")...)...))
			e := smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x")}
			if test.edit != nil {
				test.edit(&e)
			}
			_, err := r.dial().Send(t.Context(), e, m)
			heard := r.heard(0).Commands[1:]
			if test.kind != nil {
				mustBe(t, err, test.kind)
				if smtp.Temporary(err) || len(heard) > 0 {
					t.Errorf("%v, %q", err, heard)
				}
				return
			}
			if err != nil || heard[0] != "MAIL FROM:<a@x>"+test.mail || heard[1] != "RCPT TO:<b@x>"+test.rcpt {
				t.Errorf("%v, %q", err, heard)
			}
		})
	}
}

// RFC 8689: over TLS, to a server that was verified and offers it.
func TestRequireTLS(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		offer    string
		insecure bool
		good     bool
	}{"good": {"REQUIRETLS", false, true}, "not offered": {"X", false, false}, "not verified": {"REQUIRETLS", true, false}} {
		r := serve(t, smtptest.Polite("STARTTLS", test.offer))
		r.cfg.TLS, r.cfg.CAFile = smtp.Required, authorityFile(t)
		if test.insecure {
			r.cfg.CAFile, r.cfg.Insecure = "", true
		}
		e := smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x"), RequireTLS: true}
		_, err := r.dial().Send(t.Context(), e, smtp.Bytes(nil))
		if (err == nil) != test.good || !test.good && !errors.Is(err, smtp.ErrNotSupported) {
			t.Errorf("%s: %v", name, err)
		}
		if got := r.heard(0).Commands; test.good && got[3] != "MAIL FROM:<a@x> REQUIRETLS" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// transactions are the recipients of each transaction of a session.
func transactions(commands []string) (out []string) {
	for _, c := range commands {
		switch {
		case strings.HasPrefix(c, "MAIL"):
			out = append(out, "")
		case strings.HasPrefix(c, "RCPT"):
			out[len(out)-1] += c[len("RCPT TO:<"):strings.Index(c, "@")]
		}
	}
	return out
}

// How many recipients are split into transactions, as the server wants it
// (RFC 9422) or finds out (452), and what is kept for another connection.
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		offer  string
		many   string // the answer to more than two recipients
		to     string // recipients, one letter each, at x; capitals at y
		want   string // transactions of the first connection
		second string // ... of the second
		fails  string // recipients that get nothing
	}{
		{"no limit", "X", "", "abcdef", "abcdef", "", ""},
		{"RCPTMAX", "LIMITS RCPTMAX=2", "", "abcde", "ab cd e", "", ""},
		{"RCPTMAX 1", "LIMITS rcptmax=1", "", "abc", "a b c", "", ""},
		{"RCPTDOMAINMAX", "LIMITS RCPTDOMAINMAX=1", "", "abABc", "ab AB c", "", ""},
		{"both", "LIMITS RCPTMAX=2 RCPTDOMAINMAX=1", "", "abcAd", "ab c A d", "", ""},
		{"nonsense is no limit", "LIMITS RCPTMAX=0 RCPTDOMAINMAX=x Y", "", "abc", "abc", "", ""},
		{"MAILMAX: another connection", "LIMITS RCPTMAX=1 MAILMAX=2", "", "abc", "a b", "c", ""},
		{"452 5.3", "X", "452 4.5.3 too many", "abcde", "abcde cde e", "", ""},
		{"452 bare", "X", "452 too many", "abcd", "abcd cd", "", ""},
		{"552 bare, of old servers", "X", "552 too many", "abcd", "abcd cd", "", ""},
		{"452 of another kind is a refusal", "X", "452 4.2.2 full", "abc", "abc", "", "c"},
		{"550 is a refusal", "X", "550 5.1.1 no", "abc", "abc", "", "c"},
	} {
		for _, offer := range []string{"PIPELINING", "CHUNKING", "X-Y"} {
			t.Run(test.name+"/"+offer, func(t *testing.T) {
				t.Parallel()
				count := 0
				script := smtptest.Polite(offer, test.offer)
				script = script.With("MAIL", smtptest.Answer{Make: func(string, *tls.ConnectionState) smtptest.Answer { count = 0; return smtptest.Say("250 ok") }}).
					With("RCPT", smtptest.Answer{Make: func(string, *tls.ConnectionState) smtptest.Answer {
						if count++; count > 2 && test.many != "" {
							return smtptest.Say(test.many)
						}
						return smtptest.Say("250 2.1.5 ok")
					}})
				r := serve(t, script)
				var list []string
				for _, c := range test.to {
					domain := "@x"
					if c < 'a' {
						domain = "@Y"
					}
					list = append(list, string(c)+domain)
				}
				e := smtp.Envelope{Sender: "from@x", Recipients: smtp.RecipientsOf(list...)}
				result, err := smtp.Send(t.Context(), r.cfg, e, smtp.Bytes([]byte("x: y\n")))
				fails := ""
				for i, one := range result.Recipients {
					if one.Fate != smtp.Taken {
						fails += list[i][:1]
					}
				}
				if err != nil || fails != test.fails {
					t.Errorf("%v, %q failed", err, fails)
				}
				if got := strings.Join(transactions(r.heard(0).Commands), " "); got != test.want {
					t.Errorf("transactions %q, want %q", got, test.want)
				}
				if test.second != "" {
					if got := strings.Join(transactions(r.heard(1).Commands), " "); got != test.second {
						t.Errorf("then %q, want %q", got, test.second)
					}
				}
			})
		}
	}
}

// Without limits a transaction has a hundred recipients, and each gets it once.
func TestHundredRecipients(t *testing.T) {
	t.Parallel()
	var list []string
	for i := range 250 {
		list = append(list, fmt.Sprintf("r%d@x", i))
	}
	for _, offer := range [][]string{{"PIPELINING"}, {"PIPELINING", "CHUNKING"}, {"X"}} {
		m := newModel(offer...)
		c := must[*smtp.Client](t)(smtp.NewClient(t.Context(), m, smtp.Config{TLS: smtp.None, LocalName: "me"}))
		e := smtp.Envelope{Sender: "m1@x", Recipients: smtp.RecipientsOf(list...)}
		if _, err := c.SendAndQuit(t.Context(), e, smtp.Bytes([]byte("x: y\n"))); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, one := range m.taken {
			if len(one.to) > 100 {
				t.Errorf("%d at once", len(one.to))
			}
			got = append(got, one.to...)
		}
		if !slices.Equal(got, list) {
			t.Errorf("%q", got)
		}
	}
}

// RFC 3030: BDAT with the size of what follows, only where it is offered, and not
// mixed with DATA.
func TestChunking(t *testing.T) {
	t.Parallel()
	small, large := strings.Repeat("x\r\n", 100), strings.Repeat(".line\r\n", 20_000)
	for name, test := range map[string]struct {
		offer []string
		text  string
		want  string // how the content goes
	}{
		"small":                {[]string{"PIPELINING", "CHUNKING"}, small, "BDAT 300 LAST"},
		"large":                {[]string{"PIPELINING", "CHUNKING"}, large, "DATA"}, // too much to be wasted on a refusal
		"not offered":          {[]string{"PIPELINING"}, small, "DATA"},
		"no PIPELINING":        {[]string{"CHUNKING"}, small, "DATA"},
		"nothing in it":        {[]string{"PIPELINING", "CHUNKING"}, "", "BDAT 0 LAST"},
		"a dot stays as it is": {[]string{"PIPELINING", "CHUNKING"}, ".\r\n", "BDAT 3 LAST"},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, smtptest.Polite(test.offer...))
			if _, err := r.dial().SendAndQuit(t.Context(), smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x")}, smtp.Bytes([]byte(test.text))); err != nil {
				t.Fatal(err)
			}
			r.wantHeard("EHLO client.test", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", test.want, "QUIT")
			if got := r.heard(0).Messages; len(got) != 1 || string(got[0]) != test.text {
				t.Errorf("%d messages, %.60q", len(got), got)
			}
		})
	}
	// What is wrong with a message is found out before anything of it is sent.
	for _, o := range []oddMessage{{"abc", 2}, {"abc", 4}} {
		r := serve(t, smtptest.Polite("PIPELINING", "CHUNKING"))
		result, err := r.dial().SendAndQuit(t.Context(), smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x")}, o)
		mustBe(t, err, smtp.ErrMessage)
		r.wantHeard("EHLO client.test", "QUIT")
		if got := r.heard(0); result.Recipients[0].Fate != smtp.NotTaken || len(got.Messages) > 0 {
			t.Errorf("%+v, %+v", result, got)
		}
	}
}
