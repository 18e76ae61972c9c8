package smtptest

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// SinkOptions say what a Sink offers.
type SinkOptions struct {
	TLS      *tls.Config
	Implicit bool
	Unix     string
	Accounts map[string]string          // user to password; then a login is wanted
	Refuse   map[string]*smtp.SMTPError // by recipient
	Setup    func(*smtp.Server)         // anything else
}

// Delivery is a message that a Sink took.
type Delivery struct {
	From string
	To   []string
	Mail smtp.MailOptions
	Data []byte
	User string
}

// Sink is a genuine go-smtp server that keeps what it takes.
type Sink struct {
	o  SinkOptions
	s  *smtp.Server
	l  net.Listener
	wg sync.WaitGroup

	mu   sync.Mutex
	kept []Delivery
}

// StartSink makes a sink that listens.
func StartSink(o SinkOptions) (*Sink, error) {
	network, address := "tcp", "127.0.0.1:0"
	if o.Unix != "" {
		network, address = "unix", o.Unix
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	s := &Sink{o: o, l: l}
	s.s = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{sink: s}, nil
	}))
	s.s.Domain = "sink.test"
	s.s.TLSConfig = o.TLS
	s.s.EnableSMTPUTF8 = true
	s.s.EnableDSN = true
	s.s.AllowInsecureAuth = true
	if o.Setup != nil {
		o.Setup(s.s)
	}
	serving := l
	if o.Implicit {
		serving = tls.NewListener(l, o.TLS)
	}
	s.wg.Go(func() { s.s.Serve(serving) })
	return s, nil
}

// NewSink is StartSink for a test, which ends the sink.
func NewSink(t testing.TB, o SinkOptions) *Sink {
	t.Helper()
	s, err := StartSink(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Port is the TCP port.
func (s *Sink) Port() int { return s.l.Addr().(*net.TCPAddr).Port }

// Addr is "127.0.0.1:port", or the path of the socket.
func (s *Sink) Addr() string { return s.l.Addr().String() }

// Close ends the sink.
func (s *Sink) Close() {
	s.s.Close()
	s.l.Close()
	s.wg.Wait()
}

// Deliveries are the messages so far.
func (s *Sink) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Delivery(nil), s.kept...)
}

type session struct {
	sink *Sink
	now  Delivery
}

func (s *session) AuthMechanisms() []string {
	if s.sink.o.Accounts == nil {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if want, ok := s.sink.o.Accounts[user]; !ok || want != password {
			return smtp.ErrAuthFailed
		}
		s.now.User = user
		return nil
	}), nil
}

func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if s.sink.o.Accounts != nil && s.now.User == "" {
		return smtp.ErrAuthRequired
	}
	s.now = Delivery{From: from, User: s.now.User, Mail: *o}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.sink.o.Refuse[to]; err != nil {
		return err
	}
	s.now.To = append(s.now.To, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.now.Data = data
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.kept = append(s.sink.kept, s.now)
	return nil
}

func (s *session) Reset()        { s.now = Delivery{User: s.now.User} }
func (s *session) Logout() error { return nil }
