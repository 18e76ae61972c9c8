package smtp_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/socket"
	r := serveWith(t, smtptest.Options{Script: smtptest.Polite("AUTH PLAIN"), Unix: path})
	r.cfg.Hosts, r.cfg.Socket = nil, path
	r.cfg.Username, r.cfg.Secret = testUser, giveSecret // nobody listens there
	c := r.dial()
	if info := must[smtp.Info](t)(c.Info()); info.Server != path || info.Mechanism != "PLAIN" {
		t.Errorf("%+v", info)
	}
	c.Close()
	// TLS there needs a name to verify.
	r.cfg.Hosts = []string{"localhost"}
	if info := must[smtp.Info](t)(r.dial().Info()); info.Server != "localhost" {
		t.Errorf("%+v", info)
	}
	r.cfg.Socket += ".none"
	if err := r.dialFails(smtp.ErrConnect); !strings.Contains(err.Error(), r.cfg.Socket) && !strings.Contains(err.Error(), "localhost") {
		t.Errorf("%v does not say where", err)
	}
}

// TestConnectCommandServer is no test but the program at the other end of
// TestConnectCommand: it does nothing unless it is told to by an argument.
func TestConnectCommandServer(t *testing.T) {
	switch flag.Arg(0) {
	case "serve":
		conn, err := net.FileConn(os.Stdin)
		if err != nil {
			t.Fatal(err)
		}
		s := smtptest.Over(t, conn, smtptest.Options{Script: smtptest.Polite("AUTH PLAIN")})
		s.Wait()
		os.Exit(0)
	case "complain":
		fmt.Fprintln(os.Stderr, "no route\x1b[31m")
		os.Exit(1)
	}
}

// connectCommand is this very test binary, as a server.
func connectCommand(t *testing.T, what string) []string {
	t.Helper()
	self := must[string](t)(os.Executable())
	return []string{self, "-test.run=^TestConnectCommandServer$", "--", what}
}

func TestConnectCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.ConnectCommand = connectCommand(t, "serve")
	r.cfg.Username, r.cfg.Secret = testUser, giveSecret // nobody listens there
	c := r.dial()
	result, err := c.SendAndQuit(t.Context(), smtp.Envelope{Recipients: smtp.RecipientsOf("a@x.example")}, smtp.Bytes([]byte("x: y\n")))
	if err != nil || result.Recipients[0].Fate != smtp.Taken {
		t.Errorf("%v, %+v", err, result)
	}

	// What a program complains of is in the error, escaped.
	r.cfg.ConnectCommand = connectCommand(t, "complain")
	err = r.dialFails(smtp.ErrDisconnected)
	if text := err.Error(); !strings.Contains(text, "no route") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	r.cfg.ConnectCommand = []string{"/nonexistent/program"}
	r.dialFails(smtp.ErrConnect)
}

// socks is a SOCKS5 proxy (RFC 1928) that leads to one place only.
type socks struct {
	net.Listener
	to       string
	password string // "user:password" that it wants
	refusal  byte   // reply to the request

	wg    sync.WaitGroup
	mu    sync.Mutex
	asked []string // where clients wanted to go
}

