package smtptest

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// ProxyOptions say what a Proxy does to the link.
type ProxyOptions struct {
	RoundTrip time.Duration // half of it in each direction
	// CutAfter cuts the link as soon as the client has sent this text; the server
	// gets it. CutBefore cuts it before an answer with this text gets through.
	CutAfter, CutBefore string
}

// Proxy is a link between a client and a server.
type Proxy struct {
	o      ProxyOptions
	target string
	l      net.Listener
	wg     sync.WaitGroup

	mu          sync.Mutex
	turnarounds int
	conns       []net.Conn
}

// NewProxy makes a proxy for a test, which ends it.
func NewProxy(t testing.TB, target string, o ProxyOptions) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{o: o, target: target, l: l}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// Port is where clients connect.
func (p *Proxy) Port() int { return p.l.Addr().(*net.TCPAddr).Port }

// Turnarounds is how often a client waited for the server: the flights that it
// sent after having heard something.
func (p *Proxy) Turnarounds() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turnarounds
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		link := &link{p: p}
		p.wg.Go(func() { link.pump(client, server, true) })
		p.wg.Go(func() { link.pump(server, client, false) })
	}
}

// link is one connection through the proxy.
type link struct {
	p     *Proxy
	mu    sync.Mutex
	heard bool // the server spoke last
}

// parcel is what was read at a time, and when it arrives.
type parcel struct {
	data []byte
	due  time.Time
}

// pump carries one direction. Reading and writing are apart, so that the delay
// does not limit the throughput.
func (l *link) pump(from, to net.Conn, up bool) {
	queue := make(chan parcel, 4096)
	l.p.wg.Go(func() {
		defer to.Close()
		for parcel := range queue {
			time.Sleep(time.Until(parcel.due)) // the length of the line: the model itself
			if !up {
				l.turn(false)
			}
			if l.stops(to, parcel.data, up) {
				from.Close()
				return
			}
		}
	})
	defer close(queue)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if up { // seen from the client's end of the line
				l.turn(true)
			}
			queue <- parcel{bytes.Clone(buf[:n]), time.Now().Add(l.p.o.RoundTrip / 2)}
		}
		if err != nil {
			return
		}
	}
}

// stops passes data on and reports whether the link ends with it.
func (l *link) stops(to net.Conn, data []byte, up bool) bool {
	cut := l.p.o.CutBefore
	if up {
		cut = l.p.o.CutAfter
	}
	found := cut != "" && bytes.Contains(data, []byte(cut))
	if found && !up {
		return true
	}
	if _, err := to.Write(data); err != nil {
		return true
	}
	return found
}

// turn counts a change of direction.
func (l *link) turn(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if up && l.heard {
		l.p.mu.Lock()
		l.p.turnarounds++
		l.p.mu.Unlock()
	}
	l.heard = !up
}
