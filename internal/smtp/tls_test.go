package smtp_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// What each mode does with what the server offers.
func TestTLSModes(t *testing.T) {
	t.Parallel()
	offered, plain := smtptest.Polite("STARTTLS"), smtptest.Polite()
	now, never := smtptest.Say("454 4.7.0 not now"), smtptest.Say("502 5.5.1 no")
	for name, test := range map[string]struct {
		mode     smtp.TLSMode
		script   smtptest.Script
		implicit bool // of the server
		secured  bool
		kinds    []error
		forever  bool
	}{
		"never":                    {mode: smtp.None, script: offered},
		"optional":                 {mode: smtp.Opportunistic, script: offered, secured: true},
		"optional, not offered":    {mode: smtp.Opportunistic, script: plain},
		"required":                 {mode: smtp.Required, script: offered, secured: true},
		"implicit":                 {mode: smtp.Implicit, script: offered, implicit: true, secured: true},
		"required, not offered":    {mode: smtp.Required, script: plain, kinds: []error{smtp.ErrTLS, smtp.ErrNotOffered}},
		"required, not now":        {mode: smtp.Required, script: offered.With("STARTTLS", now), kinds: []error{smtp.ErrTLS, smtp.ErrResponse}},
		"required, never":          {mode: smtp.Required, script: offered.With("STARTTLS", never), kinds: []error{smtp.ErrTLS}, forever: true},
		"implicit, server is not":  {mode: smtp.Implicit, script: offered, kinds: []error{smtp.ErrTLS}},
		"server hangs up, no TLS":  {mode: smtp.Required, script: offered.With("STARTTLS", smtptest.Say("220 go").And(smtptest.Close)), kinds: []error{smtp.ErrTLS}},
		"implicit, server is gone": {mode: smtp.Implicit, script: offered.With("_banner", smtptest.Answer{Then: smtptest.Close}), kinds: []error{smtp.ErrTLS}},
		// Whoever can answer for the server could also have the mail in clear.
		"optional, not now": {mode: smtp.Opportunistic, script: offered.With("STARTTLS", now), kinds: []error{smtp.ErrTLS}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serveWith(t, smtptest.Options{Script: test.script, Implicit: test.implicit})
			r.cfg.TLS, r.cfg.CAFile = test.mode, authorityFile(t)
			if test.kinds != nil {
				if err := r.dialFails(test.kinds...); smtp.Temporary(err) == test.forever {
					t.Errorf("%v: Temporary() = %v", err, test.forever)
				}
				for _, command := range r.heard(0).Commands {
					if strings.HasPrefix(command, "MAIL") {
						t.Errorf("the server heard %q", command)
					}
				}
				return
			}
			info := must[smtp.Info](t)(r.dial().Info())
			if secured := info.TLS != nil; secured != test.secured || strings.HasPrefix(info.Cipher(), "TLS") != test.secured {
				t.Errorf("secured %v, %q", secured, info.Cipher())
			}
		})
	}
}

// What is said between 220 and the handshake was put there by someone else; it
// must not be taken for an answer that came over TLS (RFC 3207 6).
func TestTLSInjection(t *testing.T) {
	t.Parallel()
	inject := smtptest.Say("220 go", "250 injected").And(smtptest.StartTLS)
	for name, answer := range map[string]smtptest.Answer{"at once": inject, "slowly": inject.Slowly()} {
		for _, mode := range []smtp.TLSMode{smtp.Opportunistic, smtp.Required} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := serve(t, smtptest.Polite("STARTTLS").With("STARTTLS", answer))
				r.cfg.TLS, r.cfg.Insecure = mode, true
				err := r.dialFails(smtp.ErrTLS)
				if name == "at once" {
					mustBe(t, err, smtp.ErrProtocol)
				}
				r.wantHeard("EHLO client.test", "STARTTLS")
			})
		}
	}
}

