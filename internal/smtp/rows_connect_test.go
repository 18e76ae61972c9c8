package smtp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// The rows are those of the description of the client, "smtp-client-rows": what
// each connection option, command, error and type has to do.

// Rows 1 to 11: where the connection goes and how it is secured.
func TestRowsReach(t *testing.T) {
	t.Parallel()
	// asked connects by a resolver that has nothing, and says what name was looked
	// up and which port would have been taken.
	asked := func(t *testing.T, cfg smtp.Config) (string, string) {
		z := &zone{ip: map[string][]string{"localhost": {"192.0.2.1"}, "mail.test": {"192.0.2.1"}}}
		cfg.Resolver = z
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nobody is connected to
		_, err := smtp.Connect(ctx, cfg)
		if err == nil || len(z.asked) != 1 {
			t.Fatalf("asked for %q: %v", z.asked, err)
		}
		var e *smtp.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(e.Host)
		return z.asked[0], port
	}
	t.Run("row 1: the host is localhost by default", func(t *testing.T) {
		if host, _ := asked(t, smtp.Config{}); host != "localhost" {
			t.Error(host)
		}
	})
	t.Run("row 2: the port follows from the TLS mode", func(t *testing.T) {
		for mode, want := range map[smtp.TLSMode]string{smtp.Implicit: "465", smtp.Required: "587", smtp.Opportunistic: "25", smtp.None: "25"} {
			if _, port := asked(t, smtp.Config{TLS: mode}); port != want {
				t.Errorf("mode %d: port %s, want %s", mode, port, want)
			}
		}
		if _, port := asked(t, smtp.Config{TLS: smtp.Implicit, Port: 2525}); port != "2525" {
			t.Error(port)
		}
	})
	t.Run("row 3: login after connecting; a name alone has an empty password", func(t *testing.T) {
		r := serve(t, smtptest.Polite("AUTH PLAIN"))
		r.cfg.Username = "me"
		r.dial()
		r.wantHeard("EHLO client.test", "AUTH PLAIN "+b64("\x00me\x00"))
	})
	t.Run("row 4: the local name is ours or our address, never DNS", func(t *testing.T) {
		r := serve(t, smtptest.Polite())
		z := &zone{}
		r.cfg.LocalName, r.cfg.Resolver = "", z
		r.dial()
		if r.wantHeard("EHLO [127.0.0.1]"); len(z.asked) > 0 {
			t.Errorf("asked for %q", z.asked)
		}
	})
	t.Run("row 5: the source address is ours to choose", func(t *testing.T) {
		r := serve(t, smtptest.Polite())
		free := must[net.Listener](t)(net.Listen("tcp", "127.0.0.3:0"))
		port := free.Addr().String()
		free.Close()
		for _, source := range []string{"", "127.0.0.3", "127.0.0.3:0", port} {
			r.cfg.SourceAddress = source
			local := must[smtp.Info](t)(r.dial().Info()).Local.String()
			host, _, _ := net.SplitHostPort(local)
			if source == "" && host != "127.0.0.1" || source != "" && host != "127.0.0.3" || source == port && local != port {
				t.Errorf("%q: from %s", source, local)
			}
		}
	})
	t.Run("row 6: 60 seconds for a reply, unless said otherwise", func(t *testing.T) {
		for _, set := range []time.Duration{0, 7 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				r := serveOver(t, smtptest.Polite().With("EHLO", smtptest.Answer{Then: smtptest.Silence}))
				r.cfg.CommandTimeout = set
				began, want := time.Now(), set
				if set == 0 {
					want = 60 * time.Second
				}
				r.dialFails(smtp.ErrReadTimeout)
				if d := time.Since(began); d != want {
					t.Errorf("after %v, want %v", d, want)
				}
			})
		}
	})
	for _, test := range []struct {
		row     string
		mode    smtp.TLSMode
		offered bool
		secured bool
		kind    error
		heard   []string
	}{
		{"row 7: implicit TLS, from the first octet", smtp.Implicit, false, true, nil, []string{"EHLO client.test"}},
		{"row 8: opportunistic, offered", smtp.Opportunistic, true, true, nil, []string{"EHLO client.test", "STARTTLS", "EHLO client.test"}},
		{"row 8: opportunistic, not offered", smtp.Opportunistic, false, false, nil, []string{"EHLO client.test"}},
		{"row 9: required, offered", smtp.Required, true, true, nil, []string{"EHLO client.test", "STARTTLS", "EHLO client.test"}},
		{"row 9: required, not offered: an error, nothing sent", smtp.Required, false, false, smtp.ErrNotOffered, []string{"EHLO client.test"}},
		{"row 10: never", smtp.None, true, false, nil, []string{"EHLO client.test"}},
	} {
		t.Run(test.row, func(t *testing.T) {
			script := smtptest.Polite("SIZE")
			if test.offered {
				script = smtptest.Polite("STARTTLS")
			}
			r := serveWith(t, smtptest.Options{Script: script, Implicit: test.mode == smtp.Implicit})
			r.cfg.TLS, r.cfg.Insecure = test.mode, true
			if test.kind != nil {
				r.dialFails(test.kind)
			} else if info := must[smtp.Info](t)(r.dial().Info()); (info.TLS != nil) != test.secured {
				t.Errorf("%+v", info)
			}
			r.wantHeard(test.heard...)
		})
	}
}

