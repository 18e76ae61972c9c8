package smtp_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// Rows 50 to 56, and 15 to 17 of what is not in the text: logging in.
func TestRowsAuth(t *testing.T) {
	t.Parallel()
	login := func(t *testing.T, script smtptest.Script, mechanisms ...string) *rig {
		r := serve(t, script)
		r.cfg.Username, r.cfg.Secret, r.cfg.Auth = testUser, giveSecret, mechanisms
		return r
	}
	t.Run("row 50: no AUTH offered is an error that hints at TLS, and no mail goes out", func(t *testing.T) {
		r := login(t, smtptest.Polite("SIZE"))
		if err := r.dialFails(smtp.ErrAuthUnavailable); !strings.Contains(err.Error(), "without TLS") {
			t.Error(err)
		}
		r.wantHeard("EHLO client.test")
		r = login(t, smtptest.Polite("AUTH GSSAPI"))
		if err := r.dialFails(smtp.ErrAuthUnavailable); !strings.Contains(err.Error(), "only GSSAPI") {
			t.Error(err)
		}
	})
	t.Run("row 51: a refusal moves on to the next; all refused: the most telling error", func(t *testing.T) {
		r := login(t, smtptest.Polite("AUTH LOGIN PLAIN CRAM-MD5").With("AUTH", smtptest.Say("535 5.7.0 wrong")))
		r.dialFails(smtp.ErrAuth)
		if got := tried(r); got != "CRAM-MD5 PLAIN= LOGIN=" {
			t.Error(got)
		}
	})
	t.Run("row 52: CRAM-MD5 answers the challenge, and 235 it is", func(t *testing.T) {
		r := login(t, smtptest.Polite("AUTH CRAM-MD5").With("AUTH", smtptest.Say("334 "+b64("<1896.697170952@postoffice.reston.mci.net>"))).With("_line", smtptest.Say("235 ok")))
		r.cfg.Username, r.cfg.Secret = "tim", func(context.Context) (string, error) { return "tanstaaftanstaaf", nil }
		r.dial()
		r.wantHeard("EHLO client.test", "AUTH CRAM-MD5", "_line dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw")
	})
	t.Run("row 53: LOGIN, the name at once", func(t *testing.T) {
		r := login(t, smtptest.Polite("AUTH LOGIN").With("AUTH", smtptest.Say("334 "+b64("Password:"))).With("_line", smtptest.Say("235 ok")))
		r.dial()
		r.wantHeard("EHLO client.test", "AUTH LOGIN "+b64(testUser), "_line "+b64(testSecret))
	})
	t.Run("row 54: PLAIN at once, but never a line over 512 octets", func(t *testing.T) {
		for _, n := range []int{10, 300, 600} {
			secret := strings.Repeat("x", n)
			r := login(t, smtptest.Polite("AUTH PLAIN").With("AUTH PLAIN", smtptest.Answer{Make: plainStep}).With("_line", smtptest.Say("235 ok")))
			r.cfg.Secret = func(context.Context) (string, error) { return secret, nil }
			r.dial()
			word := b64("\x00" + testUser + "\x00" + secret)
			if len("AUTH PLAIN "+word+"\r\n") <= 512 {
				r.wantHeard("EHLO client.test", "AUTH PLAIN "+word)
			} else {
				r.wantHeard("EHLO client.test", "AUTH PLAIN", "_line "+word)
			}
		}
	})
	t.Run("row 55: names and passwords in UTF-8", func(t *testing.T) {
		r := login(t, smtptest.Polite("AUTH PLAIN"))
		r.cfg.Username, r.cfg.Secret = "jürgen", func(context.Context) (string, error) { return "pä\xffß", nil }
		r.dial()
		r.wantHeard("EHLO client.test", "AUTH PLAIN "+b64("\x00jürgen\x00pä\xffß"))
	})
	t.Run("row 56: a refusal is ErrAuth, for good or not", func(t *testing.T) {
		for _, code := range []string{"250", "220", "432", "454", "500", "504", "530", "534", "535", "538"} {
			r := login(t, smtptest.Polite("AUTH PLAIN").With("AUTH", smtptest.Say(code+" x")))
			err := r.dialFails(smtp.ErrAuth, smtp.ErrResponse)
			if smtp.Temporary(err) != (code[0] != '5') {
				t.Errorf("%v: Temporary() = %v", err, smtp.Temporary(err))
			}
		}
	})
	t.Run("1i-16: a challenge that is no base64 is cancelled, the next is tried", func(t *testing.T) {
		r := login(t, smtptest.Polite("AUTH CRAM-MD5 PLAIN").With("AUTH CRAM-MD5", smtptest.Say("334 !")).With("_line", smtptest.Say("501 cancelled")))
		r.dial()
		if got := tried(r); got != "CRAM-MD5 * PLAIN=" {
			t.Error(got)
		}
	})
	t.Run("1i-17: a token instead of a password", func(t *testing.T) {
		for name, want := range map[string]string{
			"XOAUTH2":     "user=" + testUser + "\x01auth=Bearer " + testToken + "\x01\x01",
			"OAUTHBEARER": "n,a=" + testUser + ",\x01host=127.0.0.1\x01port=PORT\x01auth=Bearer " + testToken + "\x01\x01",
		} {
			r := serve(t, smtptest.Polite("AUTH "+name))
			r.cfg.Username, r.cfg.Token = testUser, giveToken
			r.dial()
			_, port, _ := strings.Cut(r.Addr(), ":")
			r.wantHeard("EHLO client.test", "AUTH "+name+" "+b64(strings.ReplaceAll(want, "PORT", port)))
		}
	})
	t.Run("the password is asked for once, however many mechanisms", func(t *testing.T) {
		asked := 0
		r := login(t, smtptest.Polite("AUTH CRAM-MD5 PLAIN LOGIN").With("AUTH", smtptest.Say("504 no")))
		r.cfg.Secret = func(context.Context) (string, error) { asked++; return testSecret, nil }
		if r.dialFails(smtp.ErrAuth); asked != 1 {
			t.Errorf("%d times", asked)
		}
	})
}

