package cli

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// contents reads a small file of the system's, at most most octets of it. It is
// os.ReadFile without what that does to find out whether the file can be waited
// for: seven calls of the kernel of ten, for each of the files that every
// submission looks into.
func contents(name string, most int) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	for err == unix.EINTR {
		fd, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	// It was only read.
	defer func() { _ = unix.Close(fd) }()
	text := make([]byte, 0, min(most, 512))
	for len(text) < most {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := unix.Read(fd, text[len(text):min(cap(text), most)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return text, &fs.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return text, nil
		default:
			text = text[:len(text)+n]
		}
	}
	return text, nil
}