// Nothing that was said in clear counts after the handshake (RFC 3207 4.2).
func TestTLSForgets(t *testing.T) {
	t.Parallel()
	before, after := smtptest.Polite("STARTTLS", "AUTH PLAIN", "SIZE 10")["EHLO"][0], smtptest.Polite("DSN")["EHLO"][0]
	r := serve(t, smtptest.Polite().With("EHLO", before, after))
	r.cfg.TLS, r.cfg.Insecure = smtp.Required, true
	r.cfg.Username, r.cfg.Secret = testUser, giveSecret
	r.dialFails(smtp.ErrAuthUnavailable)
	if got := r.heard(0); !got.TLS || len(got.Commands) != 3 || got.Early != "" {
		t.Errorf("%+v", got)
	}

	r = serve(t, smtptest.Polite().With("EHLO", before, after))
	r.cfg.TLS, r.cfg.Insecure = smtp.Opportunistic, true
	c := r.connect()
	must[smtp.Reply](t)(c.Ehlo(t.Context(), ""))
	must[smtp.Reply](t)(c.StartTLS(t.Context()))
	if e := c.Extensions(); e.Has("STARTTLS") || e.MaxSize() != 0 || !e.Has("DSN") {
		t.Errorf("extensions %q", e.Names())
	}
	_, err := c.StartTLS(t.Context())
	mustBe(t, err, smtp.ErrTLS) // once is enough

	// The answer to the second EHLO is what decides.
	r = serve(t, smtptest.Polite().With("EHLO", before, smtptest.Say("554 5.7.1 not you")))
	r.cfg.TLS, r.cfg.Insecure = smtp.Opportunistic, true
	c = r.connect()
	_, err = c.StartTLS(t.Context())
	mustBe(t, r.diary.note(err), smtp.ErrHello)
	if !c.NeedsHello() || c.SupportsExtension("SIZE") {
		t.Error("the first EHLO still counts")
	}
}

// Which certificates are good enough.
func TestTLSVerification(t *testing.T) {
	t.Parallel()
	cert := serverCert(t, "127.0.0.1", "smarthost.test")
	sum := sha256.Sum256(cert.Certificate[0])
	pin := hex.EncodeToString(sum[:])
	other := strings.Repeat("0", 64)
	own := authorityFile(t)
	stranger := must[*smtptest.Authority](t)(smtptest.NewAuthority())
	for name, test := range map[string]struct {
		configure func(*smtp.Config)
		bad       string // in the error
	}{
		"own authority":         {func(c *smtp.Config) { c.CAFile = own }, ""},
		"unknown authority":     {func(*smtp.Config) {}, "127.0.0.1"},
		"another authority":     {func(c *smtp.Config) { c.CAFile = fileOf(t, stranger.PEM()) }, "unknown authority"},
		"other name":            {func(c *smtp.Config) { c.CAFile, c.ServerName = own, "smarthost.test" }, ""},
		"wrong name":            {func(c *smtp.Config) { c.CAFile, c.ServerName = own, "other.test" }, "other.test"},
		"anything":              {func(c *smtp.Config) { c.Insecure = true }, ""},
		"fingerprint":           {func(c *smtp.Config) { c.Fingerprints = []string{other, pin} }, ""},
		"fingerprint, capitals": {func(c *smtp.Config) { c.Fingerprints = []string{strings.ToUpper(pin[:2]) + ":" + pin[2:]} }, ""},
		// Then the name does not count.
		"fingerprint, wrong name": {func(c *smtp.Config) { c.Fingerprints, c.ServerName = []string{pin}, "other.test" }, ""},
		"wrong fingerprint":       {func(c *smtp.Config) { c.Fingerprints = []string{other} }, pin},
		// The authority is not enough once there is a pin.
		"fingerprint and authority": {func(c *smtp.Config) { c.Fingerprints, c.CAFile = []string{other}, own }, pin},
		"no such file":              {func(c *smtp.Config) { c.CAFile = own + ".none" }, "no such file"},
		"no certificate":            {func(c *smtp.Config) { c.CAFile = fileOf(t, []byte("x")) }, "PEM"},
		"configuration": {func(c *smtp.Config) {
			c.TLSConfig = &tls.Config{RootCAs: must[*smtptest.Authority](t)(testAuthority()).Pool()}
		}, ""},
		"configuration, unknown": {func(c *smtp.Config) { c.TLSConfig = new(tls.Config) }, "unknown authority"},
	} {
		for _, implicit := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := serveWith(t, smtptest.Options{
					Script: smtptest.Polite("STARTTLS"), Implicit: implicit,
					TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
				})
				r.cfg.TLS = smtp.Required
				if implicit {
					r.cfg.TLS = smtp.Implicit
				}
				test.configure(&r.cfg)
				if test.bad == "" {
					r.dial()
				} else if err := r.dialFails(smtp.ErrTLS); !strings.Contains(err.Error(), test.bad) {
					t.Errorf("%q does not say %q", err, test.bad)
				}
			})
		}
	}
}

// A server that can do no better than TLS 1.1 is not good enough (RFC 8996).
func TestTLSOld(t *testing.T) {
	t.Parallel()
	old := serverTLS(t)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	r := serveWith(t, smtptest.Options{Script: smtptest.Polite("STARTTLS"), TLS: old})
	r.cfg.TLS, r.cfg.Insecure = smtp.Opportunistic, true
	r.dialFails(smtp.ErrTLS)
}

