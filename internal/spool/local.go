package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Local is a spool in a directory of this host. Nothing outside of the directory
// is ever reached, whatever links there are in it.
type Local struct {
	root *os.Root
	dir  fs.FileMode
	file fs.FileMode
	gid  int // of a spool that a group shares, else -1

	self  *os.File // the directory
	walks bool     // openat2(2) is worth trying
}

// OpenLocal opens a directory, and makes it if its parent is there. If its group
// may write in it, and others may not, what is made there belongs to the group
// and is open to it (2770, 0660), else to the owner only (0700, 0600): a volume
// that anyone may write in (1777) is for containers whose uid nobody knows.
func OpenLocal(dir string) (*Local, error) {
	if err := makeDurable(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	self, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	l := &Local{root: root, dir: 0o700, file: 0o600, gid: -1, self: self, walks: true}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().Perm()&0o022 == 0o020 {
		l.dir, l.file, l.gid = 0o770|fs.ModeSetgid, 0o660, int(stat.Gid)
	}
	return l, nil
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

// share gives what was made to the group, whatever the umask and the group of
// the maker are.
func (l *Local) share(f *os.File, mode fs.FileMode) error {
	if l.gid < 0 {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Gid) != l.gid {
		if err := f.Chown(-1, l.gid); err != nil {
			return err
		}
	}
	const bits = fs.ModePerm | fs.ModeSetgid
	if info.Mode()&bits == mode {
		return nil
	}
	return f.Chmod(mode)
}

// Close gives the directory up.
func (l *Local) Close() error { return errors.Join(l.self.Close(), l.root.Close()) }

// Mkdir implements FS.
func (l *Local) Mkdir(name string) error {
	err := l.root.Mkdir(name, l.dir.Perm())
	if errors.Is(err, fs.ErrExist) {
		info, err := l.root.Lstat(name)
		if err == nil && !info.IsDir() {
			err = &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		return err
	}
	if err != nil {
		return err
	}
	d, err := l.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(l.share(d, l.dir), d.Close())
}

// Create implements FS.
func (l *Local) Create(name string) (File, error) {
	f, err := l.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, l.file)
	if err != nil {
		return nil, err
	}
	if err := l.share(f, l.file); err != nil {
		return nil, errors.Join(err, f.Close(), l.root.Remove(name))
	}
	return f, nil
}

// Append implements FS.
func (l *Local) Append(name string) (File, error) {
	f, _, err := l.open(name, os.O_WRONLY|os.O_APPEND)
	return f, err
}

// open opens a plain file. Opening a pipe could take for ever, and a link leads to
// what is not ours. Whoever may write in the directory can put one in the place
// of a file at any time, so what was opened is compared with what is there.
func (l *Local) open(name string, flag int) (*os.File, fs.FileInfo, error) {
	f, err := l.root.OpenFile(name, flag|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var there fs.FileInfo
		if there, err = l.root.Lstat(name); err == nil && !(there.Mode().IsRegular() && os.SameFile(info, there)) {
			err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// Rename implements FS.
func (l *Local) Rename(from, to string) error { return l.root.Rename(from, to) }

// Remove implements FS.
func (l *Local) Remove(name string) error { return l.root.Remove(name) }

// SyncDir implements FS.
func (l *Local) SyncDir(dir string) error {
	d, err := l.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock implements FS with flock(2).
func (l *Local) Lock(name string, wait bool) (unlock func() error, ok bool, err error) {
	f, err := l.lockFile(name)
	if err != nil {
		return nil, false, err
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			break
		}
	}
	if err == unix.EWOULDBLOCK {
		return nil, false, f.Close()
	}
	if err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	return f.Close, true, nil
}

// lockFile opens a file that is there for its lock only, and makes it if need be.
func (l *Local) lockFile(name string) (*os.File, error) {
	f, err := l.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, l.file)
	if errors.Is(err, fs.ErrExist) {
		return l.root.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := l.share(f, l.file); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
