package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// zone is a Resolver. What it does not have does not exist.
type zone struct {
	ip  map[string][]string
	mx  map[string][]string
	srv map[string][]*net.SRV // by service and name, "submission.x.example"
	err error                 // instead of any answer

	mu    sync.Mutex
	asked []string
}

func (z *zone) find(name string, there bool) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked = append(z.asked, name)
	if z.err != nil || there {
		return z.err
	}
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z *zone) LookupNetIP(_ context.Context, _, host string) (out []netip.Addr, err error) {
	for _, a := range z.ip[host] {
		out = append(out, netip.MustParseAddr(a))
	}
	_, ok := z.ip[host]
	return out, z.find(host, ok)
}

func (z *zone) LookupMX(_ context.Context, name string) (out []*net.MX, err error) {
	for _, host := range z.mx[name] {
		out = append(out, &net.MX{Host: host})
	}
	_, ok := z.mx[name]
	return out, z.find("MX "+name, ok)
}

func (z *zone) LookupSRV(_ context.Context, service, _, name string) (string, []*net.SRV, error) {
	out, ok := z.srv[service+"."+name]
	return "", out, z.find("SRV "+service+"."+name, ok)
}

// pair is two servers at 127.0.0.1 and 127.0.0.2, with the same port.
func pair(t *testing.T, first, second smtptest.Script) (*rig, *smtptest.Server) {
	t.Helper()
	for range 10 { // the port may be in use at the other address
		r := serve(t, first)
		s, err := smtptest.Start(smtptest.Options{Script: second, Address: fmt.Sprintf("127.0.0.2:%d", r.Port())})
		if err == nil {
			t.Cleanup(s.Close)
			return r, s
		}
	}
	t.Fatal("no port is free at both addresses")
	return nil, nil
}

// Which failure of the first server makes Dial go on to the second, which is
// another host, or another address of the same one.
func TestDialGoesOn(t *testing.T) {
	t.Parallel()
	polite := smtptest.Polite("AUTH PLAIN")
	for name, test := range map[string]struct {
		first smtptest.Script
		on    bool
	}{
		"first is good":    {polite, false},
		"busy":             {polite.With("_banner", smtptest.Say("421 4.3.2 busy")), true},
		"no service":       {polite.With("_banner", smtptest.Say("554 5.3.2 no")), true},
		"gone":             {polite.With("_banner", smtptest.Answer{Then: smtptest.Close}), true},
		"EHLO is refused":  {polite.With("EHLO", smtptest.Say("421 off")), true},
		"no login now":     {polite.With("AUTH", smtptest.Say("454 4.7.0 data base")), true},
		"no AUTH there":    {smtptest.Polite(), true},
		"wrong password":   {polite.With("AUTH", smtptest.Say("535 5.7.8 no")), false}, // asking about would lock the account
		"account disabled": {polite.With("AUTH", smtptest.Say("525 5.7.13 no")), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(t *testing.T, configure func(*smtp.Config)) {
				r, second := pair(t, test.first, polite)
				r.cfg.Username, r.cfg.Secret = testUser, giveSecret
				configure(&r.cfg)
				c, err := smtp.Dial(t.Context(), r.cfg)
				if r.diary.note(err) == nil {
					c.Close()
				}
				if n := len(second.Sessions()); (n > 0) != test.on || (err == nil) != (test.on || name == "first is good") {
					t.Errorf("%d sessions at the second, %v", n, err)
				}
			}
			t.Run("hosts", func(t *testing.T) {
				check(t, func(c *smtp.Config) { c.Hosts = []string{"127.0.0.1", "127.0.0.2"} })
			})
			t.Run("addresses", func(t *testing.T) {
				check(t, func(c *smtp.Config) {
					c.Hosts = []string{"smarthost.test"}
					c.Resolver = &zone{ip: map[string][]string{"smarthost.test": {"127.0.0.1", "127.0.0.2"}}}
				})
			})
		})
	}
}

// One family refuses, the other answers; and a refusal of all.
func TestDialFamilies(t *testing.T) {
	t.Parallel()
	// Nobody listens at these ports of 127.0.0.8, 127.0.0.9 and ::1.
	for _, test := range []struct {
		addresses string
		want      string // that answers; "" for none
	}{
		{"::1 127.0.0.1", "127.0.0.1"},
		{"127.0.0.9 127.0.0.1", "127.0.0.1"},
		{"127.0.0.9 127.0.0.8 ::1 127.0.0.1", "127.0.0.1"},
		{"::ffff:127.0.0.1", "127.0.0.1"},
		{"127.0.0.1 ::1", "127.0.0.1"},
		{"::1 127.0.0.9", ""},
	} {
		t.Run(test.addresses, func(t *testing.T) {
			r := serve(t, smtptest.Polite())
			r.cfg.Hosts = []string{"smarthost.test"}
			r.cfg.Resolver = &zone{ip: map[string][]string{"smarthost.test": strings.Fields(test.addresses)}}
			if test.want == "" {
				err := r.dialFails(smtp.ErrConnect)
				if errors.Is(err, smtp.ErrNoSuchHost) || !smtp.Temporary(err) {
					t.Errorf("%v is for ever", err)
				}
				return
			}
			info := must[smtp.Info](t)(r.dial().Info())
			if want := fmt.Sprintf("smarthost.test[%s]:%d", test.want, r.Port()); info.Relay() != want {
				t.Errorf("Relay() = %q, want %q", info.Relay(), want)
			}
		})
	}
}

