package smtpd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// client speaks line by line.
type client struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func newClient(t *testing.T, c net.Conn) *client {
	return &client{t: t, c: c, r: bufio.NewReader(c)}
}

// hears reads one reply and wants it to begin so.
func (c *client) hears(want string) {
	c.t.Helper()
	if err := c.c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%v instead of %q", err, want)
		}
		if line[3] == ' ' {
			if !strings.HasPrefix(line, want) {
				c.t.Fatalf("%q, want %q", line, want)
			}
			return
		}
	}
}

func (c *client) says(line, want string) {
	c.t.Helper()
	if _, err := io.WriteString(c.c, line+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	if want != "" {
		c.hears(want)
	}
}

// ends wants the connection closed, with nothing more said.
func (c *client) ends() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Fatalf("%q %v", rest, err)
	}
}

func (c *client) begins() {
	c.t.Helper()
	c.hears("220 client.example ESMTP")
	c.says("EHLO x", "250 ")
	c.says("MAIL FROM:<s@x>", "250 ")
	c.says("RCPT TO:<a@x>", "250 ")
}

func serviceOptions(t *testing.T, h Handler) Options {
	o := testOptions(t, h)
	o.Timeout = 20 * time.Second
	return o
}

// Who calls is what the kernel says.
func TestPeer(t *testing.T) {
	o := serviceOptions(t, nil)
	seen := make(chan Peer, 1)
	o.Open = func(p Peer) (Handler, error) { seen <- p; return nil, errors.New("not now") }
	_, dial := listen(t, o)
	c := newClient(t, dial())
	c.hears("220 ")
	c.says("EHLO root", "451 4.3.0 not now")
	if p := <-seen; p.UID != os.Getuid() {
		t.Errorf("%+v", p)
	}
}

// A stop finishes what is under way and tells everybody else to come again.
func TestStop(t *testing.T) {
	r := &recorder{begun: make(chan struct{}), hold: make(chan struct{})}
	s, dial := listen(t, serviceOptions(t, r))
	idle, fresh, busy := newClient(t, dial()), newClient(t, dial()), newClient(t, dial())
	idle.begins()
	fresh.hears("220 ")
	busy.begins()
	busy.says("DATA", "354 ")
	busy.says("text\r\n.", "")
	<-r.begun
	stopped := make(chan bool, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		stopped <- s.Stop(ctx)
	}()
	idle.hears("421 4.3.2 ")
	idle.ends()
	fresh.hears("421 4.3.2 ")
	fresh.ends()
	close(r.hold)
	busy.hears("250 2.0.0 Ok: 1")
	busy.hears("421 4.3.2 ")
	busy.ends()
	if !<-stopped {
		t.Error("not all have ended")
	}
}

// A stop that nobody heeds ends when its time is over.
func TestStopTimesOut(t *testing.T) {
	r := &recorder{begun: make(chan struct{}), hold: make(chan struct{})}
	s, dial := listen(t, serviceOptions(t, r))
	busy := newClient(t, dial())
	busy.begins()
	busy.says("BDAT 1 LAST\r\nx", "")
	<-r.begun
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if s.Stop(ctx) {
		t.Error("it says that all have ended")
	}
	close(r.hold)
	busy.hears("250 2.0.0 Ok: 1")
}

// Who says nothing, or stops within a message, is not waited for for ever.
func TestTimeout(t *testing.T) {
	r := &recorder{}
	o := serviceOptions(t, r)
	o.Timeout = 50 * time.Millisecond
	_, dial := listen(t, o)
	silent, slow := newClient(t, dial()), newClient(t, dial())
	silent.hears("220 ")
	silent.hears("421 4.4.2 ")
	silent.ends()
	slow.c = dial()
	slow.r = bufio.NewReader(slow.c)
	slow.begins()
	slow.says("DATA", "354 ")
	slow.says("half of a", "451 4.4.2 ")
	if len(r.got) > 0 {
		t.Errorf("%q", r.got)
	}
}

// Over the limit callers wait for their turn; none is turned away as long as
// others go on.
func TestConnectionLimits(t *testing.T) {
	for name, limit := range map[string]func(*Options){
		"all":  func(o *Options) { o.MaxConnections = 2 },
		"user": func(o *Options) { o.MaxPerUser = 2 },
	} {
		r := &recorder{}
		o := serviceOptions(t, r)
		limit(&o)
		_, dial := listen(t, o)
		one, two := newClient(t, dial()), newClient(t, dial())
		one.hears("220 ")
		two.hears("220 ")
		three := dial()
		if err := three.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := three.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the third was served: %v", name, err)
		}
		one.says("QUIT", "221 ")
		newClient(t, three).hears("220 ")
	}
}

// A user who holds all of his places for too long is told so.
func TestUserLimitTimesOut(t *testing.T) {
	o := serviceOptions(t, &recorder{})
	o.MaxPerUser, o.Timeout = 1, 100*time.Millisecond
	_, dial := listen(t, o)
	r := newClient(t, dial())
	r.hears("220 ")
	second := newClient(t, dial())
	go func() { // the first stays busy
		for range 20 {
			if _, err := io.WriteString(r.c, "NOOP\r\n"); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	second.hears("421 4.7.0 Too many connections of one user")
	second.ends()
}

// A caller that dies in the middle leaves nothing behind.
func TestCallersDie(t *testing.T) {
	r := &recorder{}
	o := serviceOptions(t, r)
	o.MaxConnections = 3
	s, dial := listen(t, o)
	for range 30 {
		c := newClient(t, dial())
		c.begins()
		c.says("DATA", "354 ")
		c.says("text", "")
		c.c.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if !s.Stop(ctx) || len(r.got) > 0 {
		t.Errorf("%q", r.got)
	}
}
