package spool

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Local is a spool in a directory of this host. Nothing outside of the directory
// is ever reached, whatever links there are in it.
type Local struct {
	root *os.Root
	dir  fs.FileMode
	file fs.FileMode
}

// OpenLocal opens a directory, and makes it if its parent is there. If the group
// may write in it, what is made there is open to the group (2770, 0660), else to
// the owner only (0700, 0600).
func OpenLocal(dir string) (*Local, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
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
	l := &Local{root: root, dir: 0o700, file: 0o600}
	if info.Mode().Perm()&0o020 != 0 {
		l.dir, l.file = 0o770|fs.ModeSetgid, 0o660
	}
	return l, nil
}

// Close gives the directory up.
func (l *Local) Close() error { return l.root.Close() }

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
	if err == nil && l.dir&fs.ModeSetgid != 0 {
		err = l.root.Chmod(name, l.dir) // the umask may have taken the group's rights
	}
	return err
}

// Create implements FS.
func (l *Local) Create(name string) (File, error) {
	f, err := l.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, l.file)
	if err != nil {
		return nil, err
	}
	if l.file&0o060 != 0 {
		if err := f.Chmod(l.file); err != nil {
			return nil, errors.Join(err, f.Close(), l.root.Remove(name))
		}
	}
	return f, nil
}

// Append implements FS.
func (l *Local) Append(name string) (File, error) {
	if err := l.regular(name); err != nil {
		return nil, err
	}
	return l.root.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
}

// regular refuses what is no plain file: opening a pipe could take for ever, and
// a link leads to what is not ours.
func (l *Local) regular(name string) error {
	info, err := l.root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	return err
}

// Open implements FS.
func (l *Local) Open(name string) (Source, error) {
	if err := l.regular(name); err != nil {
		return nil, err
	}
	f, err := l.root.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return localSource{f, info.Size()}, nil
}

type localSource struct {
	*os.File
	size int64
}

func (s localSource) Size() int64 { return s.size }

// Rename implements FS.
func (l *Local) Rename(from, to string) error { return l.root.Rename(from, to) }

// Remove implements FS.
func (l *Local) Remove(name string) error { return l.root.Remove(name) }

// List implements FS.
func (l *Local) List(dir string) ([]fs.DirEntry, error) {
	d, err := l.root.Open(dir)
	if err != nil {
		return nil, err
	}
	entries, err := d.ReadDir(-1)
	return entries, errors.Join(err, d.Close())
}

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
	f, err := l.root.OpenFile(name, os.O_RDWR|os.O_CREATE, l.file)
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
