package smtp_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// tried are the mechanisms that the n-th session asked for, "LOGIN=" with an
// initial response, and "*" for those that were cancelled.
func tried(r *rig) string {
	var out []string
	for _, command := range r.heard(0).Commands {
		verb, rest, _ := strings.Cut(command, " ")
		name, _, initial := strings.Cut(rest, " ")
		switch {
		case verb == "AUTH" && initial:
			out = append(out, name+"=")
		case verb == "AUTH":
			out = append(out, name)
		case rest == "*":
			out = append(out, "*")
		}
	}
	return strings.Join(out, " ")
}

// The strongest mechanism is the first, whatever the server's order, and each is
// tried once: what a server offers need not work.
func TestAuthOrder(t *testing.T) {
	t.Parallel()
	offer := "AUTH LOGIN PLAIN CRAM-MD5 X-OWN SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS XOAUTH2 OAUTHBEARER EXTERNAL"
	secret := func(c *smtp.Config) { c.Username, c.Secret = testUser, giveSecret }
	for name, test := range map[string]struct {
		configure func(*smtp.Config)
		want      string
	}{
		// LOGIN is tried again without the initial response.
		"password": {secret, "SCRAM-SHA-256= SCRAM-SHA-1= CRAM-MD5 PLAIN= LOGIN= LOGIN"},
		// Channel binding is possible on TLS only, and then best.
		"password, TLS": {
			func(c *smtp.Config) { secret(c); c.TLS, c.Insecure = smtp.Required, true },
			"SCRAM-SHA-256-PLUS= SCRAM-SHA-256= SCRAM-SHA-1-PLUS= SCRAM-SHA-1= CRAM-MD5 PLAIN= LOGIN= LOGIN",
		},
		"some":     {func(c *smtp.Config) { secret(c); c.Auth = []string{"plain", "Cram-MD5"} }, "CRAM-MD5 PLAIN="},
		"token":    {func(c *smtp.Config) { c.Username, c.Token = testUser, giveToken }, "OAUTHBEARER= XOAUTH2="},
		"external": {func(c *smtp.Config) { c.Auth = []string{"EXTERNAL"} }, "EXTERNAL="},
		// A name without a password is a login with an empty one.
		"name only": {func(c *smtp.Config) { c.Username, c.Auth = testUser, []string{"PLAIN"} }, "PLAIN="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, smtptest.Polite("STARTTLS", offer).With("AUTH", smtptest.Say("504 5.5.4 not here")))
			test.configure(&r.cfg)
			r.dialFails(smtp.ErrAuth)
			if got := tried(r); got != test.want {
				t.Errorf("tried %s, want %s", got, test.want)
			}
		})
	}
}

