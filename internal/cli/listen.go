package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"postern/internal/config"
)

// firstSocket is the first descriptor that a service manager passes
// (sd_listen_fds(3)).
const firstSocket = 3

// listen gives the sockets of the service: those that the service manager holds
// for us, else one of our own, and the one for loopback if there is one.
func (a *app) listen(s *config.Service, pid int) (list []net.Listener, err error) {
	defer func() {
		if err != nil {
			closeAll(list)
		}
	}()
	if list, err = a.inherited(pid); err != nil {
		return list, err
	}
	if len(list) == 0 {
		l, err := listenUnix(s.Socket)
		if err != nil {
			return list, err
		}
		list = append(list, l)
	}
	if s.Listen != "" {
		l, err := net.Listen("tcp", s.Listen)
		if err != nil {
			return list, err
		}
		list = append(list, l)
	}
	return list, nil
}

func closeAll(list []net.Listener) {
	for _, l := range list {
		_ = l.Close() // nothing is waiting for it
	}
}

// inherited are the sockets that the service manager holds.
func (a *app) inherited(pid int) ([]net.Listener, error) {
	n, err := strconv.Atoi(a.getenv("LISTEN_FDS"))
	if err != nil || a.getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	var list []net.Listener
	for fd := firstSocket; fd < firstSocket+n; fd++ {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "socket "+strconv.Itoa(fd))
		l, err := net.FileListener(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return list, fmt.Errorf("a socket of the service manager: %w", err)
		}
		list = append(list, l)
		switch at := l.Addr().(type) {
		case *net.UnixAddr:
			l.(*net.UnixListener).SetUnlinkOnClose(false)
		case *net.TCPAddr:
			if !at.IP.IsLoopback() {
				return list, fmt.Errorf("the service manager's socket %s is not on loopback; there is no TLS and no login", at)
			}
		}
	}
	return list, nil
}

// listenUnix makes a socket that every user may connect to. It takes the place of
// one that a dead service left, so that there is no time without any; who calls in
// between is refused for now.
func listenUnix(path string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		return nil, errors.Join(fmt.Errorf("another service listens on %s", path), c.Close())
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(fresh, 0o666), os.Rename(fresh, path)); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(fresh))
	}
	return l, nil
}
