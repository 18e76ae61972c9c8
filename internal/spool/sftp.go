package spool

import (
	"context"
	"net"
	"sync"
	"time"
)

// SFTPOptions say where a spool on another host is and how to log in there.
type SFTPOptions struct {
	User string
	Host string // a name or an address without brackets
	Port int
	Dir  string // absolute, or relative to the directory of the login

	KnownHosts  []string // files; they all must be readable
	Identity    string   // file of the private key, "" for none
	Certificate string   // file of its certificate; "": Identity-cert.pub, if it is there
	Agent       string   // socket of the agent, "" for none
	// Passphrase of Identity, and Password for a login with one; nil for none.
	Passphrase, Password func(context.Context) (string, error)

	ConnectTimeout time.Duration // until the session is ready; default 30 s
	CommandTimeout time.Duration // for each answer of the server; default 60 s

	// LockDir is a directory of this host for the locks that keep the processes
	// of one host from running the queue side by side. "" is none.
	LockDir string
	// Dial opens the connection, in place of net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// SFTP is a spool in a directory of an SFTP server (draft-ietf-secsh-filexfer-02,
// the version that OpenSSH speaks). It connects when it is first needed and keeps
// one connection.
//
// # What is asked of the server
//
// No call depends on how a server words its refusal, and none on a rename that
// refuses to overwrite: names are unique, so nothing is there to be overwritten,
// and after a failure the names themselves are looked at.
//
//   - fsync@openssh.com makes files durable, and directories as well where the
//     server opens one as a file (OpenSSH does).
//   - posix-rename@openssh.com renames in one step. The rename of the protocol is
//     a link and an unlink with some servers.
//
// Weaker tells what a server lacks.
//
// # A connection that is lost
//
// Each call is repeated once over a new connection, since none does harm twice.
// Where the first attempt may have been carried out, the names tell: a rename
// from a name that only we use has happened when that name is gone. If there is
// no new connection the call is in doubt, ErrInDoubt.
//
// # Round trips
//
// Requests that do not depend on each other go out together. A small message is
// published in five flights: open, write, fsync, close and rename, fsync of the
// directory; four without fsync. What Close has to tell of a file that is synced
// comes with Rename, so that the two share a flight.
type SFTP struct {
	o   SFTPOptions
	ctx context.Context

	mu     sync.Mutex
	s      *session
	failed error // of the last attempt to connect
	again  time.Time
	dirs   []string // of the spool, to be made when they turn out to be missing
	closed bool

	closing sync.Map // name of a synced file → chan error
	bg      sync.WaitGroup
	now     func() time.Time
}

// NewSFTP gives a spool that is not connected yet. When ctx ends the connection
// does too.
func NewSFTP(ctx context.Context, o SFTPOptions, now func() time.Time) *SFTP {
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 30 * time.Second
	}
	if o.CommandTimeout == 0 {
		o.CommandTimeout = time.Minute
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	return &SFTP{o: o, ctx: ctx, now: now}
}

// Connected reports whether the server has been needed so far.
func (f *SFTP) Connected() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.s != nil
}

// Weaker lists the promises that the server does not let us keep, in words. It
// connects if need be.
func (f *SFTP) Weaker() ([]string, error) {
	var s *session
	_, err := f.do(func(now *session) error { s = now; return s.openDir(f, dirQueue) })
	if err != nil {
		return nil, err
	}
	return s.weaker(), nil
}

// Close ends the connection and waits for all that was begun.
func (f *SFTP) Close() error {
	f.mu.Lock()
	s := f.s
	f.s, f.closed = nil, true
	f.mu.Unlock()
	f.bg.Wait()
	if s == nil {
		return nil
	}
	return s.close()
}

// weaker is what the server does not let us promise.
func (s *session) weaker() (list []string) {
	s.mu.Lock()
	queue, known := s.handles[dirQueue]
	s.mu.Unlock()
	switch {
	case !s.fsync:
		list = append(list, "it cannot put files on stable storage (no fsync@openssh.com): a power cut of that host may lose mail that it has just taken")
	case known && queue == nil:
		list = append(list, "it cannot put directories on stable storage: a power cut of that host may leave mail that it has just taken in tmp/, where nobody looks")
	}
	if !s.posix {
		list = append(list, "it may not rename in one step (no posix-rename@openssh.com): if that host stops at the wrong moment a message may be sent twice")
	}
	return list
}
