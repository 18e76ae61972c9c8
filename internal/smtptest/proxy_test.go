package smtptest

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestProxyTurnarounds(t *testing.T) {
	s := New(t, Options{Script: Polite("PIPELINING")})
	p := NewProxy(t, s.Addr(), ProxyOptions{})
	c := dial(t, "tcp", p.Addr())
	c.want("220 ")
	c.send("EHLO me\r\n")
	c.want("250-", "250 ")
	c.send("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n")
	c.send("DATA\r\n") // the same flight, if nothing was heard in between
	c.want("250 ", "250 ", "354")
	if n := p.Turnarounds(); n < 2 || n > 3 {
		t.Errorf("%d turnarounds", n)
	}
	before := p.Turnarounds()
	c.send("a\r\n.\r\n")
	c.want("250 ")
	c.send("QUIT\r\n")
	c.wantEnd("221 2.0.0 bye\r\n")
	if n := p.Turnarounds() - before; n != 2 {
		t.Errorf("%d more turnarounds, want 2", n)
	}
}

func TestProxyDelay(t *testing.T) {
	const roundTrip = 20 * time.Millisecond
	s := New(t, Options{Script: Polite(), Unix: t.TempDir() + "/s"})
	p := NewProxy(t, s.Addr(), ProxyOptions{RoundTrip: roundTrip})
	began := time.Now()
	c := dial(t, "tcp", p.Addr())
	c.want("220 ")
	c.send("NOOP\r\n")
	c.want("250 ")
	c.send("NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n")
	c.want("250 ", "250 ", "250 ", "250 ")
	if d := time.Since(began); d < 5*roundTrip/2 {
		t.Errorf("took %v", d)
	}
	if n := p.Turnarounds(); n != 2 {
		t.Errorf("%d turnarounds, want 2", n)
	}
}

// A slow line is not a narrow one: with a wait for each segment these octets
// would take longer than the client allows.
func TestProxyThroughput(t *testing.T) {
	s := New(t, Options{Script: Polite()})
	p := NewProxy(t, s.Addr(), ProxyOptions{RoundTrip: 200 * time.Millisecond})
	c := dial(t, "tcp", p.Addr())
	content := strings.Repeat(strings.Repeat("x", 998)+"\r\n", 8<<10)
	c.send("DATA\r\n" + content + ".\r\n")
	c.want("220 ", "354", "250 ")
	if got := s.Sessions()[0].Messages; len(got) != 1 || string(got[0]) != content {
		t.Errorf("the content is another")
	}
}

func TestProxyCuts(t *testing.T) {
	for name, test := range map[string]struct {
		o        ProxyOptions
		script   Script
		heard    string
		commands string
		messages int
	}{
		"before an answer":            {ProxyOptions{CutBefore: "250 2.0.0 queued"}, Polite(), "354 go on\r\n", "DATA", 1},
		"before an answer by octets":  {ProxyOptions{CutBefore: "queued"}, Polite().With("_content", Say("250 queued").Slowly()), "", "DATA", 1},
		"after a text":                {ProxyOptions{CutAfter: "DATA\r\nsome"}, Polite(), "", "DATA", 0},
		"after some octets":           {ProxyOptions{CutAfterClientBytes: 6}, Polite(), "", "DATA", 0},
		"after octets of the content": {ProxyOptions{CutAfterClientBytes: 20}, Polite(), "", "DATA", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(t, Options{Script: test.script})
			p := NewProxy(t, s.Addr(), test.o)
			c := dial(t, "tcp", p.Addr())
			c.want("220 ")
			io.WriteString(c.conn, "DATA\r\n")
			io.WriteString(c.conn, "some content\r\n.\r\n")
			heard, _ := io.ReadAll(c.r)
			if strings.Contains(string(heard), "queued") || !strings.HasPrefix(string(heard), test.heard) {
				t.Errorf("heard %q", heard)
			}
			s.Wait()
			got := s.Sessions()[0]
			if strings.Join(got.Commands, "|") != test.commands || len(got.Messages) != test.messages {
				t.Errorf("commands %q, messages %q", got.Commands, got.Messages)
			}
		})
	}
}

func TestProxyStallAndCut(t *testing.T) {
	s := New(t, Options{Script: Polite()})
	p := NewProxy(t, s.Addr(), ProxyOptions{})
	c := dial(t, "tcp", p.Addr())
	c.want("220 ")
	p.Stall()
	c.send("NOOP\r\n")
	p.Cut()
	if rest, _ := io.ReadAll(c.r); len(rest) != 0 {
		t.Errorf("heard %q", rest)
	}
	s.Wait()
	if got := s.Sessions()[0].Commands; len(got) != 0 {
		t.Errorf("the server heard %q", got)
	}
}

// With Far a server that speaks first is heard after two round trips, as on a
// real line: one to connect, one for the greeting.
func TestProxyFar(t *testing.T) {
	const trip = 40 * time.Millisecond
	s, err := StartSwift(SwiftOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	p := NewProxy(t, s.Addr(), ProxyOptions{RoundTrip: trip, Far: true})
	begin := time.Now()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 512)
	if _, err := c.Read(buf); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 2*trip {
		t.Errorf("the greeting came after %s", took)
	}
	if n := p.Answers(); n != 0 {
		t.Errorf("%d answers before a question", n)
	}
	for n := 1; n <= 2; n++ {
		asked := time.Now()
		if _, err := c.Write([]byte("NOOP\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(asked); took < trip || p.Answers() != n {
			t.Errorf("an answer after %s, %d of them", took, p.Answers())
		}
	}
}
