package spool

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// descriptor is a file that was opened, as File or Source. It is not used by
// several at once, save for reading.
type descriptor struct {
	fd   int // -1 when it is closed
	name string
	size int64 // when it was opened for reading
}

func (d *descriptor) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: d.name, Err: err}
}

// Write implements io.Writer.
func (d *descriptor) Write(p []byte) (int, error) {
	for done := 0; ; {
		n, err := unix.Write(d.fd, p[done:])
		done += max(n, 0)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, d.fail("write", err)
		case done == len(p):
			return done, nil
		case n == 0:
			return done, d.fail("write", io.ErrShortWrite)
		}
	}
}

// Sync implements File.
func (d *descriptor) Sync() error {
	return d.fail("sync", again(func() error { return unix.Fsync(d.fd) }))
}

// Size implements Source.
func (d *descriptor) Size() int64 { return d.size }

// Close implements io.Closer.
func (d *descriptor) Close() error {
	fd := d.fd
	d.fd = -1
	return d.fail("close", unix.Close(fd))
}

// ReadAt implements io.ReaderAt.
func (d *descriptor) ReadAt(p []byte, off int64) (int, error) {
	for done := 0; ; {
		if done == len(p) {
			return done, nil
		}
		n, err := unix.Pread(d.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, d.fail("read", err)
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
}

// Create implements FS.
func (l *Local) Create(name string) (File, error) {
	d := &descriptor{name: name}
	err := l.call("create", name, func(dir int, base string) (err error) {
		d.fd, err = unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, l.file)
		if err != nil {
			return err
		}
		if err := l.share(d.fd, l.file); err != nil {
			return errors.Join(err, unix.Close(d.fd), unix.Unlinkat(dir, base, 0))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Append implements FS.
func (l *Local) Append(name string) (File, error) {
	d, err := l.open(name, unix.O_WRONLY|unix.O_APPEND)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Open implements FS.
func (l *Local) Open(name string) (Source, error) {
	d, err := l.open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// open opens a file that is there.
func (l *Local) open(name string, flags int) (*descriptor, error) {
	var d *descriptor
	err := l.call("open", name, func(dir int, base string) (err error) {
		d, err = openPlain(dir, base, flags)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.name = name
	return d, nil
}

// openPlain opens a plain file. Whoever may write in the directory can put
// something else in its place at any time: a link leads to what is not ours, and
// opening a pipe could take for ever.
func openPlain(dir int, base string, flags int) (*descriptor, error) {
	fd, err := unix.Openat(dir, base, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &descriptor{fd: fd, name: base, size: st.Size}, nil
}

// localFolder is a directory of a Local that stays open, for one goroutine.
type localFolder struct {
	fd   int
	name string
}

func (l *Local) folder(name string) (folder, error) {
	d := &localFolder{fd: -1, name: name}
	err := l.call("open", name, func(dir int, base string) (err error) {
		d.fd, err = unix.Openat(dir, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Open opens a plain file in it; base is the name of an entry.
func (d *localFolder) Open(base string) (Source, error) {
	var f *descriptor
	err := again(func() (err error) { f, err = openPlain(d.fd, base, unix.O_RDONLY); return err })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: d.name + "/" + base, Err: err}
	}
	return f, nil
}

func (d *localFolder) Close() error { return unix.Close(d.fd) }

// List implements FS. The entries look for what they are asked later by their
// path, which is no secret and no permission.
func (l *Local) List(name string) (all []fs.DirEntry, err error) {
	err = l.call("list", name, func(dir int, base string) error {
		fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		d := os.NewFile(uintptr(fd), filepath.Join(l.path, name))
		all, err = d.ReadDir(-1)
		return errors.Join(err, d.Close())
	})
	return all, err
}

// removeOpen is Remove of a file that stays open until the result is closed, nil if it
// cannot be opened. Only then the kernel gives back what the file took, which is
// most of the work: without, a removal takes twenty times as long.
func (l *Local) removeOpen(name string) (held io.Closer, err error) {
	err = l.call("remove", name, func(dir int, base string) error {
		fd, openErr := unix.Openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		err := unix.Unlinkat(dir, base, 0)
		switch {
		case openErr != nil:
			return err
		case err != nil:
			return errors.Join(err, unix.Close(fd))
		}
		held = &descriptor{fd: fd, name: name}
		return nil
	})
	return held, err
}

// Lock implements FS with flock(2).
func (l *Local) Lock(name string, wait bool) (unlock func() error, ok bool, err error) {
	d, err := l.lockFile(name)
	if err != nil {
		return nil, false, err
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	err = again(func() error { return unix.Flock(d.fd, how) })
	if err == unix.EWOULDBLOCK {
		return nil, false, d.Close()
	}
	if err != nil {
		return nil, false, errors.Join(d.fail("lock", err), d.Close())
	}
	return d.Close, true, nil
}

// lockFile opens a file that is there for its lock only, and makes it if need be.
func (l *Local) lockFile(name string) (*descriptor, error) {
	d := &descriptor{name: name}
	err := l.call("open", name, func(dir int, base string) (err error) {
		const flags = unix.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
		d.fd, err = unix.Openat(dir, base, flags|unix.O_CREAT|unix.O_EXCL, l.file)
		if err == unix.EEXIST {
			d.fd, err = unix.Openat(dir, base, flags, 0)
			return err
		}
		if err != nil {
			return err
		}
		if err := l.share(d.fd, l.file); err != nil {
			return errors.Join(err, unix.Close(d.fd))
		}
		return nil
	})
	return d, err
}