// Rows 11 to 19: options that exclude each other, and what they are.
func TestRowsOptions(t *testing.T) {
	t.Parallel()
	secret := giveSecret
	files := smtp.Config{ClientCert: "x", TLSConfig: &tls.Config{}}
	for _, test := range []struct {
		row string
		cfg smtp.Config
	}{
		{"row 14: a TLS configuration excludes certificate files", files},
		{"row 14: and an authority", smtp.Config{CAFile: "x", TLSConfig: &tls.Config{}}},
		{"row 14: and pins", smtp.Config{Fingerprints: []string{strings.Repeat("0", 64)}, TLSConfig: &tls.Config{}}},
		{"row 13: a key needs a certificate", smtp.Config{ClientKey: "x"}},
		{"row 12: no verification excludes pins", smtp.Config{Insecure: true, Fingerprints: []string{strings.Repeat("0", 64)}}},
		{"row 16: a socket excludes a port", smtp.Config{Socket: "/x", Port: 25}},
		{"row 16: a socket excludes a proxy", smtp.Config{Socket: "/x", Proxy: "socks5://h:1"}},
		{"row 16: a socket excludes a command", smtp.Config{Socket: "/x", ConnectCommand: []string{"x"}}},
		{"row 16: a socket excludes MX", smtp.Config{Socket: "/x", Lookup: smtp.LookupMX}},
		{"row 16: a socket excludes a source", smtp.Config{Socket: "/x", SourceAddress: "127.0.0.1"}},
		{"row 18: a port that is none", smtp.Config{Port: 65536}},
		{"row 18: a port below", smtp.Config{Port: -1}},
		{"row 18: an empty host", smtp.Config{Hosts: []string{""}}},
		{"row 18: a host of two words", smtp.Config{Hosts: []string{"a b"}}},
		{"row 18: a password and a token", smtp.Config{Secret: secret, Token: secret}},
		{"row 18: a command and a proxy", smtp.Config{ConnectCommand: []string{"x"}, Proxy: "socks5://h:1"}},
		{"row 18: a command and SRV", smtp.Config{ConnectCommand: []string{"x"}, Lookup: smtp.LookupSRV}},
		{"row 18: a command and a source", smtp.Config{ConnectCommand: []string{"x"}, SourceAddress: "127.0.0.1"}},
		{"row 18: a source that is a name", smtp.Config{SourceAddress: "localhost"}},
		{"row 18: a source with a bad port", smtp.Config{SourceAddress: "127.0.0.1:x"}},
		{"row 18: a source that is a name with a port", smtp.Config{SourceAddress: "localhost:1"}},
		{"row 18: a proxy of another kind", smtp.Config{Proxy: "http://h:1"}},
		{"row 18: a proxy without a port", smtp.Config{Proxy: "socks5://h"}},
		{"row 18: a proxy that is no URL", smtp.Config{Proxy: "socks5://h:x y"}},
		{"row 18: a fingerprint that is short", smtp.Config{Fingerprints: []string{"00"}}},
		{"row 18: a mechanism that is none", smtp.Config{Auth: []string{"GSSAPI"}}},
		{"row 18: a name with a control character", smtp.Config{Username: "a\x00b"}},
		{"row 18: a server name of two words", smtp.Config{ServerName: "a b"}},
	} {
		t.Run(test.row, func(t *testing.T) {
			test.cfg.Resolver = &zone{err: errors.New("nobody may be asked")}
			_, err := smtp.Dial(t.Context(), test.cfg)
			mustBe(t, err, smtp.ErrInvalid)
			if smtp.Temporary(err) {
				t.Errorf("%v is temporary", err)
			}
		})
	}
	t.Run("row 18: all faults are told at once", func(t *testing.T) {
		err := (&smtp.Config{Port: -1, LocalName: "a b", ClientKey: "x"}).Validate()
		if n := len(strings.Split(err.Error(), "\n")); n != 3 {
			t.Errorf("%d faults: %v", n, err)
		}
	})
	t.Run("row 11: one mode, so that implicit TLS and STARTTLS cannot meet", func(t *testing.T) {
		r := serveWith(t, smtptest.Options{Script: smtptest.Polite("STARTTLS"), Implicit: true})
		r.cfg.TLS, r.cfg.Insecure = smtp.Implicit, true
		r.dial()
		r.wantHeard("EHLO client.test") // although it is offered
	})
	t.Run("row 19: a changed copy is a new client", func(t *testing.T) {
		r := serve(t, smtptest.Polite())
		first := r.dial()
		r.cfg.LocalName = "other.test"
		if second := r.dial(); first.LocalName() != "client.test" || second.LocalName() != "other.test" {
			t.Errorf("%s, %s", first.LocalName(), second.LocalName())
		}
	})
}