func newSocks(t *testing.T, s *socks) *socks {
	t.Helper()
	s.Listener = must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	s.wg.Go(func() {
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() {
				defer conn.Close()
				if err := s.serve(conn); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		s.Close()
		s.wg.Wait()
	})
	return s
}

func (s *socks) serve(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	buf := make([]byte, 256)
	read := func(n int) []byte {
		if _, err := io.ReadFull(conn, buf[:n]); err != nil {
			return make([]byte, n)
		}
		return append([]byte(nil), buf[:n]...)
	}
	text := func() string { return string(read(int(read(1)[0]))) }
	read(int(read(2)[1])) // methods
	if s.password == "" {
		conn.Write([]byte{5, 0})
	} else {
		conn.Write([]byte{5, 2}) // RFC 1929
		read(1)
		if got := text() + ":" + text(); got != s.password {
			conn.Write([]byte{1, 1})
			return nil
		}
		conn.Write([]byte{1, 0})
	}
	if kind := read(4)[3]; kind != 3 {
		return fmt.Errorf("address of kind %d, not a name", kind)
	}
	name, port := text(), read(2)
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%s:%d", name, int(port[0])<<8|int(port[1])))
	s.mu.Unlock()
	conn.Write([]byte{5, s.refusal, 0, 1, 0, 0, 0, 0, 0, 0})
	if s.refusal != 0 {
		return nil
	}
	server, err := net.Dial("tcp", s.to)
	if err != nil {
		return err
	}
	var up sync.WaitGroup
	up.Go(func() {
		io.Copy(server, conn)
		server.Close()
	})
	io.Copy(conn, server)
	conn.Close()
	up.Wait()
	return nil
}

func TestProxy(t *testing.T) {
	t.Parallel()
	r := serve(t, smtptest.Polite())
	z := &zone{}
	r.cfg.Hosts, r.cfg.Resolver = []string{"smarthost.test"}, z
	for _, test := range []struct {
		name  string
		proxy *socks
		user  string
		kind  error
	}{
		{"open", &socks{}, "", nil},
		{"with password", &socks{password: "joe:pw"}, "joe:pw@", nil},
		{"wrong password", &socks{password: "joe:pw"}, "joe:other@", smtp.ErrConnect},
		// "Host unreachable": only the proxy knows.
		{"refused", &socks{refusal: 4}, "", smtp.ErrConnect},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newSocks(t, test.proxy)
			p.to = r.Addr()
			cfg := r.cfg
			cfg.Proxy = "socks5://" + test.user + p.Addr().String()
			c, err := smtp.Dial(t.Context(), cfg)
			if test.kind != nil {
				mustBe(t, r.diary.note(err), test.kind)
				if strings.Contains(err.Error(), "other") {
					t.Errorf("%v has the password", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if info := must[smtp.Info](t)(c.Info()); !info.Proxied || info.Server != "smarthost.test" {
				t.Errorf("%+v", info)
			}
			if want := fmt.Sprintf("smarthost.test:%d", r.Port()); p.asked[0] != want {
				t.Errorf("asked for %q, want %q", p.asked, want)
			}
		})
	}
	if len(z.asked) > 0 {
		t.Errorf("looked up %q, which is the proxy's work", z.asked)
	}

	// The source address is that of the connection to the proxy.
	from := newSocks(t, &socks{})
	from.to = r.Addr()
	cfg := r.cfg
	cfg.Proxy, cfg.SourceAddress = "socks5://"+from.Addr().String(), "127.0.0.3"
	c := must[*smtp.Client](t)(smtp.Dial(t.Context(), cfg))
	defer c.Close()
	if local := must[smtp.Info](t)(c.Info()).Local.String(); !strings.HasPrefix(local, "127.0.0.3:") {
		t.Errorf("from %s", local)
	}

	// Nobody there.
	p := newSocks(t, &socks{})
	p.Close()
	r.cfg.Proxy = "socks5://" + p.Addr().String()
	r.dialFails(smtp.ErrConnect)
}

// A proxy that never answers is given up.
func TestProxySilent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	silent := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { silent.Close() })
	r.cfg.Hosts, r.cfg.Proxy = []string{"smarthost.test"}, "socks5://"+silent.Addr().String()
	r.cfg.ConnectTimeout = 20 * time.Millisecond
	r.dialFails(smtp.ErrConnectTimeout, smtp.ErrTimeout)

	first := must[net.Conn](t)(silent.Accept())
	defer first.Close()

	// Nor is it waited for when the caller has had enough.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.cfg.ConnectTimeout = time.Hour
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		if conn, err := silent.Accept(); err == nil {
			accepted <- conn
			cancel()
		}
	}()
	_, err := smtp.Dial(ctx, r.cfg)
	mustBe(t, r.diary.note(err), context.Canceled)
	if conn := <-accepted; conn != nil {
		conn.Close()
	}
}
