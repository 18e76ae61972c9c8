package smtp_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/xdg-go/scram"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// scramServer is the server's side of SCRAM, by the library's other half.
type scramServer struct {
	name     string
	password string // that it believes is right
	iters    int
	binding  func(*tls.ConnectionState) (scram.ChannelBinding, error) // of what it sees
	final    func(string) string                                      // changes its last message
	quiet    bool                                                     // says 535 instead of e=

	mu    sync.Mutex
	conv  *scram.ServerConversation
	first string // what the client began with
}

func (s *scramServer) script(more ...string) smtptest.Script {
	say := smtptest.Answer{Make: s.step}
	return smtptest.Polite(append(more, "AUTH "+s.name)...).With("AUTH "+s.name, say).With("_line", say)
}

func (s *scramServer) step(said string, state *tls.ConnectionState) smtptest.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rest, ok := strings.CutPrefix(said, "AUTH "+s.name+" "); ok {
		said, s.conv = rest, nil
	}
	text, err := base64.StdEncoding.DecodeString(said)
	if err != nil {
		return smtptest.Say("501 5.5.2 not base64")
	}
	if s.conv == nil {
		s.first = string(text)
		if s.conv, err = s.begin(state); err != nil {
			return smtptest.Say("454 4.7.0 " + err.Error())
		}
	}
	if s.conv.Done() { // the client has heard how it went
		if s.conv.Valid() {
			return smtptest.Say("235 2.7.0 welcome")
		}
		return smtptest.Say("535 5.7.8 wrong")
	}
	out, err := s.conv.Step(string(text))
	if err != nil && s.quiet {
		return smtptest.Say("535 5.7.8 wrong")
	}
	if s.final != nil && s.conv.Done() {
		out = s.final(out)
	}
	return smtptest.Say("334 " + b64(out))
}

func (s *scramServer) begin(state *tls.ConnectionState) (*scram.ServerConversation, error) {
	hash := scram.SHA256
	if strings.Contains(s.name, "SHA-1") {
		hash = scram.SHA1
	}
	client, err := hash.NewClient(testUser, s.password, "")
	if err != nil {
		return nil, err
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of some length", Iters: min(max(s.iters, 4096), 100_000)})
	if err != nil {
		return nil, err
	}
	if s.iters != 0 {
		stored.Iters = s.iters
	}
	server, err := hash.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(s.name, "-PLUS") {
		return server.NewConversation(), nil
	}
	binding, err := s.binding(state)
	return server.NewConversationWithChannelBindingRequired(binding), err
}

// Row 51 and beyond: SCRAM with both hashes, with channel binding on TLS 1.2 and
// 1.3; a password that is wrong, a server that has another, and a server that
// proves nothing.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	ours, other := serverTLS(t), serverTLS(t)
	endpoint := func(c *tls.Config) func(*tls.ConnectionState) (scram.ChannelBinding, error) {
		return func(*tls.ConnectionState) (scram.ChannelBinding, error) {
			leaf, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
			if err != nil {
				return scram.ChannelBinding{}, err
			}
			return scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}})
		}
	}
	for name, test := range map[string]struct {
		s       *scramServer
		version uint16 // of TLS, 0 for none
		kind    error
		code    int
		first   string // how the client begins
	}{
		"SHA-256":       {s: &scramServer{name: "SCRAM-SHA-256"}, first: "n,,"},
		"SHA-1":         {s: &scramServer{name: "SCRAM-SHA-1"}, first: "n,,"},
		"many rounds":   {s: &scramServer{name: "SCRAM-SHA-256", iters: 100_000}},
		"SHA-256, TLS":  {s: &scramServer{name: "SCRAM-SHA-256"}, version: tls.VersionTLS13, first: "y,,"}, // we would have bound it
		"PLUS, TLS 1.3": {s: &scramServer{name: "SCRAM-SHA-256-PLUS", binding: exporter}, version: tls.VersionTLS13, first: "p=tls-exporter,,"},
		"PLUS, SHA-1":   {s: &scramServer{name: "SCRAM-SHA-1-PLUS", binding: exporter}, version: tls.VersionTLS13, first: "p=tls-exporter,,"},
		// Someone between has another connection to each side.
		"PLUS, other connection": {
			s: &scramServer{name: "SCRAM-SHA-256-PLUS", binding: func(*tls.ConnectionState) (scram.ChannelBinding, error) {
				return scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: make([]byte, 32)}, nil
			}},
			version: tls.VersionTLS13, kind: smtp.ErrAuth, code: 535,
		},
		"PLUS, TLS 1.2":              {s: &scramServer{name: "SCRAM-SHA-256-PLUS", binding: endpoint(ours)}, version: tls.VersionTLS12, first: "p=tls-server-end-point,,"},
		"PLUS, TLS 1.2, other place": {s: &scramServer{name: "SCRAM-SHA-256-PLUS", binding: endpoint(other)}, version: tls.VersionTLS12, kind: smtp.ErrAuth, code: 535},
		"wrong password":             {s: &scramServer{name: "SCRAM-SHA-256", password: "other"}, kind: smtp.ErrAuth, code: 535},
		"wrong password, silent":     {s: &scramServer{name: "SCRAM-SHA-256", password: "other", quiet: true}, kind: smtp.ErrAuth, code: 535},
		// The library refuses fewer than 4,096 (RFC 7677 4), and we more than a
		// million.
		"too few rounds":  {s: &scramServer{name: "SCRAM-SHA-256", iters: 1}, kind: smtp.ErrAuthUnavailable},
		"too many rounds": {s: &scramServer{name: "SCRAM-SHA-256", iters: 1_000_001}, kind: smtp.ErrAuthUnavailable},
		"forged proof":    {s: &scramServer{name: "SCRAM-SHA-256", final: func(string) string { return "v=" + b64("forged") }}, kind: smtp.ErrProtocol},
		"no proof":        {s: &scramServer{name: "SCRAM-SHA-256", final: func(string) string { return "" }}, kind: smtp.ErrProtocol},
		"refused, but in": {s: &scramServer{name: "SCRAM-SHA-256", final: func(string) string { return "e=other-error" }}, kind: smtp.ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := test.s
			if s.password == "" {
				s.password = testSecret
			}
			config := ours.Clone()
			config.MaxVersion = test.version
			r := serveWith(t, smtptest.Options{Script: s.script("STARTTLS"), TLS: config})
			r.cfg.Username, r.cfg.Secret = testUser, giveSecret
			if test.version != 0 {
				r.cfg.TLS, r.cfg.Insecure = smtp.Required, true
			}
			if test.kind == nil {
				if info := must[smtp.Info](t)(r.dial().Info()); info.Mechanism != s.name {
					t.Errorf("%+v", info)
				}
			} else {
				var e *smtp.Error
				if err := r.dialFails(test.kind); test.code != 0 && (!errors.As(err, &e) || e.Code != test.code || e.Temporary()) {
					t.Errorf("%v", err)
				}
			}
			if _ = r.heard(0); test.first != "" && !strings.HasPrefix(s.first, test.first) {
				t.Errorf("the client began with %q", s.first)
			}
		})
	}
}

func exporter(s *tls.ConnectionState) (scram.ChannelBinding, error) {
	return scram.NewTLSExporterBinding(s)
}
