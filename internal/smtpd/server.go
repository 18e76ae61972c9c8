package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// Options say how a server behaves.
type Options struct {
	Host    string // what it calls itself
	Domain  string // for addresses without one
	Now     func() time.Time
	Timeout time.Duration // for a command, a line of content, a write; 0 for none
	// Whole is how long a dialogue may go on without a message that is taken, not
	// counting the time for content that comes at slowest or faster; 0 for ever.
	Whole time.Duration

	MaxRecipients int
	MaxSize       int64 // octets of a message; 0 for no limit
	// MaxConnections and MaxPerUser bound how many dialogues go on at a time; who
	// comes later waits up to Timeout. Several times as many may wait, of which one
	// user may be half. 0 is no limit.
	MaxConnections, MaxPerUser int

	// Open makes the handler of a connection, or refuses it.
	Open func(Peer) (Handler, error)
	// Warn is told what went wrong inside.
	Warn func(text string)
}

// Server serves any number of connections.
type Server struct {
	o      Options
	smtp   *gosmtp.Server
	conns  chan net.Conn // admitted, on their way to go-smtp
	done   chan struct{}
	places *places

	mu      sync.Mutex
	wires   map[*wire]struct{}
	stopped bool
	idle    sync.WaitGroup // connections
}

// New makes a server. Close ends it.
func New(ctx context.Context, o Options) *Server {
	s := &Server{o: o, conns: make(chan net.Conn), done: make(chan struct{}), wires: make(map[*wire]struct{}), places: newPlaces(&o)}
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

// Serve accepts connections until the listener is closed or ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) {
	for take(ctx, s.places.room) { // the rest waits in the kernel's queue
		c, err := l.Accept()
		if err == nil {
			go func() {
				defer give(s.places.room)
				s.admit(ctx, c)
			}()
			continue
		}
		give(s.places.room)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.o.Warn("accept: " + err.Error())
		select { // no more descriptors, most likely
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// admit finds out who is there, waits for a place, and serves the connection to
// its end.
func (s *Server) admit(ctx context.Context, c net.Conn) {
	peer, err := peerOf(c)
	if err != nil {
		s.o.Warn("who is there? " + err.Error())
		refuse(c, "421 4.3.0 Cannot tell who you are")
		return
	}
	leave, refusal := s.places.enter(ctx, peer.UID)
	if refusal != "" {
		refuse(c, refusal)
		return
	}
	defer leave()
	s.Handle(c, peer)
}

// refuse ends a connection before the greeting.
func refuse(c net.Conn, line string) {
	// Whoever it is may be gone.
	_, _ = io.WriteString(c, line+"\r\n")
	_ = c.Close()
}

// Handle serves one connection and returns when it is closed.
func (s *Server) Handle(c net.Conn, peer Peer) {
	w := newWire(c, &s.o)
	w.peer = peer
	if !s.begin(w) {
		refuse(c, stopping)
		return
	}
	defer s.end(w)
	select {
	case s.conns <- w:
		<-w.closed
	case <-s.done:
		// Nothing was said yet.
		_ = w.Close()
	}
}

// begin counts a connection, unless the server stops.
func (s *Server) begin(w *wire) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.wires[w] = struct{}{}
	s.idle.Add(1)
	return true
}

func (s *Server) end(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wires, w)
	s.idle.Done()
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

// warner is a log for go-smtp. That a caller left, or said nothing for too long, is
// no news: what he had been told of was taken, and half a message is refused, which
// has a line of its own.
type warner struct{ warn func(string) }

func (w warner) Printf(format string, v ...any) {
	for _, one := range v {
		if err, ok := one.(error); ok && left(err) {
			return
		}
	}
	w.warn(fmt.Sprintf(format, v...))
}

// left reports the end of a connection by the other side or by the clock.
func left(err error) bool {
	for _, kind := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, os.ErrDeadlineExceeded} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func (w warner) Println(v ...any) { w.warn(fmt.Sprintln(v...)) }
