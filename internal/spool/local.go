package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Local is a spool in a directory of this host. Nothing outside of the directory
// is ever reached, whatever links there are in it: a name is walked one element
// at a time, and an element that is a link ends the walk.
//
// It asks the kernel itself: an os.File tries each time whether it can be waited
// for, which takes five more calls, and an os.Root takes another three.
type Local struct {
	path string
	dir  uint32 // permissions of directories
	file uint32 // and of files
	gid  int    // of a spool that a group shares, else -1

	// life is held for reading during each call, so that none of them meets a
	// descriptor that Close has given back and somebody else has got.
	life sync.RWMutex
	self int // the directory; -1 when it is closed
	kept kept
}

// OpenLocal opens a directory, and makes it if its parent is there. If its group
// may write in it, and others may not, what is made there belongs to the group
// and is open to it (2770, 0660), else to the owner only (0700, 0600): a volume
// that anyone may write in (1777) is for containers whose uid nobody knows.
func OpenLocal(dir string) (*Local, error) {
	self, err := openDir(unix.AT_FDCWD, dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDurable(dir); err != nil {
			return nil, err
		}
		self, err = openDir(unix.AT_FDCWD, dir)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	l := &Local{path: dir, dir: 0o700, file: 0o600, gid: -1, self: self}
	st, err := l.stat()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if st.Mode&0o022 == 0o020 {
		l.dir, l.file, l.gid = 0o770|unix.S_ISGID, 0o660, int(st.Gid)
	}
	return l, nil
}

func openDir(at int, name string) (fd int, err error) {
	err = again(func() (err error) {
		fd, err = unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// makeDurable makes a directory that stays when the power fails.
func makeDurable(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// again repeats a call that a signal has interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// stat is what the directory is.
func (l *Local) stat() (st unix.Stat_t, err error) {
	if err := again(func() error { return unix.Fstat(l.self, &st) }); err != nil {
		return st, &fs.PathError{Op: "stat", Path: l.path, Err: err}
	}
	return st, nil
}

// Close gives the directory up.
func (l *Local) Close() error {
	l.life.Lock()
	defer l.life.Unlock()
	l.kept.drop()
	self := l.self
	l.self = -1
	return unix.Close(self)
}

// call does something with the last element of a name in the directory that has
// it. It may be done again when a signal comes.
func (l *Local) call(op, name string, do func(dir int, base string) error) error {
	l.life.RLock()
	defer l.life.RUnlock()
	if err := l.at(name, do); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// at is call for who holds life.
func (l *Local) at(name string, do func(dir int, base string) error) error {
	folder, base, deep := strings.Cut(name, "/")
	if !deep {
		base = folder
	}
	if strings.Contains(base, "/") || base == "" || base == ".." || folder == "" || folder == ".." {
		return syscall.EINVAL // no name of ours, and perhaps one that leads elsewhere
	}
	if !deep {
		return again(func() error { return do(l.self, base) })
	}
	if dir, ok := l.kept.get(folder); ok {
		err := again(func() error { return do(dir, base) })
		if err != unix.ENOENT {
			return err
		}
		if err = l.walk(folder, base, do); err == nil { // so what is kept is there no more
			l.kept.stale.Store(true)
		}
		return err
	}
	return l.walk(folder, base, do)
}

// walk is at by way of the directory that is there now.
func (l *Local) walk(folder, base string, do func(dir int, base string) error) error {
	var dir int
	err := again(func() (err error) {
		dir, err = unix.Openat(l.self, folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(again(func() error { return do(dir, base) }), unix.Close(dir))
}

// share gives what was made to the group, whatever the umask and the group of
// the maker are.
func (l *Local) share(fd int, mode uint32) error {
	if l.gid < 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if int(st.Gid) != l.gid {
		if err := unix.Fchown(fd, -1, l.gid); err != nil {
			return err
		}
	}
	const bits = 0o777 | unix.S_ISGID
	if st.Mode&bits == mode {
		return nil
	}
	return unix.Fchmod(fd, mode)
}

// Mkdir implements FS.
func (l *Local) Mkdir(name string) error {
	return l.call("mkdir", name, func(dir int, base string) error {
		err := unix.Mkdirat(dir, base, l.dir&0o777)
		if err == unix.EEXIST {
			if isDir(dir, base) {
				return nil
			}
			return unix.ENOTDIR
		}
		if err != nil {
			return err
		}
		fd, err := openDir(dir, base)
		if err != nil {
			return err
		}
		return errors.Join(l.share(fd, l.dir), unix.Close(fd))
	})
}

func isDir(dir int, base string) bool {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// hasDir reports whether a directory is there; a link to one is none.
func (l *Local) hasDir(name string) bool {
	return l.call("stat", name, func(dir int, base string) error {
		if !isDir(dir, base) {
			return unix.ENOTDIR
		}
		return nil
	}) == nil
}

// Rename implements FS.
func (l *Local) Rename(from, to string) error {
	return l.call("rename", from, func(fromDir int, old string) error {
		return l.at(to, func(toDir int, base string) error { return unix.Renameat(fromDir, old, toDir, base) })
	})
}

// Remove implements FS.
func (l *Local) Remove(name string) error {
	return l.call("remove", name, func(dir int, base string) error { return unix.Unlinkat(dir, base, 0) })
}

// SyncDir implements FS.
func (l *Local) SyncDir(name string) error {
	if ok, err := l.syncKept(name); ok {
		return err
	}
	return l.call("sync", name, func(dir int, base string) error {
		fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		return errors.Join(again(func() error { return unix.Fsync(fd) }), unix.Close(fd))
	})
}
