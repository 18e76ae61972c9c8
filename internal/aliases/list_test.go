package aliases

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link")
	fifo := filepath.Join(dir, "fifo")
	if err := errors.Join(os.Symlink("good", link), syscall.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	good := put("good", "root: a@x\n", 0o644)
	for _, c := range []struct{ why, path, table, list string }{
		{"a good file", good, "", ""},
		{"configuration managers make links", link, "", ""},
		{"a group may edit aliases, but no list", put("group", "a@x\n", 0o664), "", errOthers.Error()},
		{"anyone may edit neither", put("anyone", "a@x\n", 0o646), errAnyone.Error(), errOthers.Error()},
		{"missing", filepath.Join(dir, "none"), "no such file or directory", "no such file or directory"},
		{"a directory", dir, errRegular.Error(), errRegular.Error()},
		{"a pipe is not waited for", fifo, errRegular.Error(), errRegular.Error()},
		{"too large", put("large", strings.Repeat("#\n", maxFile/2+1), 0o600), errSize.Error(), errSize.Error()},
	} {
		f := &Files{owner: uint32(os.Getuid())}
		_, err := f.List(c.path)
		if !says(err, c.list) {
			t.Errorf("%s: list: %v, want %q", c.why, err, c.list)
		}
		_, err = f.Open(c.path)
		if !says(err, c.table) {
			t.Errorf("%s: table: %v, want %q", c.why, err, c.table)
		}
		var e *Error
		if errors.As(err, &e) && (e.File != c.path || e.Temporary()) {
			t.Errorf("%s: %+v", c.why, e)
		}
	}
}

func says(err error, text string) bool {
	if text == "" {
		return err == nil
	}
	return err != nil && strings.HasSuffix(err.Error(), text)
}

// A list of somebody else could name whom he likes.
func TestListOfAnotherUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte("a@x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(path, 12345, 0); err != nil {
			t.Fatal(err)
		}
	}
	owner := uint32(os.Getuid())
	if owner == 0 {
		owner = 12345
	}
	if _, err := (&Files{owner: owner + 1}).List(path); !errors.Is(err, errOwner) {
		t.Errorf("%v, want %v", err, errOwner)
	}
	if _, err := (&Files{owner: owner}).List(path); err != nil {
		t.Errorf("the owner of the alias file: %v", err)
	}
}

// Only what somebody has to mend is for good.
func TestTemporary(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false}, {fs.ErrNotExist, false}, {syscall.EACCES, false}, {errSize, false}, {errOwner, false},
		{syscall.EIO, true}, {syscall.EMFILE, true}, {syscall.ESTALE, true}, {errors.New("unknown"), true},
	} {
		if got := (&Error{Err: c.err}).Temporary(); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
