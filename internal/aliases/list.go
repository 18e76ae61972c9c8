package aliases

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// maxFile bounds an alias file and a list.
const maxFile = 4 << 20

// include takes the addresses of a list: one or more on each line, comments
// from "#" on. A list holds nothing else: whoever may write it shall not choose
// other files.
func (r *run) include(path string, from place) {
	if r.x.List == nil {
		r.fail(from, "lists are not supported here")
		return
	}
	text, err := r.x.List(path)
	if err != nil {
		r.failed(from, "the list "+path+" cannot be used: "+err.Error(), err)
		return
	}
	number := 0
	for raw := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		from.file, from.line = path, number
		if at := scan(raw).hash; at >= 0 {
			raw = raw[:at]
		}
		if raw = strings.TrimSpace(raw); raw != "" {
			r.listed(raw, from)
		}
	}
}

// listed takes a line of a list.
func (r *run) listed(raw string, from place) {
	found, wrong := targets(raw)
	for _, reason := range wrong {
		r.fail(from, reason)
	}
	for _, t := range found {
		if t.Kind != Address {
			r.fail(from, "a list holds addresses only, not "+t.String())
			continue
		}
		r.target(t, from)
	}
}

// Files reads alias files and lists.
type Files struct {
	owner uint32 // of the alias file
}

// Open reads the alias file. One that anyone can write to is refused: it says
// who reads root's mail.
func (f *Files) Open(path string) (*Table, error) {
	text, st, err := read(path)
	if err != nil {
		return nil, &Error{File: path, Reason: "the alias file cannot be read: " + err.Error(), Err: err}
	}
	if st.Mode&0o002 != 0 {
		return nil, &Error{File: path, Reason: errAnyone.Error(), Err: errAnyone}
	}
	f.owner = st.Uid
	return Parse(path, text), nil
}

var (
	errAnyone  = errors.New("anyone can write to it; take that right away (chmod o-w)")
	errOthers  = errors.New("others than its owner can write to it; take that right away (chmod go-w)")
	errOwner   = errors.New("it belongs neither to root nor to the owner of the alias file")
	errRegular = errors.New("it is not a regular file")
	errSize    = fmt.Errorf("it is larger than %d MiB", maxFile>>20)
)

// List reads a list. It must belong to root or to the owner of the alias file,
// and nobody else may write to it.
func (f *Files) List(path string) (string, error) {
	text, st, err := read(path)
	switch {
	case err != nil:
		return "", err
	case st.Uid != 0 && st.Uid != f.owner:
		return "", errOwner
	case st.Mode&0o022 != 0:
		return "", errOthers
	}
	return text, nil
}

// read reads a regular file of bounded size. What it is is asked of the file
// that was opened, not of its name, and a pipe is not waited for.
func read(path string) (string, *syscall.Stat_t, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", nil, cause(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return "", nil, cause(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.Mode().IsRegular() || !ok {
		return "", nil, errRegular
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", nil, cause(err)
	}
	if len(text) > maxFile {
		return "", nil, errSize
	}
	return string(text), st, nil
}

// cause is an error without the path, which is told by who asks.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
