package spooltest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"

	"postern/internal/spool"
)

// Kind is what happens at a chosen step.
type Kind int

const (
	Stop   Kind = iota // the process is gone: from here on nothing takes place
	Refuse             // the step does nothing and fails
	Half               // a write writes half and fails; else like Refuse
	Late               // the step takes place, and is said to have failed
	Full               // from here on, each write writes half and fails
)

func (k Kind) String() string { return [...]string{"stop", "refuse", "half", "late", "full"}[k] }

// ErrStopped is what a process would see that is not there any more.
var ErrStopped = errors.New("stopped")

// Steps passes operations on to another file system, counts them, and lets one go
// wrong.
type Steps struct {
	under spool.FS
	at    int // counting from 0; negative for never
	kind  Kind
	err   error

	mu      sync.Mutex
	log     []string
	stopped bool
	gone    func()
}

var _ spool.FS = (*Steps)(nil)

// NewSteps lets step at go wrong, with err unless the kind is Stop.
func NewSteps(under spool.FS, at int, kind Kind, err error) *Steps {
	return &Steps{under: under, at: at, kind: kind, err: err}
}

// OnStop has f called when the process is gone, to end what it has elsewhere, such as
// connections, before anything more happens.
func (s *Steps) OnStop(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = f
}

// Log is the steps so far, such as "rename tmp queue".
func (s *Steps) Log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

// step is called for each operation. do is false if it must not take place; err
// is what it is to return.
func (s *Steps) step(format string, arg ...any) (do, half bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.log)
	what := fmt.Sprintf(format, arg...)
	s.log = append(s.log, what)
	if s.stopped {
		return false, false, ErrStopped
	}
	if s.kind == Full && (n < s.at || s.at < 0 || what != "write") || s.kind != Full && n != s.at {
		return true, false, nil
	}
	err = &fs.PathError{Op: "step", Path: what, Err: s.err}
	switch s.kind {
	case Stop:
		s.stopped = true
		if s.gone != nil {
			s.gone()
		}
		return false, false, ErrStopped
	case Half, Full:
		return false, true, err
	case Late:
		return true, false, err
	}
	return false, false, err
}

// run is a step without a result of its own.
func (s *Steps) run(do func() error, format string, arg ...any) error {
	ok, _, err := s.step(format, arg...)
	if !ok {
		return err
	}
	return errors.Join(do(), err)
}

// Mkdir implements spool.FS.
func (s *Steps) Mkdir(name string) error {
	return s.run(func() error { return s.under.Mkdir(name) }, "mkdir %s", name)
}

// Create implements spool.FS.
func (s *Steps) Create(name string) (spool.File, error) {
	return s.open(s.under.Create, "create", name)
}

// Append implements spool.FS.
func (s *Steps) Append(name string) (spool.File, error) {
	return s.open(s.under.Append, "append", name)
}

func (s *Steps) open(how func(string) (spool.File, error), op, name string) (spool.File, error) {
	var f spool.File
	err := s.run(func() (err error) { f, err = how(name); return err }, "%s %s", op, path.Dir(name))
	if err != nil {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		return nil, err
	}
	return &steppedFile{s, f}, nil
}

// Open implements spool.FS.
func (s *Steps) Open(name string) (spool.Source, error) {
	var f spool.Source
	err := s.run(func() (err error) { f, err = s.under.Open(name); return err }, "open %s", path.Dir(name))
	if err != nil {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		return nil, err
	}
	return &steppedSource{s, f}, nil
}

// Rename implements spool.FS.
func (s *Steps) Rename(from, to string) error {
	return s.run(func() error { return s.under.Rename(from, to) }, "rename %s %s", path.Dir(from), path.Dir(to))
}

// Remove implements spool.FS.
func (s *Steps) Remove(name string) error {
	return s.run(func() error { return s.under.Remove(name) }, "remove %s", path.Dir(name))
}

// List implements spool.FS.
func (s *Steps) List(dir string) (list []fs.DirEntry, err error) {
	err = s.run(func() (err error) { list, err = s.under.List(dir); return err }, "list %s", dir)
	return list, err
}

// SyncDir implements spool.FS.
func (s *Steps) SyncDir(dir string) error {
	return s.run(func() error { return s.under.SyncDir(dir) }, "syncdir %s", dir)
}

// Lock implements spool.FS.
func (s *Steps) Lock(name string, wait bool) (unlock func() error, ok bool, err error) {
	err = s.run(func() (err error) { unlock, ok, err = s.under.Lock(name, wait); return err }, "lock %s", name)
	if err != nil && ok {
		return nil, false, errors.Join(err, unlock())
	}
	return unlock, ok && err == nil, err
}

type steppedFile struct {
	s *Steps
	f spool.File
}

func (f *steppedFile) Write(p []byte) (int, error) {
	do, half, err := f.s.step("write")
	if half {
		n, werr := f.f.Write(p[:len(p)/2])
		return n, errors.Join(err, werr)
	}
	if !do {
		return 0, err
	}
	n, werr := f.f.Write(p)
	return n, errors.Join(err, werr)
}

func (f *steppedFile) Sync() error { return f.s.run(f.f.Sync, "sync") }

// Close closes in any case: the kernel does so for a process that is gone.
func (f *steppedFile) Close() error {
	_, _, err := f.s.step("close")
	return errors.Join(f.f.Close(), err)
}

type steppedSource struct {
	s *Steps
	spool.Source
}

func (f *steppedSource) ReadAt(p []byte, off int64) (n int, err error) {
	do, _, serr := f.s.step("read")
	if !do {
		return 0, serr
	}
	n, err = f.Source.ReadAt(p, off)
	if serr != nil {
		return 0, serr
	}
	return n, err
}
