package smtptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// SwiftOptions say what a Swift offers.
type SwiftOptions struct {
	Addr     string      // to listen on; default a free port of 127.0.0.1
	TLS      *tls.Config // STARTTLS, or TLS at once with Implicit
	Implicit bool
	Chunking bool
	Auth     bool // AUTH PLAIN and LOGIN, any password is right
	AtOnce   int  // sessions served at a time, the others wait; 0 is no bound
}

// Swift is a smarthost for measuring: it takes everything, keeps nothing, and
// costs so little that what is measured is the client. It counts.
type Swift struct {
	o     SwiftOptions
	l     net.Listener
	wg    sync.WaitGroup
	slots chan struct{}

	mu    sync.Mutex
	count SwiftCount
	now   int
	open  map[net.Conn]bool
}

// SwiftCount is what a Swift has seen.
type SwiftCount struct {
	Connections, Messages, Recipients, Octets int
	Peak                                      int // most connections at a time
}

// StartSwift makes one that listens.
func StartSwift(o SwiftOptions) (*Swift, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	s := &Swift{o: o, l: l, open: make(map[net.Conn]bool)}
	if o.AtOnce > 0 {
		s.slots = make(chan struct{}, o.AtOnce)
	}
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is where it listens.
func (s *Swift) Addr() string { return s.l.Addr().String() }

// Count is what was seen since the last Reset.
func (s *Swift) Count() SwiftCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Reset begins to count anew.
func (s *Swift) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count = SwiftCount{Peak: s.now}
}

// Close ends it with all connections.
func (s *Swift) Close() {
	s.l.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Swift) accept() {
	for {
		if s.slots != nil {
			s.slots <- struct{}{}
		}
		conn, err := s.l.Accept()
		if err != nil {
			return
		}
		s.track(conn, 1)
		s.wg.Go(func() {
			defer func() {
				conn.Close()
				s.track(conn, -1)
				if s.slots != nil {
					<-s.slots
				}
			}()
			newSwiftSession(s, conn).serve()
		})
	}
}

func (s *Swift) track(conn net.Conn, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += n
	s.count.Peak = max(s.count.Peak, s.now)
	if n > 0 {
		s.count.Connections++
		s.open[conn] = true
		return
	}
	delete(s.open, conn)
}

// swiftSession is one connection. Replies wait until all that the client has
// sent is read, so that a group of commands gets one segment for answer.
type swiftSession struct {
	s      *Swift
	conn   net.Conn
	secure bool
	r      *bufio.Reader
	w      *bufio.Writer
	rcpts  int
	octets int
}

func newSwiftSession(s *Swift, conn net.Conn) *swiftSession {
	c := &swiftSession{s: s}
	if s.o.Implicit {
		conn, c.secure = tls.Server(conn, s.o.TLS), true
	}
	c.use(conn)
	return c
}

func (c *swiftSession) use(conn net.Conn) {
	c.conn, c.r, c.w = conn, bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
}

func (c *swiftSession) serve() {
	c.say("220 swift.test ESMTP")
	for {
		if c.r.Buffered() == 0 && c.w.Flush() != nil {
			return
		}
		line, err := c.r.ReadSlice('\n')
		if err != nil || !c.obey(strings.TrimRight(string(line), "\r\n")) {
			c.w.Flush()
			return
		}
	}
}

// say queues a reply. That the client is gone shows at the next flush.
func (c *swiftSession) say(line string) { c.w.WriteString(line + "\r\n") }

// obey answers a command and reports whether the session goes on.
func (c *swiftSession) obey(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		c.say(c.offers())
	case "RCPT":
		c.rcpts++
		c.say("250 2.1.5 Ok")
	case "DATA":
		c.say("354 go on")
		return c.w.Flush() == nil && c.taken(c.data())
	case "BDAT":
		size, last, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseInt(size, 10, 63)
		if err == nil {
			_, err = io.CopyN(io.Discard, c.r, n)
		}
		c.octets += int(n)
		if last == "" {
			c.say("250 2.0.0 Ok")
			return err == nil
		}
		return c.taken(err)
	case "STARTTLS":
		c.say("220 2.0.0 go on")
		if c.w.Flush() != nil {
			return false
		}
		c.use(tls.Server(c.conn, c.s.o.TLS))
		c.secure = true
	case "AUTH":
		return c.auth(rest)
	case "QUIT":
		c.say("221 2.0.0 Bye")
		return false
	case "RSET":
		c.rcpts = 0
		fallthrough
	default:
		c.say("250 2.0.0 Ok")
	}
	return true
}

func (c *swiftSession) offers() string {
	lines := []string{"swift.test", "PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES"}
	if c.s.o.Chunking {
		lines = append(lines, "CHUNKING")
	}
	if c.s.o.TLS != nil && !c.secure {
		lines = append(lines, "STARTTLS")
	}
	if c.s.o.Auth {
		lines = append(lines, "AUTH PLAIN LOGIN")
	}
	last := len(lines) - 1
	var b strings.Builder
	for _, l := range lines[:last] {
		fmt.Fprintf(&b, "250-%s\r\n", l)
	}
	return b.String() + "250 " + lines[last]
}

// auth takes whatever answers come; LOGIN asks twice, PLAIN once if it must.
func (c *swiftSession) auth(rest string) bool {
	mechanism, initial, _ := strings.Cut(rest, " ")
	questions := []string{"334 "}
	if strings.EqualFold(mechanism, "LOGIN") {
		questions = []string{"334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"}
	}
	if initial != "" {
		questions = questions[1:]
	}
	for _, q := range questions {
		c.say(q)
		if c.w.Flush() != nil {
			return false
		}
		if _, err := c.r.ReadSlice('\n'); err != nil {
			return false
		}
	}
	c.say("235 2.7.0 Ok")
	return true
}

// data reads up to the lone dot.
func (c *swiftSession) data() error {
	begin := true // of a line
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		if begin && bytes.Equal(line, []byte(".\r\n")) {
			return nil
		}
		c.octets += len(line)
		begin = err == nil
	}
}

// taken counts a message.
func (c *swiftSession) taken(err error) bool {
	if err != nil {
		return false
	}
	c.s.mu.Lock()
	c.s.count.Messages++
	c.s.count.Recipients += c.rcpts
	c.s.count.Octets += c.octets
	c.s.mu.Unlock()
	c.rcpts, c.octets = 0, 0
	c.say("250 2.0.0 Ok")
	return true
}
