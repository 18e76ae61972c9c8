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
	// Auth has the accounts, user to password, for PLAIN and LOGIN; RequireAuth
	// wants a login. Accounts is both in one.
	Auth, Accounts map[string]string
	RequireAuth    bool
	Refuse         map[string]*smtp.SMTPError // by recipient
	// Judge, if set, refuses a message once all of it was seen.
	Judge func(Delivery) error

	EnableREQUIRETLS, EnableBINARYMIME bool // SMTPUTF8 and DSN are always on

	MaxMessageBytes int64
	MaxRecipients   int
	Setup           func(*smtp.Server) // anything else
}

// Delivery is a message that a Sink took.
type Delivery struct {
	From string
	To   []string
	Mail smtp.MailOptions
	Rcpt []smtp.RcptOptions // one for each of To
	Data []byte
	User string
	TLS  bool
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
	if o.Accounts != nil {
		o.Auth, o.RequireAuth = o.Accounts, true
	}
	s := &Sink{o: o, l: l}
	s.s = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{sink: s, conn: c}, nil
	}))
	s.s.Domain = "sink.test"
	s.s.TLSConfig = o.TLS
	s.s.EnableSMTPUTF8 = true
	s.s.EnableDSN = true
	s.s.EnableREQUIRETLS = o.EnableREQUIRETLS
	s.s.EnableBINARYMIME = o.EnableBINARYMIME
	s.s.MaxMessageBytes = o.MaxMessageBytes
	s.s.MaxRecipients = o.MaxRecipients
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
	conn *smtp.Conn
	now  Delivery
}

func (s *session) AuthMechanisms() []string {
	if s.sink.o.Auth == nil {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch {
	case s.sink.o.Auth == nil:
		return nil, smtp.ErrAuthUnsupported
	case mechanism == sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return s.login(user, password) }), nil
	case mechanism == sasl.Login:
		return &login{check: s.login}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (s *session) login(user, password string) error {
	if want, ok := s.sink.o.Auth[user]; !ok || want != password {
		return smtp.ErrAuthFailed
	}
	s.now.User = user
	return nil
}

// login is the server's side of LOGIN, which go-sasl does not have.
type login struct {
	check func(user, password string) error
	user  *string
	asked bool
}

// Next takes the user name, which may be an initial response, and the password.
func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case l.user == nil:
		user := string(response)
		l.user = &user
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(*l.user, string(response))
}

func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if s.sink.o.RequireAuth && s.now.User == "" {
		return smtp.ErrAuthRequired
	}
	_, secure := s.conn.TLSConnectionState()
	s.now = Delivery{From: from, User: s.now.User, Mail: *o, TLS: secure}
	return nil
}

func (s *session) Rcpt(to string, o *smtp.RcptOptions) error {
	if err := s.sink.o.Refuse[to]; err != nil {
		return err
	}
	s.now.To = append(s.now.To, to)
	s.now.Rcpt = append(s.now.Rcpt, *o)
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.now.Data = data
	if judge := s.sink.o.Judge; judge != nil {
		if err := judge(s.now); err != nil {
			return err
		}
	}
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.kept = append(s.sink.kept, s.now)
	return nil
}

func (s *session) Reset()        { s.now = Delivery{User: s.now.User} }
func (s *session) Logout() error { return nil }