// What comes after the answer to a mechanism. Offered are CRAM-MD5, PLAIN and
// LOGIN, in this order.
func TestAuthFallBack(t *testing.T) {
	t.Parallel()
	ok, not := "235 2.7.0 welcome", "504 5.5.4 not here"
	for name, test := range map[string]struct {
		cram, plain, login string
		tried              string
		code               int // of the error, 0 for none
	}{
		"first":           {cram: ok, tried: "CRAM-MD5"},
		"not implemented": {cram: not, plain: ok, tried: "CRAM-MD5 PLAIN="},
		// No data base behind CRAM-MD5 at many servers, which say so as "wrong".
		"wrong":      {cram: "535 5.7.8 no", plain: ok, tried: "CRAM-MD5 PLAIN="},
		"temporary":  {cram: "454 4.7.0 later", plain: ok, tried: "CRAM-MD5 PLAIN="},
		"too weak":   {cram: "534 5.7.9 weak", plain: ok, tried: "CRAM-MD5 PLAIN="},
		"last":       {cram: not, plain: not, login: ok, tried: "CRAM-MD5 PLAIN= LOGIN="},
		"no base64":  {cram: "334 ***", plain: ok, tried: "CRAM-MD5 * PLAIN="},
		"bare 535":   {cram: not, plain: "535 no", login: ok, tried: "CRAM-MD5 PLAIN= LOGIN="},
		"other 535":  {cram: not, plain: "535 5.7.0 no", login: ok, tried: "CRAM-MD5 PLAIN= LOGIN="},
		"odd prompt": {cram: not, plain: "334 UGFzcw==", login: ok, tried: "CRAM-MD5 PLAIN= * LOGIN="},
		// The account itself.
		"disabled":    {cram: "525 5.7.13 off", tried: "CRAM-MD5", code: 525},
		"disabled, 2": {cram: "535 5.7.13 off", tried: "CRAM-MD5", code: 535},
		// The server has seen the password, so that LOGIN only counts as another
		// wrong attempt.
		"wrong in full": {cram: not, plain: "535 5.7.8 no", tried: "CRAM-MD5 PLAIN=", code: 535},
		"off":           {cram: not, plain: "421 4.3.2 off", tried: "CRAM-MD5 PLAIN=", code: 421},
		// The error is the one that says most.
		"wrong is most":     {cram: "535 5.7.8 no", plain: not, login: "454 4.7.0 later", tried: "CRAM-MD5 PLAIN= LOGIN=", code: 535},
		"temporary is more": {cram: "454 4.7.0 later", plain: not, login: "534 5.7.9 weak", tried: "CRAM-MD5 PLAIN= LOGIN=", code: 454},
		"all weak":          {cram: not, plain: not, login: "534 5.7.9 weak", tried: "CRAM-MD5 PLAIN= LOGIN=", code: 534},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, smtptest.Polite("AUTH PLAIN LOGIN CRAM-MD5").
				With("AUTH CRAM-MD5", smtptest.Say(test.cram)).With("AUTH PLAIN", smtptest.Say(test.plain)).
				With("AUTH LOGIN", smtptest.Say(test.login)).With("_line", smtptest.Say("501 5.5.2 cancelled")))
			r.cfg.Username, r.cfg.Secret = testUser, giveSecret
			c, err := smtp.Dial(t.Context(), r.cfg)
			var e *smtp.Error
			switch {
			case test.code == 0 && err != nil:
				t.Fatal(err)
			case test.code == 0:
				c.Close()
			case !errors.As(r.diary.note(err), &e) || e.Code != test.code || !errors.Is(err, smtp.ErrAuth):
				t.Errorf("%v", err)
			}
			if got := tried(r); got != test.tried {
				t.Errorf("tried %s, want %s", got, test.tried)
			}
		})
	}
}