// Rows 12 to 17 and 20 to 22: certificates, sockets, greeting, connecting again.
func TestRowsConnect(t *testing.T) {
	t.Parallel()
	secured := func(t *testing.T, edit func(*smtp.Config)) *rig {
		r := serve(t, smtptest.Polite("STARTTLS"))
		r.cfg.TLS = smtp.Required
		edit(&r.cfg)
		return r
	}
	t.Run("row 12: certificates are verified by default", func(t *testing.T) {
		secured(t, func(*smtp.Config) {}).dialFails(smtp.ErrTLS, smtp.ErrCertificate)
		secured(t, func(c *smtp.Config) { c.CAFile, c.ServerName = authorityFile(t), "else.test" }).dialFails(smtp.ErrCertificate)
		secured(t, func(c *smtp.Config) { c.Insecure = true }).dial()
	})
	t.Run("row 14: a ready-made configuration", func(t *testing.T) {
		a := must[*smtptest.Authority](t)(testAuthority())
		secured(t, func(c *smtp.Config) { c.TLSConfig = &tls.Config{RootCAs: a.Pool()} }).dial()
	})
	t.Run("row 15: authorities from a file, instead of the system's", func(t *testing.T) {
		secured(t, func(c *smtp.Config) { c.CAFile = authorityFile(t) }).dial()
	})
	t.Run("row 16: a unix socket; the host is the name to verify", func(t *testing.T) {
		path := t.TempDir() + "/s"
		r := serveWith(t, smtptest.Options{Script: smtptest.Polite("STARTTLS"), Unix: path})
		r.cfg.Hosts, r.cfg.Socket, r.cfg.TLS, r.cfg.CAFile = []string{"localhost"}, path, smtp.Required, authorityFile(t)
		r.dial()
		r.cfg.Hosts = []string{"else.test"}
		r.dialFails(smtp.ErrCertificate)
	})
	t.Run("row 17: a connection that exists is ours from then on", func(t *testing.T) {
		r := serve(t, smtptest.Polite())
		conn := must[net.Conn](t)(net.Dial("tcp", r.Addr()))
		c := must[*smtp.Client](t)(smtp.NewClient(t.Context(), conn, r.cfg))
		must[smtp.Reply](t)(c.Quit(t.Context()))
		if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
	t.Run("row 20: a greeting other than 220 fails", func(t *testing.T) {
		for _, code := range []string{"221", "250", "354", "421", "450", "554"} {
			r := serve(t, smtptest.Polite().With("_banner", smtptest.Say(code+" x")))
			err := r.dialFails(smtp.ErrGreeting, smtp.ErrConnect, smtp.ErrResponse)
			if smtp.Temporary(err) != (code[0] != '5') {
				t.Errorf("%v: Temporary() = %v", err, smtp.Temporary(err))
			}
			r.wantHeard()
		}
		r := serve(t, smtptest.Polite().With("_banner", smtptest.Say("220-a", "220 b")))
		if got := r.connect().Greeting(); got.Code != 220 || got.Text() != "a\nb" {
			t.Errorf("%v", got)
		}
	})
	t.Run("row 21: a failure on the way closes", func(t *testing.T) {
		r := serve(t, smtptest.Polite("AUTH PLAIN").With("AUTH", smtptest.Say("535 5.7.8 no")))
		r.cfg.Username, r.cfg.Secret = testUser, giveSecret
		r.dialFails(smtp.ErrAuth)
		r.Wait() // until the server has seen the end
	})
	t.Run("row 22: after the end, or a loss, one connects again", func(t *testing.T) {
		r := serve(t, smtptest.Polite())
		must[smtp.Reply](t)(r.dial().Quit(t.Context()))
		r.dial().Close()
		must[smtp.Reply](t)(r.dial().Noop(t.Context()))
	})
	t.Run("row 13: the key may be in the file of the certificate", func(t *testing.T) {
		a := must[*smtptest.Authority](t)(testAuthority())
		both := must[[]byte](t)(smtptest.CertificatePEM(must[tls.Certificate](t)(a.Client("me"))))
		name := fileOf(t, both)
		asking := serverTLS(t)
		asking.ClientAuth, asking.ClientCAs = tls.RequireAndVerifyClientCert, a.Pool()
		r := serveWith(t, smtptest.Options{Script: smtptest.Polite("STARTTLS"), TLS: asking})
		r.cfg.TLS, r.cfg.CAFile, r.cfg.ClientCert = smtp.Required, authorityFile(t), name
		r.dial()
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		err := r.dialFails(smtp.ErrTLS)
		if errors.Is(err, smtp.ErrCertificate) || !slices.Contains(strings.Fields(err.Error()), name+":") {
			t.Errorf("%v", err)
		}
	})
}