// The certificate of a client logs it in where the server asks for one.
func TestTLSClientCertificate(t *testing.T) {
	t.Parallel()
	a := must[*smtptest.Authority](t)(testAuthority())
	mine := must[tls.Certificate](t)(a.Client("client.test"))
	both := must[[]byte](t)(smtptest.CertificatePEM(mine))
	_, key, _ := bytes.Cut(both, []byte("-----END CERTIFICATE-----\n"))
	asking := serverTLS(t)
	asking.ClientAuth, asking.ClientCAs = tls.RequireAndVerifyClientCert, a.Pool()
	for name, test := range map[string]struct {
		cert, key string
		good      bool
	}{
		"one file":      {fileOf(t, both), "", true},
		"two files":     {fileOf(t, both), fileOf(t, key), true},
		"none":          {"", "", false},
		"without a key": {fileOf(t, bytes.TrimSuffix(both, key)), "", false},
		"no such file":  {"/nonexistent", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serveWith(t, smtptest.Options{Script: smtptest.Polite("STARTTLS", "AUTH EXTERNAL"), TLS: asking})
			r.cfg.TLS, r.cfg.CAFile = smtp.Required, authorityFile(t)
			r.cfg.ClientCert, r.cfg.ClientKey, r.cfg.Auth = test.cert, test.key, []string{"EXTERNAL"}
			c, err := smtp.Dial(t.Context(), r.cfg)
			if r.diary.note(err) == nil {
				c.Close()
			}
			if (err == nil) != test.good {
				t.Errorf("%v", err)
			}
			if login := slices.Contains(r.heard(0).Commands, "AUTH EXTERNAL ="); login != test.good {
				t.Errorf("the server heard %q", r.heard(0).Commands)
			}
		})
	}
}

// A service with TLS from the start is preferred (RFC 8314 5.1); that for
// STARTTLS must then have it, whoever says that it does not.
func TestTLSBySRV(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		banner, hello string
		kind          error
	}{
		"the first":      {"220 hi", "250 hi", nil},
		"the second":     {"421 busy", "250-hi\r\n250 STARTTLS", nil},
		"no longer safe": {"421 busy", "250 hi", smtp.ErrNotOffered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			polite := smtptest.Polite().With("EHLO", smtptest.Say(test.hello))
			r := serveWith(t, smtptest.Options{Script: polite.With("_banner", smtptest.Say(test.banner)), Implicit: true})
			second := smtptest.New(t, smtptest.Options{Script: polite, TLS: serverTLS(t)})
			srv := func(port int) []*net.SRV { return []*net.SRV{{Target: "localhost.", Port: uint16(port)}} }
			r.cfg.Hosts, r.cfg.Lookup, r.cfg.TLS, r.cfg.CAFile = []string{"localhost"}, smtp.LookupSRV, smtp.Opportunistic, authorityFile(t)
			r.cfg.Resolver = &zone{
				srv: map[string][]*net.SRV{"submissions.localhost": srv(r.Port()), "submission.localhost": srv(second.Port())},
				ip:  map[string][]string{"localhost": {"127.0.0.1"}},
			}
			if test.kind != nil {
				r.dialFails(test.kind)
			} else if info := must[smtp.Info](t)(r.dial().Info()); info.TLS == nil {
				t.Error("not secured")
			}
			if n := len(second.Sessions()); (n == 0) != (name == "the first") {
				t.Errorf("%d sessions at the second", n)
			}
		})
	}
}

// A handshake that does not go on is bounded by the time for connecting.
func TestTLSSilence(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode   smtp.TLSMode
		script smtptest.Script
	}{
		"implicit": {smtp.Implicit, smtptest.Script{"_banner": {{Then: smtptest.Silence}}}},
		"STARTTLS": {smtp.Required, smtptest.Polite("STARTTLS").With("STARTTLS", smtptest.Say("220 go").And(smtptest.Silence))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := serveOver(t, test.script)
				r.cfg.TLS, r.cfg.CommandTimeout, r.cfg.ConnectTimeout = test.mode, time.Hour, 7*time.Second
				began := time.Now()
				err := r.dialFails(smtp.ErrTLS, smtp.ErrTimeout)
				if d := time.Since(began); d != r.cfg.ConnectTimeout || errors.Is(err, smtp.ErrProtocol) {
					t.Errorf("%v after %v", err, d)
				}
			})
		})
	}
}
