package spool

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Open implements FS. One call of the kernel walks the path and follows no link
// on it, where the library takes eight: a listing of ten thousand messages is
// made of little else.
func (l *Local) Open(name string) (Source, error) {
	if l.walks {
		fd, err := openBeneath(int(l.self.Fd()), name, unix.O_NONBLOCK) // a pipe in the place of a file is not waited for
		switch {
		case err == nil:
			return readable(fd, name)
		case !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM): // an old kernel, an old container
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
	f, info, err := l.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return localSource{f, info.Size()}, nil
}

// openBeneath opens for reading what is in a directory or in one of its own.
func openBeneath(dir int, name string, flags uint64) (fd int, err error) {
	for {
		fd, err = unix.Openat2(dir, name, &unix.OpenHow{
			Flags:   flags | unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_LARGEFILE,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
		})
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// readable makes a source of a file that was just opened.
func readable(fd int, name string) (Source, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, errors.Join(&fs.PathError{Op: "open", Path: name, Err: err}, unix.Close(fd))
	}
	return descriptor{fd: fd, name: name, size: st.Size}, nil
}

// descriptor is a Source without what an os.File does to be waited for.
type descriptor struct {
	fd   int
	name string
	size int64
}

func (d descriptor) Size() int64  { return d.size }
func (d descriptor) Close() error { return unix.Close(d.fd) }

// ReadAt implements io.ReaderAt.
func (d descriptor) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(d.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, &fs.PathError{Op: "read", Path: d.name, Err: err}
		case n == 0:
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

// List implements FS. A directory that the library opened beneath a root is
// listed with one more call for each entry.
func (l *Local) List(dir string) ([]fs.DirEntry, error) {
	if l.walks {
		if fd, err := openBeneath(int(l.self.Fd()), dir, unix.O_DIRECTORY); err == nil {
			return l.entries(os.NewFile(uintptr(fd), dir), dir)
		}
	}
	d, err := l.root.Open(dir)
	if err != nil {
		return nil, err
	}
	return l.entries(d, dir)
}

func (l *Local) entries(d *os.File, dir string) ([]fs.DirEntry, error) {
	all, err := d.ReadDir(-1)
	for i := range all {
		all[i] = localEntry{all[i], l, dir}
	}
	return all, errors.Join(err, d.Close())
}

// localEntry looks for an entry beneath the root, when it is asked more than was
// listed.
type localEntry struct {
	fs.DirEntry
	l   *Local
	dir string
}

func (e localEntry) Info() (fs.FileInfo, error) { return e.l.root.Lstat(e.dir + "/" + e.Name()) }

type localSource struct {
	*os.File
	size int64
}

func (s localSource) Size() int64 { return s.size }
