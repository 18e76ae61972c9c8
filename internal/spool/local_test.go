package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// What somebody puts in the place of a message is not followed, and not waited
// for.
func TestOpenNothingElse(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "spool")
	l := local(t, dir)
	if err := l.Mkdir("queue"); err != nil {
		t.Fatal(err)
	}
	put(t, l, "queue/plain", "text")
	there := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.Symlink(outside, there("queue/out")),
		os.Symlink("plain", there("queue/in")),
		os.Symlink("gone", there("queue/dangling")),
		os.Mkdir(there("queue/folder"), 0o700),
		unix.Mkfifo(there("queue/pipe"), 0o600),
		os.Symlink(filepath.Dir(outside), there("elsewhere")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"queue/out", "queue/in", "queue/dangling", "queue/folder", "queue/pipe", "elsewhere/outside",
		"../" + filepath.Base(dir) + "/queue/plain", outside, ""} {
		s, err := l.Open(name)
		if err == nil {
			t.Errorf("%q was opened", name)
			s.Close()
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", name, err)
		}
	}
	s, err := l.Open("queue/plain")
	if err != nil {
		t.Fatal(err)
	}
	if s.Size() != 4 {
		t.Errorf("%d octets", s.Size())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// No call leads out of the spool, by a name or through a link that somebody has
// put in the place of a directory.
func TestNothingOutside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	outside := t.TempDir()
	l := local(t, dir)
	if err := errors.Join(l.Mkdir("queue"), os.Symlink(outside, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	put(t, l, "queue/x", "x")
	if err := os.WriteFile(filepath.Join(outside, "x"), []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link/y", "../y", "queue/../y", "/y", "", "queue/", outside + "/y"} {
		for op, call := range map[string]func() error{
			"mkdir":  func() error { return l.Mkdir(name) },
			"create": func() error { _, err := l.Create(name); return err },
			"rename": func() error { return l.Rename("queue/x", name) },
			"lock":   func() error { _, _, err := l.Lock(name, false); return err },
		} {
			if call() == nil {
				t.Errorf("%s of %q: no error", op, name)
			}
		}
	}
	for _, name := range []string{"link/x", "../x", "..", "queue/..", "", "/", "queue/", outside, outside + "/x"} {
		for op, call := range map[string]func() error{
			"append":  func() error { _, err := l.Append(name); return err },
			"rename":  func() error { return l.Rename(name, "queue/z") },
			"list":    func() error { _, err := l.List(name); return err },
			"syncdir": func() error { return l.SyncDir(name) },
			"remove":  func() error { return l.Remove(name) },
		} {
			if call() == nil {
				t.Errorf("%s of %q: no error", op, name)
			}
		}
	}
	if _, err := l.List("link"); err == nil {
		t.Error("a link was listed")
	}
	if err := l.SyncDir("link"); err == nil {
		t.Error("a link was followed to be synced")
	}
	left, err := os.ReadDir(outside)
	if err != nil || len(left) != 1 {
		t.Errorf("outside there are %v %v", left, err)
	}
	if text, err := os.ReadFile(filepath.Join(outside, "x")); err != nil || string(text) != "theirs" {
		t.Errorf("theirs is %q %v", text, err)
	}
}

// A spool that is closed is used by nobody, also when that happens meanwhile: its
// descriptor may be another file's by then.
func TestClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	l := local(t, dir)
	if err := l.Mkdir("queue"); err != nil {
		t.Fatal(err)
	}
	put(t, l, "queue/x", "x")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				f, err := l.Open("queue/x")
				if errors.Is(err, unix.EBADF) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if _, err := l.Create("queue/y"); !errors.Is(err, unix.EBADF) {
		t.Error(err)
	}
	if err := l.Close(); err == nil {
		t.Error("closed twice: no error")
	}
}
