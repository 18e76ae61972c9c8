package spooltest

import (
	"io"
	"net"
	"sync"
	"time"
)

// link is one direction of a connection that takes its time.
type link struct {
	mu     sync.Mutex
	cond   *sync.Cond
	delay  time.Duration
	queue  []parcel
	closed bool
}

type parcel struct {
	data []byte
	due  time.Time
}

func newLink(delay time.Duration) *link {
	l := &link{delay: delay}
	l.cond = sync.NewCond(&l.mu)
	return l
}

func (l *link) read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 {
		if l.closed {
			return 0, io.EOF
		}
		l.cond.Wait()
	}
	if wait := time.Until(l.queue[0].due); l.delay > 0 && wait > 0 {
		l.mu.Unlock()
		time.Sleep(wait)
		l.mu.Lock()
	}
	first := &l.queue[0]
	n := copy(p, first.data)
	if first.data = first.data[n:]; len(first.data) == 0 {
		l.queue = l.queue[1:]
	}
	return n, nil
}

func (l *link) write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, io.ErrClosedPipe
	}
	l.queue = append(l.queue, parcel{append([]byte(nil), p...), time.Now().Add(l.delay)})
	l.cond.Broadcast()
	return len(p), nil
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.cond.Broadcast()
}

// NewPipe is a connection in memory whose octets take the delay each way. It can
// be used in a testing/synctest bubble.
func NewPipe(delay time.Duration) (one, other net.Conn) {
	there, back := newLink(delay), newLink(delay)
	return &linkConn{in: back, out: there}, &linkConn{in: there, out: back}
}

// linkConn is one end.
type linkConn struct{ in, out *link }

func (c *linkConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *linkConn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *linkConn) Close() error                { c.in.close(); c.out.close(); return nil }

func (c *linkConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (c *linkConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
func (c *linkConn) SetDeadline(time.Time) error      { return nil }
func (c *linkConn) SetReadDeadline(time.Time) error  { return nil }
func (c *linkConn) SetWriteDeadline(time.Time) error { return nil }