// The error names every server that was tried. It is of the kind of the last, but
// temporary if any of them may be well again later.
func TestDialErrors(t *testing.T) {
	t.Parallel()
	var r *rig
	for _, test := range []struct {
		first, second string
		code          int
	}{{"550 first", "554 second", 554}, {"421 first", "554 second", 421}, {"554 first", "450 second", 450}, {"421 first", "450 second", 450}} {
		r, _ = pair(t, smtptest.Polite().With("_banner", smtptest.Say(test.first)), smtptest.Polite().With("_banner", smtptest.Say(test.second)))
		r.cfg.Hosts = []string{"127.0.0.1", "127.0.0.2"}
		err := r.dialFails(smtp.ErrGreeting)
		var e *smtp.Error
		if !errors.As(err, &e) || e.Code != test.code || smtp.Temporary(err) != (test.code < 500) {
			t.Errorf("%v, want %d", err, test.code)
		}
		if !strings.Contains(err.Error(), "first") || !strings.Contains(err.Error(), "second") {
			t.Errorf("%v does not tell of both", err)
		}
	}
	r.cfg.Hosts = []string{"127.0.0.1", "nowhere.test"} // what is misspelt stays so
	r.cfg.Resolver = &zone{}
	r.dialFails(smtp.ErrGreeting)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := smtp.Dial(ctx, r.cfg)
	mustBe(t, err, context.Canceled)

	ours, theirs := net.Pipe()
	_, err = smtp.NewClient(t.Context(), ours, smtp.Config{Port: -1})
	mustBe(t, err, smtp.ErrInvalid)
	if _, err := theirs.Write([]byte("220 x\r\n")); err == nil {
		t.Error("the connection is still open")
	}
}

func TestDialLooksUp(t *testing.T) {
	t.Parallel()
	local := []string{"127.0.0.1"}
	for name, test := range map[string]struct {
		host  string
		look  smtp.Lookup
		zone  *zone
		tls   smtp.TLSMode
		asked string // in order
		kind  error
	}{
		"address": {
			host: "a.example", zone: &zone{ip: map[string][]string{"a.example": local}}, asked: "a.example",
		},
		// DNS has the name in ASCII only.
		"international": {
			host: "bücher.example", zone: &zone{ip: map[string][]string{"xn--bcher-kva.example": local}}, asked: "xn--bcher-kva.example",
		},
		"no such host": {host: "a.example", asked: "a.example", kind: smtp.ErrNoSuchHost},
		"no address":   {host: "a.example", zone: &zone{ip: map[string][]string{"a.example": nil}}, asked: "a.example", kind: smtp.ErrNoSuchHost},
		"not a name":   {host: "ü-.example", kind: smtp.ErrNoSuchHost},
		"MX": {
			host: "a.example", look: smtp.LookupMX, asked: "MX a.example, mx1.a.example, mx2.a.example",
			zone: &zone{mx: map[string][]string{"a.example": {"mx1.a.example.", "mx2.a.example."}}, ip: map[string][]string{"mx2.a.example": local}},
		},
		// A domain without MX is its own (RFC 5321 5.1).
		"no MX": {
			host: "a.example", look: smtp.LookupMX, asked: "MX a.example, a.example",
			zone: &zone{ip: map[string][]string{"a.example": local}},
		},
		// RFC 7505: and its address does not count.
		"null MX": {
			host: "a.example", look: smtp.LookupMX, asked: "MX a.example", kind: smtp.ErrNoSuchHost,
			zone: &zone{mx: map[string][]string{"a.example": {"."}}, ip: map[string][]string{"a.example": local}},
		},
		// An answer that did not come is no answer "no".
		"MX failure": {
			host: "a.example", look: smtp.LookupMX, asked: "MX a.example", kind: smtp.ErrConnect,
			zone: &zone{err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}},
		},
		"MX timeout": {
			host: "a.example", look: smtp.LookupMX, asked: "MX a.example", kind: smtp.ErrConnectTimeout,
			zone: &zone{err: &net.DNSError{Err: "i/o timeout", IsTimeout: true}},
		},
		"address timeout": {
			host: "a.example", asked: "a.example", kind: smtp.ErrConnectTimeout,
			zone: &zone{err: context.DeadlineExceeded},
		},
		"cancelled": {
			host: "a.example", asked: "a.example", kind: context.Canceled,
			zone: &zone{err: context.Canceled},
		},
		"SRV failure": {
			host: "a.example", look: smtp.LookupSRV, asked: "SRV submissions.a.example, SRV submission.a.example", kind: smtp.ErrConnect,
			zone: &zone{err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}},
		},
		"no SRV": {
			host: "a.example", look: smtp.LookupSRV, asked: "SRV submissions.a.example, SRV submission.a.example", kind: smtp.ErrNoSuchHost,
			zone: &zone{ip: map[string][]string{"a.example": local}},
		},
		"no service": {
			host: "a.example", look: smtp.LookupSRV, asked: "SRV submissions.a.example, SRV submission.a.example", kind: smtp.ErrNoSuchHost,
			zone: &zone{srv: map[string][]*net.SRV{"submission.a.example": {{Target: "."}}}},
		},
		"SRV without TLS": {
			host: "a.example", look: smtp.LookupSRV, tls: smtp.None, asked: "SRV submission.a.example, s.a.example",
			zone: &zone{srv: map[string][]*net.SRV{"submission.a.example": {{Target: "s.a.example."}}}, ip: map[string][]string{"s.a.example": local}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, smtptest.Polite())
			z := test.zone
			if z == nil {
				z = new(zone)
			}
			for _, list := range z.srv {
				list[0].Port = uint16(r.Port())
			}
			r.cfg.Hosts, r.cfg.Lookup, r.cfg.Resolver, r.cfg.TLS = []string{test.host}, test.look, z, test.tls
			if test.kind == nil {
				r.dial()
			} else if err := r.dialFails(test.kind); test.kind == smtp.ErrConnect && errors.Is(err, smtp.ErrNoSuchHost) {
				t.Errorf("%v, but nobody said so", err)
			}
			if got := strings.Join(z.asked, ", "); got != test.asked {
				t.Errorf("asked for %s, want %s", got, test.asked)
			}
		})
	}
}

