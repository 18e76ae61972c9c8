// Package capture writes messages to a Maildir, with their envelope in header
// fields, in place of sending them: for development and staging.
//
// A message is written to tmp/ under a name that nobody else has, put on stable
// storage, and renamed into new/, so that a reader never sees half of one. Lines
// end with LF, as mail readers expect of a Maildir.
package capture

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Envelope is from whom and for whom a message would have been sent.
type Envelope struct {
	Sender     string // "" is the null sender
	Recipients []string
}

// Maildir is a directory with tmp, new and cur in it.
type Maildir struct {
	Dir  string
	Host string // in the names of files
	Now  func() time.Time

	sync func(dir string) error // syncDir; tests replace it
}

// Check makes the directories if need be and tries to write.
func (m *Maildir) Check() error {
	name, f, err := m.create()
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(name))
}

// Write keeps a message in wire form and returns its file. When it returns nil
// the message is on stable storage; after an error nothing is left.
func (m *Maildir) Write(e Envelope, message io.Reader) (file string, err error) {
	draft, f, err := m.create()
	if err != nil {
		return "", err
	}
	published := false
	defer func() {
		if !published {
			err = errors.Join(err, os.Remove(draft))
		}
	}()
	if err := errors.Join(m.fill(f, e, message), f.Close()); err != nil {
		return "", err
	}
	file = filepath.Join(m.Dir, "new", filepath.Base(draft))
	if err := os.Rename(draft, file); err != nil {
		return "", err
	}
	draft = file // it is taken back if it may not last
	if err := m.settle(); err != nil {
		return "", err
	}
	published = true
	return file, nil
}

// fill writes the fields of the envelope and the message.
func (m *Maildir) fill(f *os.File, e Envelope, message io.Reader) error {
	w := &lines{w: f}
	if _, err := w.Write(e.fields()); err != nil {
		return err
	}
	if _, err := io.Copy(w, message); err != nil {
		return err
	}
	return f.Sync()
}

// fields are those of the envelope, one for each address.
func (e Envelope) fields() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "X-Envelope-From: <%s>\r\n", plain(e.Sender))
	for _, to := range e.Recipients {
		fmt.Fprintf(&b, "X-Envelope-To: <%s>\r\n", plain(to))
	}
	return b.Bytes()
}

// plain takes out what could end a line.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// create makes an empty file in tmp with a new name.
func (m *Maildir) create() (name string, f *os.File, err error) {
	dirMode, fileMode, err := m.directories()
	if err != nil {
		return "", nil, err
	}
	name = filepath.Join(m.Dir, "tmp", m.name())
	f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return "", nil, err
	}
	if dirMode&0o020 != 0 { // the umask may have taken the group's rights
		if err := f.Chmod(fileMode); err != nil {
			return "", nil, errors.Join(err, f.Close(), os.Remove(name))
		}
	}
	return name, f, nil
}

// name is "time.random.host" (cr.yp.to/proto/maildir.html).
func (m *Maildir) name() string {
	now := m.Now()
	host := strings.NewReplacer("/", `\057`, ":", `\072`).Replace(m.Host)
	return fmt.Sprintf("%d.M%dR%s.%s", now.Unix(), now.Nanosecond()/1000, rand.Text(), host)
}

// directories makes what is missing, and tells the modes. If the group of an
// existing directory may write in it, and others may not, what is made there is open to the group,
// else to the owner only.
func (m *Maildir) directories() (dir, file fs.FileMode, err error) {
	if err := os.Mkdir(m.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return 0, 0, err
	}
	info, err := os.Stat(m.Dir)
	if err != nil {
		return 0, 0, err
	}
	dir, file = 0o700, 0o600
	if info.Mode().Perm()&0o022 == 0o020 {
		dir, file = 0o770|info.Mode()&fs.ModeSetgid, 0o660
	}
	for _, name := range []string{"tmp", "new", "cur"} {
		path := filepath.Join(m.Dir, name)
		switch err := os.Mkdir(path, dir.Perm()); {
		case err == nil && dir != 0o700:
			if err := os.Chmod(path, dir); err != nil {
				return 0, 0, err
			}
		case err != nil && !errors.Is(err, fs.ErrExist):
			return 0, 0, err
		}
	}
	return dir, file, nil
}

// settle makes a new name last: in new, and, since somebody may just have made
// them, new in its directory and that in the one above. Who may not read one of
// those cannot sync it.
func (m *Maildir) settle() error {
	sync := m.sync
	if sync == nil {
		sync = syncDir
	}
	for _, dir := range []string{m.Dir, filepath.Dir(filepath.Clean(m.Dir))} {
		if err := sync(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return sync(filepath.Join(m.Dir, "new"))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// lines writes CRLF as LF; any other CR stays.
type lines struct {
	w  io.Writer
	cr bool // the octet before was a CR, not yet written
}

func (l *lines) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+1)
	for _, c := range p {
		if l.cr && c != '\n' {
			out = append(out, '\r')
		}
		if l.cr = c == '\r'; !l.cr {
			out = append(out, c)
		}
	}
	if _, err := l.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
