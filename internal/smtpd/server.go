package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// Options say how a server behaves.
type Options struct {
	Host    string // what it calls itself
	Domain  string // for addresses without one
	Now     func() time.Time
	Timeout time.Duration // for a command, a line of content, a write; 0 for none

	MaxRecipients int
	MaxSize       int64 // octets of a message; 0 for no limit
	// MaxConnections and MaxPerUser bound how many dialogues go on at a time; who
	// comes later waits up to Timeout. 0 is no limit.
	MaxConnections, MaxPerUser int

	// Open makes the handler of a connection, or refuses it.
	Open func(Peer) (Handler, error)
	// Warn is told what went wrong inside.
	Warn func(text string)
}

// Server serves any number of connections.
type Server struct {
	o     Options
	smtp  *gosmtp.Server
	conns chan net.Conn // admitted, on their way to go-smtp
	done  chan struct{}
	all   chan struct{} // a place for each connection

	mu      sync.Mutex
	wires   map[*wire]struct{}
	users   map[int]*user
	stopped bool
	idle    sync.WaitGroup // connections
}

// user is who has connections.
type user struct {
	places chan struct{}
	using  int // connections that hold or wait for a place
}

// New makes a server. Close ends it.
func New(ctx context.Context, o Options) *Server {
	s := &Server{o: o, conns: make(chan net.Conn), done: make(chan struct{}), wires: make(map[*wire]struct{}), users: make(map[int]*user)}
	if o.MaxConnections > 0 {
		s.all = make(chan struct{}, o.MaxConnections)
	}
	s.smtp = gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) { return s.open(ctx, c) }))
	s.smtp.Domain = o.Host
	s.smtp.MaxRecipients = o.MaxRecipients
	s.smtp.MaxMessageBytes = o.MaxSize
	s.smtp.MaxLineLength = 0 // the wire bounds lines
	s.smtp.EnableSMTPUTF8, s.smtp.EnableDSN = true, true
	s.smtp.ErrorLog = warner{o.Warn}
	go func() {
		// It ends when its listener does.
		_ = s.smtp.Serve(handed{s})
	}()
	return s
}

// open begins a session, after EHLO.
func (s *Server) open(ctx context.Context, c *gosmtp.Conn) (gosmtp.Session, error) {
	w := c.Conn().(*wire)
	h, err := s.o.Open(w.peer)
	if err != nil {
		return nil, forWire(err)
	}
	return &session{ctx: ctx, w: w, peer: w.peer, hello: c.Hostname(), handler: h, limit: s.o.MaxSize}, nil
}

// Serve accepts connections until the listener is closed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	for {
		if s.all != nil { // the rest waits in the kernel's queue
			select {
			case s.all <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
		}
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			s.release()
			s.o.Warn("accept: " + err.Error())
			select { // no more descriptors, most likely
			case <-time.After(100 * time.Millisecond):
				continue
			case <-ctx.Done():
				return nil
			}
		}
		go func() {
			defer s.release()
			s.admit(ctx, c)
		}()
	}
}

func (s *Server) release() {
	if s.all != nil {
		<-s.all
	}
}

// admit finds out who is there, waits for a place, and serves the connection to
// its end.
func (s *Server) admit(ctx context.Context, c net.Conn) {
	peer, err := peerOf(c)
	if err != nil {
		s.o.Warn("who is there? " + err.Error())
		refuse(c, "421 4.3.0 Cannot tell who you are\r\n")
		return
	}
	leave, ok := s.place(ctx, peer.UID)
	if !ok {
		refuse(c, "421 4.7.0 Too many connections of one user, try again\r\n")
		return
	}
	defer leave()
	s.Handle(c, peer)
}

// refuse ends a connection before the greeting.
func refuse(c net.Conn, line string) {
	// Whoever it is may be gone.
	_, _ = io.WriteString(c, line)
	_ = c.Close()
}

// place waits for one of the user's places.
func (s *Server) place(ctx context.Context, uid int) (leave func(), ok bool) {
	if s.o.MaxPerUser <= 0 {
		return func() {}, true
	}
	s.mu.Lock()
	u := s.users[uid]
	if u == nil {
		u = &user{places: make(chan struct{}, s.o.MaxPerUser)}
		s.users[uid] = u
	}
	u.using++
	s.mu.Unlock()
	gone := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if u.using--; u.using == 0 {
			delete(s.users, uid)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	select {
	case u.places <- struct{}{}:
		return func() { <-u.places; gone() }, true
	case <-ctx.Done():
		gone()
		return nil, false
	}
}

// Handle serves one connection and returns when it is closed.
func (s *Server) Handle(c net.Conn, peer Peer) {
	w := newWire(c, &s.o)
	w.peer = peer
	s.mu.Lock()
	s.wires[w] = struct{}{}
	s.idle.Add(1)
	stopped := s.stopped
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.wires, w)
		s.idle.Done()
	}()
	if stopped {
		w.stop()
	}
	select {
	case s.conns <- w:
		<-w.closed
	case <-s.done:
		// Nothing was said yet.
		_ = w.Close()
	}
}

// Stop lets every dialogue end before its next command; a message that is under
// way is finished. It returns whether all have ended when ctx does.
func (s *Server) Stop(ctx context.Context) bool {
	s.mu.Lock()
	s.stopped = true
	for w := range s.wires {
		w.stop()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.idle.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// Close ends all connections at once.
func (s *Server) Close() error {
	close(s.done)
	return s.smtp.Close()
}

// handed is the listener that gives go-smtp what was admitted.
type handed struct{ s *Server }

func (h handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.s.conns:
		return c, nil
	case <-h.s.done:
		return nil, net.ErrClosed
	}
}

func (handed) Close() error   { return nil }
func (handed) Addr() net.Addr { return nil }

// warner is a log for go-smtp.
type warner struct{ warn func(string) }

func (w warner) Printf(format string, v ...any) { w.warn(fmt.Sprintf(format, v...)) }
func (w warner) Println(v ...any)               { w.warn(fmt.Sprintln(v...)) }