// plainStep takes an initial response, or asks for one.
func plainStep(said string, _ *tls.ConnectionState) smtptest.Answer {
	if said == "AUTH PLAIN" {
		return smtptest.Say("334 ")
	}
	return smtptest.Say("235 ok")
}

// FuzzChallenge: whatever a server challenges with, each mechanism comes to an end
// within bounds, answers in base64 or cancels, never claims a login without 235,
// and no secret gets into an error or the trace.
func FuzzChallenge(f *testing.F) {
	for _, s := range []string{"", "=", "334", "r=x,s=eHg=,i=4096", "v=x", "e=x", "Username:", "\x00\xff", `{"status":"401"}`, "r=,s=,i=-1", "m=x,r=a"} {
		f.Add(s, b64(s), uint8(0))
		f.Add(b64(s), s, uint8(5))
	}
	mechanisms := []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER", "EXTERNAL"}
	f.Fuzz(func(t *testing.T, first, second string, which uint8) {
		if strings.ContainsAny(first+second, "\r\n") {
			return // the end of a line is not for a challenge
		}
		name := mechanisms[int(which)%len(mechanisms)]
		n := 0
		m := newModel("AUTH " + name)
		m.answer = func(line string) string {
			if strings.HasPrefix(line, "EHLO") {
				return ""
			}
			if n++; n > 20 {
				t.Fatal("it never ends")
			}
			if line == "*" || n > 2 {
				return "535 5.7.8 no"
			}
			if n > 1 {
				if _, err := base64.StdEncoding.DecodeString(line); err != nil {
					t.Fatalf("%q is no answer", line)
				}
				return "334 " + second
			}
			return "334 " + first
		}
		d := &diary{}
		cfg := smtp.Config{TLS: smtp.None, LocalName: "client.test", Username: testUser, Auth: []string{name}, Trace: d.trace}
		switch name {
		case "XOAUTH2", "OAUTHBEARER":
			cfg.Token = giveToken
		case "EXTERNAL":
		default:
			cfg.Secret = giveSecret
		}
		_, err := smtp.NewClient(t.Context(), m, cfg)
		var e *smtp.Error
		if !errors.As(d.note(err), &e) || e.Stage != smtp.StageAuth {
			t.Fatalf("%v", err)
		}
		for _, hidden := range hiddenForms() {
			if strings.Contains(d.String(), hidden) {
				t.Fatalf("%q is in %s", hidden, d)
			}
		}
	})
}
