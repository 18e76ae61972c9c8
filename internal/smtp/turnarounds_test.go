package smtp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// oddMessage says that it has another size than it has.
type oddMessage struct {
	text string
	size int64
}

func (o oddMessage) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(o.text)), nil
}
func (o oddMessage) Size() int64 { return o.size }

// stream is messages for a drain, all alike.
func stream(n int, text string) func(context.Context) (*smtp.Transaction, error) {
	m := smtp.Bytes([]byte(text))
	return func(context.Context) (*smtp.Transaction, error) {
		if n == 0 {
			return nil, io.EOF
		}
		n--
		return &smtp.Transaction{Envelope: smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x")}, Message: m}, nil
	}
}

// How often we wait for the server. The proxy counts a flight for each time that
// the client speaks after having heard something; the connection itself and the
// wait for the banner come on top of it, two round trips. So 3 here is 5 round
// trips in all, 5 is 7 and 7 is 9.
//
// AUTH PLAIN and MAIL, RCPT, DATA could share a flight by RFC 4954 4, and save one.
// They do not: Postfix for one answers such a flight with 535, 250, 250, 354 where
// it takes mail without a login too, and after 354 there is no way out but to hang
// up, with no other mechanism tried.
func TestTurnarounds(t *testing.T) {
	t.Parallel()
	login := func(c *smtp.Config) { c.Username, c.Secret, c.Auth = testUser, giveSecret, []string{"PLAIN"} }
	starttls := func(c *smtp.Config) { login(c); c.TLS, c.Insecure = smtp.Required, true }
	implicit := func(c *smtp.Config) { login(c); c.TLS, c.Insecure = smtp.Implicit, true }
	for _, test := range []struct {
		name      string
		offer     []string
		configure func(*smtp.Config)
		n, window int // a drain of n, 0 for one message with Send
		want      int
	}{
		{"one, plain", []string{"PIPELINING"}, nil, 0, 0, 3},                // EHLO; MAIL RCPT DATA; content QUIT
		{"one, chunking", []string{"PIPELINING", "CHUNKING"}, nil, 0, 0, 2}, // EHLO; MAIL RCPT BDAT QUIT
		{"one, neither", []string{"SIZE"}, nil, 0, 0, 7},                    // EHLO; MAIL; RCPT; RCPT; DATA; content; QUIT
		{"one, login", []string{"PIPELINING", "AUTH PLAIN"}, login, 0, 0, 4},
		// The handshake begins with us, before anything was heard; its end and EHLO
		// are two flights, since the banner is waited for.
		{"one, implicit TLS and login", []string{"PIPELINING", "AUTH PLAIN"}, implicit, 0, 0, 5},
		// EHLO; STARTTLS; hello; finished and EHLO; AUTH; MAIL RCPT DATA; content QUIT.
		{"one, STARTTLS and login", []string{"PIPELINING", "AUTH PLAIN", "STARTTLS"}, starttls, 0, 0, 7},
		{"one, STARTTLS, login, chunking", []string{"PIPELINING", "AUTH PLAIN", "STARTTLS", "CHUNKING"}, starttls, 0, 0, 6},
		{"drain, plain", []string{"PIPELINING"}, nil, 100, 1, 102}, // one each, EHLO, the first MAIL
		{"drain, chunking", []string{"PIPELINING", "CHUNKING"}, nil, 100, 1, 102},
		{"drain, neither", []string{"SIZE"}, nil, 100, 1, 402}, // four each, EHLO, QUIT
		{"drain, window without chunking", []string{"PIPELINING"}, nil, 100, 10, 102},
		// EHLO; the two plain ones; then the window is filled at once, and QUIT goes with
		// what is last, unless a full window is waited for before there is asked for more.
		{"drain, window, one", []string{"PIPELINING", "CHUNKING"}, nil, 1, 10, 3},
		{"drain, window, one behind the plain ones", []string{"PIPELINING", "CHUNKING"}, nil, 3, 10, 4},
		{"drain, window, not full", []string{"PIPELINING", "CHUNKING"}, nil, 11, 10, 4},
		{"drain, window, full", []string{"PIPELINING", "CHUNKING"}, nil, 12, 10, 5},
		{"drain, window, one more", []string{"PIPELINING", "CHUNKING"}, nil, 13, 10, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := serveWith(t, smtptest.Options{Script: smtptest.Polite(test.offer...), Implicit: test.configure != nil && strings.Contains(test.name, "implicit")})
			p := smtptest.NewProxy(t, r.Addr(), smtptest.ProxyOptions{})
			r.cfg.Port = p.Port()
			if test.configure != nil {
				test.configure(&r.cfg)
			}
			got := 0
			r.cfg.Trace = func(direction byte, line string) {
				if direction == '<' && strings.HasPrefix(line, "221") { // what TLS says after it nobody waits for
					got = p.Turnarounds()
				}
				r.diary.trace(direction, line)
			}
			c := r.dial()
			var err error
			if test.n == 0 {
				_, err = c.SendAndQuit(t.Context(), smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x", "c@x")}, smtp.Bytes([]byte("x: y\n")))
			} else {
				err = c.Drain(t.Context(), smtp.DrainOptions{Window: test.window}, stream(test.n, "x: y\n"), func(*smtp.Transaction, smtp.Result) {})
			}
			if err != nil || got != test.want {
				t.Errorf("%d turnarounds, want %d (%v)", got, test.want, err)
			}
		})
	}
}

// With a window the messages of a drain cost next to no turnaround. How many
// depends on how the segments fall, so that only an upper limit is sure: the
// server is a round trip away, and all of a window's answers come together.
func TestTurnaroundsWindow(t *testing.T) {
	t.Parallel()
	const n, window = 100, 10
	r := serve(t, smtptest.Polite("PIPELINING", "CHUNKING"))
	p := smtptest.NewProxy(t, r.Addr(), smtptest.ProxyOptions{RoundTrip: 20 * time.Millisecond})
	r.cfg.Port = p.Port()
	taken := 0
	began := time.Now()
	err := r.dial().Drain(t.Context(), smtp.DrainOptions{Window: window}, stream(n, "x: y\n"), func(_ *smtp.Transaction, res smtp.Result) {
		if res.Err() == nil {
			taken++
		}
	})
	if err != nil || taken != n {
		t.Fatalf("%v, %d taken", err, taken)
	}
	if d := time.Since(began); d > n*20*time.Millisecond*3/4 {
		t.Errorf("%v: a turnaround a message would take %v", d, n*20*time.Millisecond)
	}
	t.Logf("%d turnarounds in %v", p.Turnarounds(), time.Since(began))
}

// pattern is a message of any size that takes no memory.
type pattern struct{ size int64 }

func (p pattern) Size() int64 { return p.size }
func (p pattern) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(&lines{}, p.size)), nil
}

