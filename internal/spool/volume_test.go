package spool

import (
	"os"
	"path/filepath"
	"testing"
)

// A group's spool is open to the group; one that anyone may write in, as volumes
// of containers are, is its user's own: the group of the directory means nothing
// there, and may not be one of ours.
func TestWhoseSpool(t *testing.T) {
	for mode, want := range map[os.FileMode]os.FileMode{
		0o700:                 0o700,
		0o755:                 0o700,
		0o770:                 0o770 | os.ModeSetgid,
		0o775:                 0o770 | os.ModeSetgid,
		0o777 | os.ModeSticky: 0o700,
	} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		l, err := OpenLocal(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Mkdir("queue"); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "queue"))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode() & (os.ModePerm | os.ModeSetgid); got != want {
			t.Errorf("in %v: %v, want %v", mode, got, want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
