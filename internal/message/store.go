package message

import (
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
)

const (
	memoryLimit = 1 << 20   // octets of a body kept in memory
	bufferSize  = 128 << 10 // octets gathered for one write to the file
	chunkSize   = 64 << 10  // octets asked for in one read
)

// StoreError is a failure of the temporary file that holds a body: making it,
// writing it (a full disk, a quota) or reading it back. The fault is on this
// machine and not in the message; trying again later can help.
type StoreError struct {
	Op  string // "create", "write", "read" or "close"
	Err error
}

func (e *StoreError) Error() string {
	return "message: temporary file: " + e.Op + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// NoSpace reports whether the disk or the quota is full.
func (e *StoreError) NoSpace() bool {
	return errors.Is(e.Err, syscall.ENOSPC) || errors.Is(e.Err, syscall.EDQUOT)
}

// errNoDir is the cause of a StoreError when no directory was named.
var errNoDir = errors.New("no directory for temporary files was given")

// tempFile is what a store asks of its file; tests pass one that fails.
type tempFile interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// opener makes a temporary file that nobody else can see.
type opener func() (tempFile, error)

// openIn returns an opener of unlinked files in dir, mode 0600. No name is left
// behind, whatever happens to the process.
func openIn(dir string) opener {
	return func() (tempFile, error) {
		if dir == "" {
			return nil, errNoDir
		}
		f, err := os.CreateTemp(dir, "postern-*")
		if err != nil {
			return nil, err
		}
		if err := os.Remove(f.Name()); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
}

// store takes a stream in wire form, measures it, and keeps it: in memory up
// to memoryLimit, beyond that in a temporary file. It ends in exactly one of
// body and discard; discard after body does nothing.
type store struct {
	open  opener
	meter meter
	buf   []byte // all octets, or with a file those not yet written
	file  tempFile
	err   error // the first failure; it stays
}

// Write implements io.Writer. Its errors are *StoreError.
func (s *store) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	s.meter.add(p)
	if need := len(s.buf) + len(p); need > cap(s.buf) { // append alone grows in too many steps
		s.buf = slices.Grow(s.buf, max(need, 2*cap(s.buf), 2048)-len(s.buf))
	}
	s.buf = append(s.buf, p...)
	if limit := s.limit(); len(s.buf) > limit {
		s.spill()
	}
	if s.err != nil {
		return 0, s.err
	}
	return len(p), nil
}

func (s *store) limit() int {
	if s.file != nil {
		return bufferSize
	}
	return memoryLimit
}

// spill moves the buffer into the file.
func (s *store) spill() {
	if s.file == nil {
		f, err := s.open()
		if err != nil {
			s.err = &StoreError{Op: "create", Err: err}
			return
		}
		s.file = f
	}
	if n, err := s.file.Write(s.buf); err != nil {
		s.err = &StoreError{Op: "write", Err: err}
	} else if n < len(s.buf) {
		s.err = &StoreError{Op: "write", Err: io.ErrShortWrite}
	}
	if cap(s.buf) > 4*bufferSize { // the megabyte is not needed any more
		s.buf = make([]byte, 0, bufferSize+chunkSize)
	}
	s.buf = s.buf[:0]
}

// body hands over what was stored.
func (s *store) body() (*Body, error) {
	if s.file != nil && s.err == nil && len(s.buf) > 0 {
		s.spill()
	}
	if s.err != nil {
		return nil, s.err
	}
	b := &Body{facts: s.meter.result(), file: s.file, open: s.open}
	if s.file == nil {
		b.mem = s.buf
	}
	s.file, s.buf = nil, nil
	s.err = errDone
	return b, nil
}

var errDone = errors.New("message: store is finished")

// discard gives up: the file, if any, is closed and so gone.
func (s *store) discard() {
	if s.file != nil {
		// Nobody will read the file, so how closing ends does not matter.
		_ = s.file.Close()
		s.file = nil
	}
	s.buf, s.err = nil, errDone
}
