package capture

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func maildir(dir string) *Maildir {
	return &Maildir{Dir: dir, Host: "web1/a:b", Now: func() time.Time { return time.Unix(1_800_000_000, 123_456_000) }}
}

// No address makes a field of its own.
func TestFieldsAreLines(t *testing.T) {
	e := Envelope{Sender: "a\r\nSubject: y", Recipients: []string{"b\nX: y", "\x1b[2J@x"}}
	want := "X-Envelope-From: <a??Subject: y>\r\nX-Envelope-To: <b?X: y>\r\nX-Envelope-To: <?[2J@x>\r\n"
	if got := string(e.fields()); got != want {
		t.Errorf("got %q", got)
	}
}

// files are those below a directory.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestWrite(t *testing.T) {
	for _, row := range []struct{ why, in, want string }{
		{"LF for CRLF", "Subject: x\r\n\r\nbody\r\n.\r\n", "Subject: x\n\nbody\n.\n"},
		{"any other CR stays", "\r\n\ra\r\r\nb\r", "\n\ra\r\nb"},
		{"empty", "", ""},
	} {
		dir := filepath.Join(t.TempDir(), "Maildir")
		e := Envelope{Sender: "s@x", Recipients: []string{"a@x", "b@x\r\nBcc: c@x"}}
		file, err := maildir(dir).Write(e, iotest.OneByteReader(strings.NewReader(row.in)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := "X-Envelope-From: <s@x>\nX-Envelope-To: <a@x>\nX-Envelope-To: <b@x??Bcc: c@x>\n" + row.want
		if string(got) != want {
			t.Errorf("%s: got %q, want %q", row.why, got, want)
		}
		if names := files(t, dir); len(names) != 1 || !strings.HasPrefix(names[0], "new/1800000000.M123456R") || !strings.HasSuffix(names[0], `.web1\057a\072b`) {
			t.Errorf("%s: files %q", row.why, names)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v %v", row.why, info.Mode(), err)
		}
		for _, name := range []string{"cur", "tmp"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
	}
}

// A message that cannot be read leaves nothing.
func TestWriteFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	broken := errors.New("broken")
	_, err := maildir(dir).Write(Envelope{}, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if names := files(t, dir); names != nil {
		t.Errorf("left: %q", names)
	}
}

// A directory that is there, but cannot be used.
func TestNoDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "file"), filepath.Join(dir, "no", "parent")} {
		if err := maildir(path).Check(); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

// Many writers at the same instant get names of their own; Check leaves nothing.
func TestSideBySide(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	if err := maildir(dir).Check(); err != nil {
		t.Fatal(err)
	}
	if names := files(t, dir); names != nil {
		t.Errorf("left: %q", names)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := maildir(dir).Write(Envelope{Sender: "s"}, strings.NewReader("x\r\n")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(files(t, dir)); n != 20 {
		t.Errorf("%d files", n)
	}
}

// What a group may write in is open to the group, whatever the umask.
func TestGroup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o770|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	file, err := maildir(dir).Write(Envelope{}, strings.NewReader("x\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{file: 0o660, filepath.Join(dir, "new"): fs.ModeDir | fs.ModeSetgid | 0o770} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}