// Names from DNS outside the domain have to prove that they are the domain's:
// a forged answer must not send the password elsewhere (RFC 6186 6).
func TestDialVerifiesLookedUpNames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		target, certificate string
		good                bool
	}{
		"inside":               {"mx.a.example.", "mx.a.example", true},
		"inside, other case":   {"MX.A.Example.", "mx.a.example", true},
		"the domain":           {"a.example.", "a.example", true},
		"outside, as itself":   {"evil.example.", "evil.example", false},
		"outside, as domain":   {"provider.example.", "a.example", true},
		"looks like inside":    {"nota.example.", "nota.example", false},
		"inside, other's name": {"mx.a.example.", "a.example", false},
	} {
		for _, look := range []smtp.Lookup{smtp.LookupMX, smtp.LookupSRV} {
			t.Run(fmt.Sprintf("%s/%d", name, look), func(t *testing.T) {
				t.Parallel()
				config := serverTLS(t)
				config.Certificates[0] = serverCert(t, test.certificate)
				r := serveWith(t, smtptest.Options{Script: smtptest.Polite("STARTTLS", "AUTH PLAIN"), TLS: config})
				host := strings.TrimSuffix(test.target, ".")
				r.cfg.Hosts, r.cfg.Lookup, r.cfg.TLS, r.cfg.CAFile = []string{"a.example"}, look, smtp.Required, authorityFile(t)
				r.cfg.Username, r.cfg.Secret = testUser, giveSecret
				r.cfg.Resolver = &zone{
					mx:  map[string][]string{"a.example": {test.target}},
					srv: map[string][]*net.SRV{"submission.a.example": {{Target: test.target, Port: uint16(r.Port())}}},
					ip:  map[string][]string{host: {"127.0.0.1"}},
				}
				if test.good {
					r.dial()
				} else {
					r.dialFails(smtp.ErrTLS)
				}
			})
		}
	}
}

// The local end of the connection can be chosen.
func TestDialSource(t *testing.T) {
	t.Parallel()
	r := serve(t, smtptest.Polite())
	r.cfg.SourceAddress, r.cfg.LocalName = "127.0.0.2", ""
	c := r.dial()
	if got := must[smtp.Info](t)(c.Info()).Local.(*net.TCPAddr).IP.String(); got != "127.0.0.2" || c.LocalName() != "[127.0.0.2]" {
		t.Errorf("from %s as %s", got, c.LocalName())
	}
	r.cfg.SourceAddress = "192.0.2.1" // not ours
	r.dialFails(smtp.ErrConnect)
}
