package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/proxy"
)

// throughProxy connects by SOCKS5 (RFC 1928); the proxy looks the name up.
func (cfg Config) throughProxy(ctx context.Context, address string) (net.Conn, error) {
	u, err := cfg.proxyURL()
	if err != nil {
		return nil, err
	}
	var auth *proxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	forward, err := cfg.dialer()
	if err != nil {
		return nil, err
	}
	d, err := proxy.SOCKS5("tcp", u.Host, auth, forward)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.connectTimeout())
	defer cancel()
	conn, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("by proxy %s: %w", u.Host, err)
	}
	return conn, nil
}

// commandConn is a program whose standard input and output are the connection.
type commandConn struct {
	net.Conn
	cmd    *exec.Cmd
	stderr *lastLines
	ended  chan struct{} // closed when the program is gone and stderr is whole
	once   sync.Once
}

// farewell is how long a program that closed the connection, or whose connection
// we closed, may take to end.
const farewell = time.Second

// startCommand runs argv, without a shell, on one end of a socket pair.
func startCommand(argv []string) (net.Conn, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	conn, err := net.FileConn(ours)
	if err = errors.Join(err, ours.Close()); err != nil {
		return nil, errors.Join(err, theirs.Close())
	}
	c := &commandConn{Conn: conn, cmd: exec.Command(argv[0], argv[1:]...), stderr: &lastLines{}, ended: make(chan struct{})}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, theirs, c.stderr
	c.cmd.WaitDelay = farewell
	err = c.cmd.Start()
	if cerr := theirs.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	go func() {
		defer close(c.ended)
		// How the program ends says nothing about mail that was accepted.
		_ = c.cmd.Wait()
	}()
	return c, nil
}

// gone waits a moment for the end of the program.
func (c *commandConn) gone() bool {
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	select {
	case <-c.ended:
		return true
	case <-timer.C:
		return false
	}
}

// Read implements net.Conn; at the end it tells what the program complained of,
// which it may still be about to say when its end of the connection is closed.
func (c *commandConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && n == 0 && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
		c.gone()
		if text := c.stderr.String(); text != "" {
			err = fmt.Errorf("%w (%s: %s)", err, c.cmd.Path, text)
		}
	}
	return n, err
}

// Close ends the connection and the program: its input has ended, and if that
// does not make it go within a second it is killed.
func (c *commandConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		if !c.gone() {
			// It fails only if the program is gone, which is what we want.
			_ = c.cmd.Process.Kill()
			<-c.ended
		}
	})
	return err
}

// lastLines keeps the end of what a program says, for an error message.
type lastLines struct {
	mu   sync.Mutex
	tail []byte
}

func (l *lastLines) Write(p []byte) (int, error) {
	const most = 400
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	if len(l.tail) > most {
		l.tail = bytes.Clone(l.tail[len(l.tail)-most:])
	}
	return len(p), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return printable(strings.ReplaceAll(strings.TrimSpace(string(l.tail)), "\n", "; "))
}