// What each mechanism says, and how it answers.
func TestAuthExchange(t *testing.T) {
	t.Parallel()
	user, pass := b64("VXNlcm5hbWU6"), b64("Password:")
	long := strings.Repeat("x", 600)
	for name, test := range map[string]struct {
		mechanism string
		token     string
		with      string // key of the first answer, AUTH if empty
		answers   []string
		lines     []string
		heard     []string
		kind      error
	}{
		"LOGIN, initial": {
			mechanism: "LOGIN", answers: []string{"334 " + pass}, lines: []string{"235 ok"},
			heard: []string{"AUTH LOGIN " + b64(testUser), "_line " + b64(testSecret)},
		},
		// Old servers call the initial response a syntax error.
		"LOGIN, no initial": {
			mechanism: "LOGIN", answers: []string{"501 5.5.2 syntax", "334 " + user}, lines: []string{"334 " + pass, "235 ok"},
			heard: []string{"AUTH LOGIN " + b64(testUser), "AUTH LOGIN", "_line " + b64(testUser), "_line " + b64(testSecret)},
		},
		// Others ignore it.
		"LOGIN, name again": {
			mechanism: "LOGIN", answers: []string{"334 " + b64("Username:")}, lines: []string{"334 " + pass, "235 ok"},
			heard: []string{"AUTH LOGIN " + b64(testUser), "_line " + b64(testUser), "_line " + b64(testSecret)},
		},
		"LOGIN, never ends": {
			mechanism: "LOGIN", answers: []string{"334 " + pass}, lines: []string{"334 " + pass, "501 cancelled"}, kind: smtp.ErrAuthUnavailable,
			heard: []string{"AUTH LOGIN " + b64(testUser), "_line " + b64(testSecret), "_line *"},
		},
		// "Never ends", even for a mechanism that always has an answer.
		"CRAM-MD5, never ends": {
			mechanism: "CRAM-MD5", answers: []string{"334 " + b64("a")}, lines: []string{"334 " + b64("b")}, kind: smtp.ErrAuthUnavailable,
		},
		"OAUTHBEARER, refused": {
			mechanism: "OAUTHBEARER", token: testToken, answers: []string{"334 " + b64(`{"status":"invalid_token"}`)}, lines: []string{"535 5.7.8 no"}, kind: smtp.ErrAuth,
		},
		"XOAUTH2, refused": {
			mechanism: "XOAUTH2", token: testToken, answers: []string{"334 " + b64(`{"status":"400"}`)}, lines: []string{"535 5.7.8 no"}, kind: smtp.ErrAuth,
			heard: []string{"AUTH XOAUTH2 " + b64("user="+testUser+"\x01auth=Bearer "+testToken+"\x01\x01"), "_line "},
		},
		// A command has at most 512 octets; what is longer waits for a challenge.
		"XOAUTH2, long": {
			mechanism: "XOAUTH2", token: testToken + long, answers: []string{"334 "}, lines: []string{"235 ok"},
			heard: []string{"AUTH XOAUTH2", "_line " + b64("user="+testUser+"\x01auth=Bearer "+testToken+long+"\x01\x01")},
		},
		// Success before the server has proved that it knows the password too.
		"SCRAM, no proof": {mechanism: "SCRAM-SHA-256", answers: []string{"235 ok"}, kind: smtp.ErrProtocol},
		"SCRAM, too dear": {mechanism: "SCRAM-SHA-256", answers: []string{"334 " + b64("r=x,s=eHg=,i=99999999")}, lines: []string{"501 cancelled"}, kind: smtp.ErrAuthUnavailable},
		// Servers that do not understand a line quote it, and more.
		"quoted": {
			mechanism: "PLAIN", answers: []string{"500 what is " + b64("\x00"+testUser+"\x00"+testSecret) + "?"}, kind: smtp.ErrAuth,
		},
		"quoted password": {
			mechanism: "LOGIN", answers: []string{"334 " + pass}, lines: []string{"535 5.7.8 " + testSecret + " or " + b64(testSecret) + " is wrong"}, kind: smtp.ErrAuth,
		},
		"quoted badly": {mechanism: "PLAIN", answers: []string{testSecret + "?"}, kind: smtp.ErrProtocol},
		"quoted token": {mechanism: "XOAUTH2", token: testToken, answers: []string{"421 " + testToken}, kind: smtp.ErrAuth},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := smtptest.Polite("AUTH "+test.mechanism).With("AUTH", answers(test.answers)...).With("_line", answers(test.lines)...)
			r := serve(t, script)
			if r.cfg.Username = testUser; test.token == "" {
				r.cfg.Secret = giveSecret
			} else {
				r.cfg.Token = func(context.Context) (string, error) { return test.token, nil }
			}
			if test.kind != nil {
				r.dialFails(test.kind)
			} else if info := must[smtp.Info](t)(r.dial().Info()); info.Mechanism != test.mechanism {
				t.Errorf("%+v", info)
			}
			got := r.heard(0).Commands[1:]
			if test.heard != nil && !slices.Equal(got, test.heard) {
				t.Errorf("the server heard %q, want %q", got, test.heard)
			}
		})
	}
}

func answers(lines []string) (out []smtptest.Answer) {
	for _, line := range lines {
		out = append(out, smtptest.Say(line))
	}
	return out
}

