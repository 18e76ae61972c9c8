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
	d, err := proxy.SOCKS5("tcp", u.Host, auth, &net.Dialer{KeepAlive: -1})
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
	once   sync.Once
}

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
	c := &commandConn{Conn: conn, cmd: exec.Command(argv[0], argv[1:]...), stderr: &lastLines{}}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, theirs, c.stderr
	c.cmd.WaitDelay = time.Second
	err = c.cmd.Start()
	if cerr := theirs.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// Read implements net.Conn; at the end it tells what the program complained of.
func (c *commandConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && n == 0 {
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
		timer := time.AfterFunc(time.Second, func() {
			// It fails only if the program is gone, which is what we want.
			_ = c.cmd.Process.Kill()
		})
		// How the program ends says nothing about mail that was accepted.
		_ = c.cmd.Wait()
		timer.Stop()
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
