package spool_test

import (
	"os"
	"path/filepath"
	"strings"
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
