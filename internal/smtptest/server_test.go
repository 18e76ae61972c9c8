package smtptest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// client speaks lines to a server.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, network, address string) *client {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) want(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		got, err := c.r.ReadString('\n')
		if err != nil || !strings.HasPrefix(got, want) {
			c.t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
}

func (c *client) wantEnd(want string) {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || string(rest) != want {
		c.t.Fatalf("got %q, %v; want %q and the end", rest, err, want)
	}
}

func (c *client) secure(a *Authority) {
	c.t.Helper()
	conn := tls.Client(c.conn, &tls.Config{RootCAs: a.Pool(), ServerName: "127.0.0.1"})
	if err := conn.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.r = conn, bufio.NewReader(conn)
}

func serverTLS(t *testing.T) (*Authority, *tls.Config) {
	t.Helper()
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Server("smarthost.test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return a, &tls.Config{Certificates: []tls.Certificate{cert}}
}

func TestServerPipelined(t *testing.T) {
	s := New(t, Options{Script: Polite("PIPELINING", "SIZE 1000").With("RCPT TO:<BAD@", Say("550 no"))})
	c := dial(t, "tcp", s.Addr())
	c.send("EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nrcpt to:<bad@x>\r\nDATA\r\n" +
		"A: b\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
	c.want("220 ", "250-smarthost", "250-PIPELINING", "250 SIZE 1000", "250 2.1.0", "250 2.1.5", "550 no", "354", "250 2.0.0 queued")
	c.wantEnd("221 2.0.0 bye\r\n")
	got := s.Sessions()[0]
	if len(got.Commands) != 6 || got.Commands[3] != "rcpt to:<bad@x>" || got.Commands[5] != "QUIT" {
		t.Errorf("commands %q", got.Commands)
	}
	if len(got.Messages) != 1 || string(got.Messages[0]) != "A: b\r\n\r\n.dot\r\n" {
		t.Errorf("messages %q", got.Messages)
	}
}

func TestServerChunks(t *testing.T) {
	s := New(t, Options{Script: Polite("CHUNKING")})
	c := dial(t, "tcp", s.Addr())
	c.send("BDAT 3\r\nxxxRSET\r\nBDAT 6\r\na\n.\r\n.BDAT 1\r\nbBDAT 0 LAST\r\n")
	c.want("220 ", "250 2.0.0 more", "250 2.0.0 reset", "250 2.0.0 more", "250 2.0.0 more", "250 2.0.0 queued")
	if got := s.Sessions()[0].Messages; len(got) != 1 || string(got[0]) != "a\n.\r\n.b" {
		t.Errorf("messages %q", got)
	}
	c.send("BDAT -1\r\n")
	c.wantEnd("")
	c.conn.Close()
	s.Wait()
	if err := s.Sessions()[0].Err; err == nil || !strings.Contains(err.Error(), "BDAT -1") {
		t.Errorf("Err = %v", err)
	}
}

func TestServerAuth(t *testing.T) {
	s := New(t, Options{Script: Polite("AUTH LOGIN").
		With("AUTH LOGIN", Say("334 VXNlcg==")).
		With("_line", Say("334 UGFzcw=="), Say("535 5.7.8 no"))})
	c := dial(t, "tcp", s.Addr())
	c.send("AUTH PLAIN AGEAYg==\r\nAUTH LOGIN\r\nYQ==\r\nYg==\r\nNOOP\r\n")
	c.want("220 ", "235", "334 VX", "334 UG", "535", "250 2.0.0 ok")
	want := "AUTH PLAIN AGEAYg==|AUTH LOGIN|_line YQ==|_line Yg==|NOOP"
	if got := strings.Join(s.Sessions()[0].Commands, "|"); got != want {
		t.Errorf("commands %q", got)
	}
}

func TestServerStartTLS(t *testing.T) {
	a, config := serverTLS(t)
	s := New(t, Options{Script: Polite("STARTTLS"), TLS: config})
	c := dial(t, "tcp", s.Addr())
	c.send("STARTTLS\r\n")
	c.want("220 ", "220 ")
	c.secure(a)
	c.send("EHLO me\r\nQUIT\r\n")
	c.want("250-", "250 STARTTLS")
	c.wantEnd("221 2.0.0 bye\r\n")
	if got := s.Sessions()[0]; !got.TLS || got.Early != "" || len(got.Commands) != 3 {
		t.Errorf("session %+v", got)
	}
	c.conn.Close()

	early := dial(t, "tcp", s.Addr())
	early.send("STARTTLS\r\nNOOP\r\n")
	early.want("220 ", "220 ")
	early.conn.Close()
	s.Wait()
	if got := s.Sessions()[1]; got.Early != "NOOP\r\n" || got.TLS || got.Err == nil {
		t.Errorf("session %+v", got)
	}
}

func TestServerImplicitTLS(t *testing.T) {
	a, config := serverTLS(t)
	s := New(t, Options{Script: Polite(), TLS: config, Implicit: true})
	c := dial(t, "tcp", s.Addr())
	c.secure(a)
	c.send("QUIT\r\n")
	c.want("220 ")
	c.wantEnd("221 2.0.0 bye\r\n")
}

func TestServerUnix(t *testing.T) {
	s := New(t, Options{Script: Polite().With("_banner", Say("220 a").Slowly()), Unix: t.TempDir() + "/s"})
	c := dial(t, "unix", s.Addr())
	c.want("220 a")
	c.conn.Close()
	s.Wait()
	if err := s.Sessions()[0].Err; err != io.EOF {
		t.Errorf("Err = %v", err)
	}
}

func TestServerEnds(t *testing.T) {
	s := New(t, Options{Script: Polite().With("MAIL", Half("250 o")).
		With("NOOP", Say("421 off").And(Reset)).With("RSET", Answer{Then: Silence})})
	c := dial(t, "tcp", s.Addr())
	c.send("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\n") // what is unread does not spoil the answer
	c.want("220 ")
	c.wantEnd("250 o")

	c = dial(t, "tcp", s.Addr())
	c.want("220 ")
	c.send("NOOP\r\n")
	if _, err := io.ReadAll(c.r); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}

	c = dial(t, "tcp", s.Addr())
	c.send("RSET\r\n")
	c.want("220 ")
	s.Close() // does not wait for the silent session
	for i, session := range s.Sessions() {
		if session.Err != nil && i < 2 {
			t.Errorf("session %d: %v", i, session.Err)
		}
	}
}
