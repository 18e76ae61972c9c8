package smtptest

import (
	"bytes"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Options say how a Server listens and what it says.
type Options struct {
	Script   Script
	Address  string // other than a free port of 127.0.0.1
	Unix     string // path of a socket instead of TCP
	TLS      *tls.Config
	Implicit bool          // TLS from the first octet
	Timeout  time.Duration // of a session; default 10 s
}

// Session is what one client did.
type Session struct {
	Commands []string // lines as they came, without line ends
	Messages [][]byte // content, dots undone
	TLS      bool
	Early    string // what the client sent ahead of a TLS handshake
	// Err is why the session ended other than by QUIT or by the script, io.EOF
	// if the client just left. It is there once Wait or Close has returned.
	Err error
}

// Server talks to clients as its script says. Sessions are bounded in time.
type Server struct {
	o  Options
	l  net.Listener
	wg sync.WaitGroup

	mu       sync.Mutex
	sessions []*Session
	conns    []net.Conn
	counts   map[string]int
	closed   bool
}

// Start makes a server that listens.
func Start(o Options) (*Server, error) {
	network, address := "tcp", o.Address
	if address == "" {
		address = "127.0.0.1:0"
	}
	if o.Unix != "" {
		network, address = "unix", o.Unix
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	s := &Server{o: o, l: l, counts: make(map[string]int)}
	s.wg.Go(s.accept)
	return s, nil
}

// Over makes a server that does not listen and has no address: its one client is
// at the other end of conn. On a net.Pipe all of it can run in fake time.
func Over(t testing.TB, conn net.Conn, o Options) *Server {
	if o.Timeout == 0 {
		o.Timeout = 24 * time.Hour
	}
	s := &Server{o: o, counts: make(map[string]int)}
	s.begin(conn)
	t.Cleanup(s.Close)
	return s
}

// New is Start for a test, which ends the server.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Addr is "127.0.0.1:port", or the path of the socket.
func (s *Server) Addr() string { return s.l.Addr().String() }

// Port is the TCP port.
func (s *Server) Port() int { return s.l.Addr().(*net.TCPAddr).Port }

// Close ends the server and waits for its sessions.
func (s *Server) Close() {
	s.unlisten()
	s.mu.Lock()
	s.closed = true
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Wait takes no more clients and waits until those there are have left.
func (s *Server) Wait() {
	s.unlisten()
	s.wg.Wait()
}

func (s *Server) unlisten() {
	if s.l != nil {
		s.l.Close()
	}
}

// Sessions are those that clients began, in order, as they are at the moment.
// What a client said is in there before the client gets the answer.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*Session
	for _, c := range s.sessions {
		now := *c
		now.Commands = slices.Clone(c.Commands)
		now.Messages = nil
		for _, m := range c.Messages {
			now.Messages = append(now.Messages, bytes.Clone(m))
		}
		out = append(out, &now)
	}
	return out
}

func (s *Server) accept() {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			return
		}
		s.begin(conn)
	}
}

// begin talks to a client.
func (s *Server) begin(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	c := &Session{}
	s.sessions = append(s.sessions, c)
	s.conns = append(s.conns, conn)
	s.wg.Go(func() {
		defer conn.Close()
		d := &dialogue{s: s, conn: conn, raw: conn, session: c}
		d.end(d.run())
	})
}

// next is the answer to key, one after the other over all sessions.
func (s *Server) next(key string) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.o.Script[key]
	if len(list) == 0 {
		return Say("250 ok")
	}
	n := s.counts[key]
	s.counts[key]++
	return list[min(n, len(list)-1)]
}
