package smtptest

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// ProxyOptions say what a Proxy does to the link.
type ProxyOptions struct {
	RoundTrip time.Duration // half of it in each direction
	// Far makes connecting take its time as well: a round trip until the client may
	// speak, and another half until the server knows of it.
	Far bool
	// CutAfter cuts the link when the client has sent this text: the server gets it
	// and nothing more. CutBefore cuts it when an answer has this text: the client
	// gets what came before it and nothing more.
	CutAfter, CutBefore string
	// CutAfterClientBytes cuts the link when the server has got so many octets.
	CutAfterClientBytes int64
}

// Proxy is a link between a client and a server.
type Proxy struct {
	o      ProxyOptions
	target string
	l      net.Listener
	wg     sync.WaitGroup
	gone   chan struct{} // closed by Close

	mu          sync.Mutex
	turnarounds int
	answers     int
	links       []*link
	closed      bool
	stalled     bool
}

// StartProxy makes a proxy in front of target, a TCP address or the path of a
// socket.
func StartProxy(target string, o ProxyOptions) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{o: o, target: target, l: l, gone: make(chan struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

// NewProxy is StartProxy for a test, which ends the proxy.
func NewProxy(t testing.TB, target string, o ProxyOptions) *Proxy {
	t.Helper()
	p, err := StartProxy(target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Addr is where clients connect, "127.0.0.1:port".
func (p *Proxy) Addr() string { return p.l.Addr().String() }

// Port is its port.
func (p *Proxy) Port() int { return p.l.Addr().(*net.TCPAddr).Port }

// Close ends the proxy with all connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	if !p.closed {
		close(p.gone)
	}
	p.closed = true
	p.mu.Unlock()
	p.l.Close()
	p.Cut()
	p.wg.Wait()
}

// Turnarounds is how often a client waited for the server: the flights that it
// sent after having heard something.
func (p *Proxy) Turnarounds() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turnarounds
}

// Answers is how often the server answered something that the client had said.
// With the greeting of a server that speaks first, and the time that connecting
// takes, it is the round trips of a session: a last word that nobody answers,
// such as TLS's close_notify, does not count.
func (p *Proxy) Answers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.cut()
	}
}

// Stall keeps all connections and lets nothing through any more.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

func (p *Proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		if p.o.Far {
			p.wg.Go(func() { p.connect(client) })
		} else {
			p.connect(client)
		}
	}
}

func (p *Proxy) connect(client net.Conn) {
	if p.o.Far && !p.travel(p.o.RoundTrip) {
		client.Close()
		return
	}
	network := "tcp"
	if strings.HasPrefix(p.target, "/") {
		network = "unix"
	}
	server, err := net.Dial(network, p.target)
	if err != nil {
		client.Close()
		return
	}
	p.carry(client, server)
}

// travel waits as long as the line takes; it is false if the proxy is closed.
func (p *Proxy) travel(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-p.gone:
		return false
	}
}

// carry begins a link.
func (p *Proxy) carry(client, server net.Conn) {
	l := &link{p: p, client: client, server: server, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		l.cut()
		return
	}
	p.links = append(p.links, l)
	up := &lane{link: l, from: client, to: server, up: true, queue: make(chan parcel, 4096)}
	down := &lane{link: l, from: server, to: client, queue: make(chan parcel, 4096)}
	p.wg.Go(up.read)
	p.wg.Go(func() {
		if p.o.Far { // the server accepts half a trip after the client did
			p.travel(p.o.RoundTrip / 2)
		}
		down.read()
	})
	p.wg.Go(func() {
		var both sync.WaitGroup
		both.Go(up.write)
		both.Go(down.write)
		both.Wait()
		l.cut()
	})
}
