//go:build integration

package integration

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

// arrival is how a message came to a provider.
type arrival struct {
	Host        string // that the client connected to
	Port        int
	TLS         string // "starttls", "implicit", "" for none
	User        string // that logged in, with the right password
	Mechanism   string
	From        string
	To          []string
	Source      string // the client's address, when it is a special one
	Certificate string // the client's, by its name
	Options     string // DSN
}

// provider is a mail provider with many names: it asks for a login, and notes how
// each message came.
type provider struct {
	tls        *tls.Config
	names      map[string]string // address to host name
	accounts   map[string]string // user to password; none is open to all
	mechanisms []string

	mu      sync.Mutex
	kept    []arrival
	refused []string // logins, for a test that fails
}

// serve listens on a port of all addresses.
func (p *provider) serve(t *testing.T, port int, implicit bool) {
	t.Helper()
	l, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	if implicit {
		l = tls.NewListener(l, p.tls)
	}
	p.on(t, l, implicit)
}

func (p *provider) on(t *testing.T, l net.Listener, implicit bool) {
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &providerSession{p: p, conn: c, implicit: implicit}, nil
	}))
	s.Domain, s.TLSConfig, s.AllowInsecureAuth, s.EnableDSN = "provider.test", p.tls, true, true
	s.ReadTimeout, s.WriteTimeout = 20*time.Second, 20*time.Second
	go s.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { s.Close() })
}

// arrivals are those since the last call.
func (p *provider) arrivals() []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.kept
	p.kept = nil
	return kept
}

