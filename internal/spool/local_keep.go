package spool

import (
	"io/fs"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// kept are directories that stay open while a run goes on: a call in one of them is
// one call of the kernel, and not three. What somebody puts in the place of a
// directory meanwhile is not followed, as it would not be without; but one that was
// taken away and made anew is found, since what is not there is looked for by its
// path as well.
type kept struct {
	dirs  map[string]int // guarded by Local.life
	stale atomic.Bool    // one of them is no longer the spool's
}

func (k *kept) get(name string) (fd int, ok bool) {
	fd, ok = k.dirs[name]
	return fd, ok && !k.stale.Load()
}

// drop closes them.
func (k *kept) drop() {
	for _, fd := range k.dirs {
		// It was opened for reading: nothing can be lost with it.
		_ = unix.Close(fd)
	}
	k.dirs = nil
}

// keepDirs keeps directories open until release is called.
func (l *Local) keepDirs(names ...string) (release func()) {
	l.life.Lock()
	defer l.life.Unlock()
	if l.kept.dirs != nil { // somebody else's, which will do while they last
		return func() {}
	}
	l.kept.dirs = make(map[string]int)
	l.kept.stale.Store(false)
	for _, name := range names {
		fd, err := unix.Openat(l.self, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == nil { // else whoever needs it hears why
			l.kept.dirs[name] = fd
		}
	}
	return func() {
		l.life.Lock()
		defer l.life.Unlock()
		l.kept.drop()
	}
}

// syncKept is SyncDir for a directory that is kept; else ok is false.
func (l *Local) syncKept(name string) (ok bool, err error) {
	l.life.RLock()
	defer l.life.RUnlock()
	fd, ok := l.kept.get(name)
	if !ok {
		return false, nil
	}
	if err := again(func() error { return unix.Fsync(fd) }); err != nil {
		return true, &fs.PathError{Op: "sync", Path: name, Err: err}
	}
	return true, nil
}
