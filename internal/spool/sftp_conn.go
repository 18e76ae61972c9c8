package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// restBetween is how long a server that cannot be reached is left alone.
const restBetween = 10 * time.Second

var errClosed = errors.New("the spool is closed")

// session is a connection that is ready.
type session struct {
	conn    net.Conn
	ssh     *ssh.Client
	sftp    *sftp.Client
	timeout time.Duration
	unhook  func() bool // from the context

	mu    sync.Mutex
	cause error // why we closed it

	modes    sync.Once
	dirsMade atomic.Bool
	shared   bool // the spool is a group's
	fsync    bool
	posix    bool
	handles  map[string]*sftp.File // of directories, to sync them; nil if that cannot be done
}

// address is host and port as knownhosts and net want them.
func (o SFTPOptions) address() string { return net.JoinHostPort(o.Host, strconv.Itoa(o.Port)) }

// awayError is why there is no connection. It is ErrAway.
type awayError struct{ err error }

func (e *awayError) Error() string        { return e.err.Error() }
func (e *awayError) Unwrap() error        { return e.err }
func (e *awayError) Is(target error) bool { return target == ErrAway }

// session gives the connection, and makes it if there is none.
func (f *SFTP) session() (*session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, errClosed
	case f.s != nil:
		return f.s, nil
	case f.failed != nil && f.now().Before(f.again):
		return nil, f.failed
	}
	s, err := f.connect()
	if err != nil {
		f.failed, f.again = &awayError{fmt.Errorf("%s: %w", f.o.address(), err)}, f.now().Add(restBetween)
		return nil, f.failed
	}
	f.s, f.failed = s, nil
	return s, nil
}

// connect makes a connection and logs in.
func (f *SFTP) connect() (*session, error) {
	ctx, cancel := context.WithTimeout(f.ctx, f.o.ConnectTimeout)
	defer cancel()
	config, end, err := f.o.clientConfig(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	conn, err := f.o.Dial(ctx, "tcp", f.o.address())
	if err != nil {
		return nil, timedOut(ctx, f.o.ConnectTimeout, err)
	}
	s := &session{conn: conn, timeout: f.o.CommandTimeout, handles: make(map[string]*sftp.File)}
	stop := context.AfterFunc(ctx, func() { s.abort(ctx.Err()) })
	if err := s.open(f.o, config); err != nil {
		stop()
		return nil, timedOut(ctx, f.o.ConnectTimeout, errors.Join(err, s.close()))
	}
	stop()
	s.unhook = context.AfterFunc(f.ctx, func() { s.abort(f.ctx.Err()) })
	_, s.fsync = s.sftp.HasExtension("fsync@openssh.com")
	_, s.posix = s.sftp.HasExtension("posix-rename@openssh.com")
	return s, nil
}

// open speaks SSH and then SFTP on the connection.
func (s *session) open(o SFTPOptions, config *ssh.ClientConfig) error {
	c, channels, requests, err := ssh.NewClientConn(s.conn, o.address(), config)
	if err != nil {
		return o.explain(err)
	}
	s.ssh = ssh.NewClient(c, channels, requests)
	s.sftp, err = sftp.NewClient(s.ssh)
	if err != nil {
		return fmt.Errorf("SFTP cannot be started for this user: %w (an account whose shell does not let it in needs \"ForceCommand internal-sftp\")", err)
	}
	return nil
}

// timedOut says so when time was what failed.
func timedOut(ctx context.Context, limit time.Duration, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("not connected within %s: %w", limit, context.DeadlineExceeded)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// abort ends the connection under all that wait for it.
func (s *session) abort(why error) {
	s.mu.Lock()
	if s.cause == nil {
		s.cause = why
	}
	s.mu.Unlock()
	// It may be closed already.
	_ = s.conn.Close()
}

// close says goodbye.
func (s *session) close() error {
	if s.unhook != nil {
		s.unhook()
	}
	// A server that does not answer the goodbye is not waited for.
	t := time.AfterFunc(2*time.Second, func() { _ = s.conn.Close() })
	defer t.Stop()
	if s.sftp != nil {
		// The connection ends in any case.
		_ = s.sftp.Close()
	}
	if s.ssh != nil {
		_ = s.ssh.Close()
	}
	_ = s.conn.Close()
	return nil
}

// lostError is a connection that ended before the answer.
type lostError struct{ err error }

func (e *lostError) Error() string { return "connection lost: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// call does one request, and gives the connection up if there is no answer in
// time. An error that is not the server's answer becomes a lostError.
func (s *session) call(request func() error) error { return s.callWithin(s.timeout, request) }

func (s *session) callWithin(limit time.Duration, request func() error) error {
	t := time.AfterFunc(limit, func() { s.abort(fmt.Errorf("no answer within %s", limit)) })
	err := request()
	t.Stop()
	if err == nil || answered(err) {
		return err
	}
	s.mu.Lock()
	if s.cause != nil {
		err = s.cause
	}
	s.mu.Unlock()
	s.abort(err)
	return &lostError{err}
}

// answered tells whether an error is what the server said.
func answered(err error) bool {
	if status, ok := errors.AsType[*sftp.StatusError](err); ok {
		return status.FxCode() != sftp.ErrSSHFxConnectionLost && status.FxCode() != sftp.ErrSSHFxNoConnection
	}
	return err == io.EOF || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

func lost(err error) bool {
	_, ok := errors.AsType[*lostError](err)
	return ok
}

// do makes a request, and again over a new connection when the first is lost.
// again tells that the first attempt may have been carried out.
func (f *SFTP) do(request func(*session) error) (again bool, err error) {
	return f.attempt(request, 0)
}

// insist is do for a request whose fate must be known: it waits a while for a
// server that has gone.
func (f *SFTP) insist(request func(*session) error) (again bool, err error) {
	const pauses = 4 // of 1, 2, 4 and 8 seconds
	return f.attempt(request, pauses)
}

func (f *SFTP) attempt(request func(*session) error, pauses int) (again bool, err error) {
	s, err := f.session()
	if err != nil {
		return false, err
	}
	if err = request(s); !lost(err) {
		return false, err
	}
	f.drop(s)
	next := error(nil)
	for i := range pauses + 1 {
		if s, next = f.session(); next == nil {
			if next = request(s); !lost(next) {
				return true, next
			}
			f.drop(s)
		}
		if i == pauses || !f.pause(time.Second<<i) {
			break
		}
	}
	return true, fmt.Errorf("%w (%w; then %w)", ErrInDoubt, err, next)
}

// pause waits before another attempt; it is false if there shall be none.
func (f *SFTP) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-f.ctx.Done():
		return false
	case <-t.C:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = nil // now it counts
	return true
}

// drop forgets a connection that is lost.
func (f *SFTP) drop(s *session) {
	f.mu.Lock()
	if f.s == s {
		f.s = nil
	}
	f.mu.Unlock()
	// It is lost, there is nothing to learn.
	_ = s.close()
}

// together makes requests in one flight and joins what they say.
func together(calls ...func() error) []error {
	errs := make([]error, len(calls))
	var wg sync.WaitGroup
	for i, call := range calls[1:] {
		wg.Go(func() { errs[i+1] = call() })
	}
	errs[0] = calls[0]()
	wg.Wait()
	return errs
}