// Where somebody could listen, no secret is sent, nor even asked for.
func TestAuthUnsafe(t *testing.T) {
	t.Parallel()
	asked := 0
	secret := func(context.Context) (string, error) { asked++; return testSecret, nil }
	var script smtptest.Script
	// It leads from a proxy to loopback, but what is between is not known.
	proxied := func(t *testing.T, tls smtp.TLSMode, allow bool) (*rig, error) {
		r := serve(t, script)
		p := newSocks(t, &socks{to: r.Addr()})
		r.cfg.Hosts, r.cfg.Proxy = []string{"localhost"}, "socks5://"+p.Addr().String()
		r.cfg.TLS, r.cfg.Insecure, r.cfg.AllowPlaintextAuth = tls, true, allow
		r.cfg.Username, r.cfg.Secret = testUser, secret
		c, err := smtp.Dial(t.Context(), r.cfg)
		if r.diary.note(err) == nil {
			c.Close()
		}
		return r, err
	}
	script = smtptest.Polite("AUTH PLAIN")
	r, err := proxied(t, smtp.None, false)
	mustBe(t, err, smtp.ErrPlaintextAuth)
	if asked > 0 || tried(r) != "" {
		t.Errorf("asked for the secret %d times, tried %s", asked, tried(r))
	}
	if _, err = proxied(t, smtp.None, true); err != nil {
		t.Error(err)
	}
	script = smtptest.Polite("AUTH PLAIN", "STARTTLS")
	if _, err = proxied(t, smtp.Required, false); err != nil {
		t.Error(err)
	}

	// So it is with every method that logs in.
	ours, theirs := net.Pipe()
	s := smtptest.Over(t, theirs, smtptest.Options{Script: script})
	c := must[*smtp.Client](t)(smtp.NewClient(t.Context(), ours, smtp.Config{TLS: smtp.None}))
	for _, login := range []func(context.Context, string, string) (smtp.Reply, error){c.AuthPlain, c.AuthLogin, c.AuthCRAMMD5} {
		_, err := login(t.Context(), testUser, testSecret)
		mustBe(t, err, smtp.ErrPlaintextAuth)
	}
	c.Close()
	s.Wait()
	if got := s.Sessions()[0].Commands; len(got) != 1 {
		t.Errorf("the server heard %q", got)
	}
}

// What fails before anything is sent.
func TestAuthImpossible(t *testing.T) {
	t.Parallel()
	broken := errors.New("the key ring is locked")
	for name, test := range map[string]struct {
		offer  string
		secret func(context.Context) (string, error)
		kind   error
	}{
		"nothing offered": {"SIZE", giveSecret, smtp.ErrAuthUnavailable},
		"nothing known":   {"AUTH GSSAPI NTLM", giveSecret, smtp.ErrAuthUnavailable},
		"no secret":       {"AUTH PLAIN", func(context.Context) (string, error) { return "", broken }, broken},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, smtptest.Polite(test.offer))
			r.cfg.Username, r.cfg.Secret = testUser, test.secret
			if err := r.dialFails(test.kind); errors.Is(err, smtp.ErrAuth) {
				t.Errorf("%v: the server did not refuse anything", err)
			}
			r.wantHeard("EHLO client.test")
		})
	}
}

// The methods for one mechanism, with the example of RFC 2195.
func TestAuthMethods(t *testing.T) {
	t.Parallel()
	challenge := b64("<1896.697170952@postoffice.reston.mci.net>")
	r := serve(t, smtptest.Polite("AUTH=PLAIN LOGIN", "AUTH CRAM-MD5").
		With("AUTH CRAM-MD5", smtptest.Say("334 "+challenge)).With("_line", smtptest.Say("235 ok")))
	c := r.connect()
	must[smtp.Reply](t)(c.AuthCRAMMD5(t.Context(), "tim", "tanstaaftanstaaf"))
	must[smtp.Reply](t)(c.AuthPlain(t.Context(), "tim", "tanstaaf"))
	must[smtp.Reply](t)(c.AuthLogin(t.Context(), "tim", "tanstaaf"))
	if got := c.AuthMechanisms(); !slices.Equal(got, []string{"CRAM-MD5", "PLAIN", "LOGIN"}) {
		t.Errorf("AuthMechanisms() = %q", got)
	}
	c.Close()
	r.wantHeard("EHLO client.test", "AUTH CRAM-MD5", "_line dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw",
		"AUTH PLAIN "+b64("\x00tim\x00tanstaaf"), "AUTH LOGIN "+b64("tim"))
	if strings.Contains(r.diary.String(), "tanstaaf") || !strings.Contains(r.diary.String(), "> AUTH PLAIN [secret]\n") {
		t.Error(r.diary.String())
	}
}
