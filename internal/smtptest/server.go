package smtptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say how a Server listens and what it says.
type Options struct {
	Script   Script
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
}

// Start makes a server that listens.
func Start(o Options) (*Server, error) {
	network, address := "tcp", "127.0.0.1:0"
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
	s.l.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Sessions are those that clients began, in order. Call it when they are done.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Session(nil), s.sessions...)
}

func (s *Server) accept() {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			return
		}
		c := &Session{}
		s.mu.Lock()
		s.sessions = append(s.sessions, c)
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.wg.Go(func() {
			d := &dialogue{s: s, conn: conn, session: c}
			d.run()
			d.conn.Close()
		})
	}
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

// dialogue is a session under way.
type dialogue struct {
	s       *Server
	conn    net.Conn
	r       *bufio.Reader
	session *Session
	chunks  []byte
}

var errDone = errors.New("done")

func (d *dialogue) run() {
	d.conn.SetDeadline(time.Now().Add(d.s.o.Timeout))
	if d.s.o.Implicit {
		if !d.secure() {
			return
		}
	}
	d.r = bufio.NewReader(d.conn)
	err := d.answer(d.s.next("_banner"))
	for err == nil {
		err = d.command()
	}
}

func (d *dialogue) line() (string, error) {
	line, err := d.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (d *dialogue) note(command string) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.session.Commands = append(d.session.Commands, command)
}

func (d *dialogue) command() error {
	line, err := d.line()
	if err != nil {
		return err
	}
	d.note(line)
	upper := strings.ToUpper(line)
	if strings.HasPrefix(upper, "BDAT ") {
		return d.chunk(upper)
	}
	a := d.s.next(d.s.o.Script.find(line))
	if err := d.answer(a); err != nil {
		return err
	}
	switch {
	case upper == "DATA" && strings.HasPrefix(a.Text, "354"):
		return d.data()
	case strings.HasPrefix(a.Text, "334"):
		return d.challenge()
	case upper == "QUIT":
		return errDone
	}
	return nil
}

// challenge reads answers to 334 until something else is said.
func (d *dialogue) challenge() error {
	for {
		line, err := d.line()
		if err != nil {
			return err
		}
		d.note("_line " + line)
		a := d.s.next("_line")
		if err := d.answer(a); err != nil || !strings.HasPrefix(a.Text, "334") {
			return err
		}
	}
}

func (d *dialogue) data() error {
	var content bytes.Buffer
	for {
		line, err := d.r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == ".\r\n" {
			break
		}
		content.WriteString(strings.TrimPrefix(line, "."))
	}
	d.keep(content.Bytes())
	return d.answer(d.s.next("_content"))
}

func (d *dialogue) chunk(upper string) error {
	var n int
	if _, err := fmt.Sscanf(upper, "BDAT %d", &n); err != nil {
		return err
	}
	buf := make([]byte, n)
	if _, err := io.ReadFull(d.r, buf); err != nil {
		return err
	}
	d.chunks = append(d.chunks, buf...)
	if !strings.HasSuffix(upper, " LAST") {
		return d.answer(d.s.next("_chunk"))
	}
	d.keep(d.chunks)
	d.chunks = nil
	return d.answer(d.s.next("_content"))
}

func (d *dialogue) keep(content []byte) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.session.Messages = append(d.session.Messages, content)
}

func (d *dialogue) answer(a Answer) error {
	step := len(a.Text)
	if a.EveryByte {
		step = 1
	}
	for text := a.Text; text != ""; text = text[min(step, len(text)):] {
		if _, err := io.WriteString(d.conn, text[:min(step, len(text))]); err != nil {
			return err
		}
	}
	switch a.Then {
	case Close:
		return errDone
	case Reset:
		if c, ok := d.conn.(*net.TCPConn); ok {
			c.SetLinger(0)
		}
		return errDone
	case Silence:
		io.Copy(io.Discard, d.conn)
		return errDone
	case StartTLS:
		early, _ := d.r.Peek(d.r.Buffered())
		d.session.Early = string(early)
		if !d.secure() {
			return errDone
		}
		d.r = bufio.NewReader(d.conn)
	}
	return nil
}

func (d *dialogue) secure() bool {
	secure := tls.Server(d.conn, d.s.o.TLS)
	if secure.Handshake() != nil {
		return false
	}
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.conn, d.session.TLS = secure, true
	return true
}