// wait waits, at most 15 s, for a message.
func (p *provider) wait() []arrival {
	for range 300 {
		if kept := p.arrivals(); len(kept) > 0 {
			return kept
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

type providerSession struct {
	p         *provider
	conn      *smtp.Conn
	implicit  bool
	user, how string
	now       arrival
}

func (s *providerSession) AuthMechanisms() []string { return s.p.mechanisms }

func (s *providerSession) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, password string) error {
		if want, ok := s.p.accounts[user]; !ok || password != want {
			s.p.mu.Lock()
			defer s.p.mu.Unlock()
			s.p.refused = append(s.p.refused, fmt.Sprintf("%s %q %q", mechanism, user, password))
			return smtp.ErrAuthFailed
		}
		s.user, s.how = user, mechanism
		return nil
	}
	switch {
	case !slices.Contains(s.p.mechanisms, mechanism):
	case mechanism == sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
	case mechanism == "LOGIN":
		var said []string
		return steps(func(response []byte) ([]byte, bool, error) {
			if response != nil {
				said = append(said, string(response))
			}
			if len(said) < 2 {
				return []byte([]string{"Username:", "Password:"}[len(said)]), false, nil
			}
			return nil, true, check(said[0], said[1])
		}), nil
	case mechanism == "CRAM-MD5":
		return s.cram(check), nil
	case mechanism == "SCRAM-SHA-256":
		return s.scram(check)
	case mechanism == sasl.OAuthBearer:
		return sasl.NewOAuthBearerServer(func(o sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
			if check(o.Username, o.Token) != nil {
				return &sasl.OAuthBearerError{Status: "invalid_token"}
			}
			return nil
		}), nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// steps is a mechanism as one function; nil is no initial response.
type steps func(response []byte) (challenge []byte, done bool, err error)

func (f steps) Next(response []byte) ([]byte, bool, error) { return f(response) }

// cram is CRAM-MD5 (RFC 2195).
func (s *providerSession) cram(check func(user, password string) error) sasl.Server {
	const challenge = "<1896.697170952@provider.test>"
	return steps(func(response []byte) ([]byte, bool, error) {
		if response == nil {
			return []byte(challenge), false, nil
		}
		user, digest, _ := strings.Cut(string(response), " ")
		mac := hmac.New(md5.New, []byte(s.p.accounts[user]))
		mac.Write([]byte(challenge))
		if digest != hex.EncodeToString(mac.Sum(nil)) {
			return nil, true, check(user, "(a wrong digest)")
		}
		return nil, true, check(user, s.p.accounts[user])
	})
}

func (s *providerSession) scram(check func(user, password string) error) (sasl.Server, error) {
	server, err := scram.SHA256.NewServer(func(user string) (scram.StoredCredentials, error) {
		client, err := scram.SHA256.NewClient(user, s.p.accounts[user], "")
		if err != nil {
			return scram.StoredCredentials{}, err
		}
		return client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
	})
	if err != nil {
		return nil, err
	}
	c := server.NewConversation()
	return steps(func(response []byte) ([]byte, bool, error) {
		if c.Done() { // the client's empty answer to our last word
			return nil, true, check(c.Username(), s.p.accounts[c.Username()])
		}
		if response == nil {
			return []byte{}, false, nil
		}
		challenge, err := c.Step(string(response))
		if err != nil {
			return nil, true, smtp.ErrAuthFailed
		}
		return []byte(challenge), false, nil
	}), nil
}

func (s *providerSession) Mail(from string, o *smtp.MailOptions) error {
	if s.p.accounts != nil && s.user == "" {
		return smtp.ErrAuthRequired
	}
	local, ok1 := s.conn.Conn().LocalAddr().(*net.TCPAddr)
	remote, ok2 := s.conn.Conn().RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return errors.New("a connection without addresses")
	}
	s.now = arrival{Host: s.p.names[local.IP.String()], Port: local.Port, User: s.user, Mechanism: s.how, From: from, Options: string(o.Return)}
	if !remote.IP.IsLoopback() {
		s.now.Source = remote.IP.String()
	}
	if state, ok := s.conn.TLSConnectionState(); ok {
		s.now.TLS = "starttls"
		if s.implicit {
			s.now.TLS = "implicit"
		}
		if len(state.PeerCertificates) > 0 {
			s.now.Certificate = state.PeerCertificates[0].Subject.CommonName
		}
	}
	return nil
}

func (s *providerSession) Rcpt(to string, o *smtp.RcptOptions) error {
	s.now.To = append(s.now.To, to)
	for _, n := range o.Notify {
		s.now.Options += " " + string(n)
	}
	return nil
}

func (s *providerSession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.kept = append(s.p.kept, s.now)
	return nil
}

func (s *providerSession) Reset()        { s.now = arrival{} }
func (s *providerSession) Logout() error { return nil }

// proxied is a SOCKS5 proxy (RFC 1928) whose way ends at the provider at once.
func (p *provider) proxied(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	out := handed{conns: make(chan net.Conn), Listener: l}
	p.on(t, out, false)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(out.conns)
				return
			}
			if to, err := socks(conn); err == nil {
				out.conns <- towards{conn, to}
			}
		}
	}()
}

// handed is a listener for connections that were accepted elsewhere.
type handed struct {
	net.Listener
	conns chan net.Conn
}

func (h handed) Accept() (net.Conn, error) {
	if c, ok := <-h.conns; ok {
		return c, nil
	}
	return nil, os.ErrClosed
}

// towards is a connection that leads to another address than it seems.
type towards struct {
	net.Conn
	to net.Addr
}

func (c towards) LocalAddr() net.Addr { return c.to }

// socks is what a proxy says until the way is open, and where it leads.
func socks(conn net.Conn) (net.Addr, error) {
	buf := make([]byte, 300)
	read := func(n int) []byte { io.ReadFull(conn, buf[:n]); return buf[:n] } //nolint:errcheck // then nothing works
	read(int(read(2)[1]))
	if _, err := conn.Write([]byte{5, 0}); err != nil {
		return nil, err
	}
	host := ""
	if read(4)[3] == 3 {
		host = string(read(int(read(1)[0])))
	} else {
		host = net.IP(read(4)).String()
	}
	port := read(2)
	to, err := net.ResolveTCPAddr("tcp4", net.JoinHostPort(addressOf(host), fmt.Sprint(int(port[0])<<8|int(port[1]))))
	if err != nil {
		return nil, err
	}
	_, err = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return to, err
}