type lines struct{ rest string }

func (l *lines) Read(p []byte) (int, error) {
	if l.rest == "" {
		l.rest = manyLines()
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

var manyLines = sync.OnceValue(func() string {
	return strings.Repeat("seventy octets of text that do not begin with a dot, so as most lines\r\n", 1000) +
		".some do\r\n"
})

// What is allocated does not depend on the size of the message.
func TestFlatAllocation(t *testing.T) {
	for _, offer := range []string{"X", "PIPELINING"} {
		cost := func(size int64) uint64 {
			c := must[*smtp.Client](t)(smtp.NewClient(t.Context(), &blackHole{offer: offer}, smtp.Config{TLS: smtp.None, LocalName: "me"}))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := c.Send(t.Context(), smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x")}, pattern{size}); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		small, large := cost(1<<20), cost(50<<20)
		if large > small+64<<10 {
			t.Errorf("%s: %d octets allocated for 1 MiB, %d for 50 MiB", offer, small, large)
		}
		t.Logf("%s: %d octets allocated for 1 MiB, %d for 50 MiB", offer, small, large)
	}
}

// blackHole is a server that keeps nothing, for measuring: it only looks for the
// ends of commands and contents.
type blackHole struct {
	model
	offer  string
	inside bool
	begun  bool
	tail   []byte
	reply  bytes.Buffer
}

func (b *blackHole) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		b.reply.WriteString("220 hole\r\n")
	}
	return b.reply.Read(p)
}

func (b *blackHole) Write(p []byte) (int, error) {
	if b.inside {
		b.tail = append(b.tail[:0], p[max(0, len(p)-5):]...)
		if b.inside = !bytes.HasSuffix(b.tail, []byte("\r\n.\r\n")); !b.inside {
			b.reply.WriteString("250 ok\r\n")
		}
		return len(p), nil
	}
	for line := range bytes.Lines(p) {
		switch string(line[:4]) {
		case "EHLO":
			fmt.Fprintf(&b.reply, "250-hole\r\n250 %s\r\n", b.offer)
		case "DATA":
			b.reply.WriteString("354 go\r\n")
			b.inside = true
		default:
			b.reply.WriteString("250 ok\r\n")
		}
	}
	return len(p), nil
}
