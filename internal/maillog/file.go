package maillog

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// file is a log file. When it was renamed or removed, as logrotate does, the next
// line begins a new one of its name: a service may run for years.
type file struct {
	name string
	f    *os.File
}

// newFile appends to a file. A link is not followed and nothing is waited for: a
// log directory may be writable by others.
func newFile(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o640)
}

// Write implements io.Writer. Where no new file can be made the old one has the
// line at least, and the error is told.
func (l *file) Write(p []byte) (int, error) {
	var failed error
	if !l.there() {
		if f, err := newFile(l.name); err != nil {
			failed = err
		} else {
			// It is written without a buffer, so nothing can be lost with it.
			_ = l.f.Close()
			l.f = f
		}
	}
	n, err := l.f.Write(p)
	return n, errors.Join(err, failed)
}

// there reports that the file still has its name.
func (l *file) there() bool {
	ours, err := l.f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(l.name)
	return err == nil && os.SameFile(ours, named)
}

// Close implements io.Closer.
func (l *file) Close() error { return l.f.Close() }
