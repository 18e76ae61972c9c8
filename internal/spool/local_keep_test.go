package spool_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Somebody who may write in the spool puts a link in the place of a directory while
// a run keeps it open: nothing is moved or removed where the link leads.
func TestKeptNotMisled(t *testing.T) {
	dir, outside := filepath.Join(t.TempDir(), "spool"), t.TempDir()
	l := keeping(t, local(t, dir))
	mustOpen(t, l, "worker")
	put(t, l, "queue/a", "a")
	put(t, l, "queue/b", "b")
	for _, err := range []error{
		os.WriteFile(filepath.Join(outside, "a"), []byte("mine"), 0o600),
		os.WriteFile(filepath.Join(outside, "b"), []byte("mine"), 0o600),
		os.Rename(filepath.Join(dir, "queue"), filepath.Join(dir, "was")),
		os.Symlink(outside, filepath.Join(dir, "queue")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// That these take place where the directory is now, or fail, is all the same.
	_, _, _ = l.Rename("queue/a", "active/a"), l.Remove("queue/b"), l.SyncDir("queue")
	for _, err := range []error{l.Rename("queue/a", "active/c"), l.Remove("queue/b")} {
		if err == nil {
			t.Error("no error for what is gone")
		}
	}
	for _, name := range []string{"a", "b"} {
		if text, err := os.ReadFile(filepath.Join(outside, name)); string(text) != "mine" || err != nil {
			t.Errorf("outside: %s: %q %v", name, text, err)
		}
	}
}

// A directory that was taken away and made anew during a run is found again.
func TestKeptReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	l := local(t, dir)
	mustOpen(t, l, "worker")
	defer l.Keeping("queue", "active")()
	anew := func(name string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := l.Mkdir(name); err != nil {
			t.Fatal(err)
		}
	}
	anew("queue")
	put(t, l, "queue/a", "a")
	if err := l.Rename("queue/a", "active/a"); err != nil {
		t.Error(err)
	}
	defer l.Keeping("active")()
	anew("active")
	put(t, l, "active/b", "b")
	if err := errors.Join(l.SyncDir("active"), l.Remove("active/b")); err != nil {
		t.Error(err)
	}
	if left := names(t, l, "active"); left != nil {
		t.Errorf("left: %v", left)
	}
}

// Nothing is removed but a file of that name in that directory, kept or not.
func TestKeptNames(t *testing.T) {
	l := keeping(t, local(t, filepath.Join(t.TempDir(), "spool")))
	mustOpen(t, l, "worker")
	put(t, l, "queue/a", "a")
	for _, name := range []string{"queue/.", "queue/..", "../queue/a", "/queue/a", "", "queue/none", "queue/a/"} {
		if err := l.Remove(name); err == nil {
			t.Errorf("%q was removed", name)
		}
		if err := l.Rename(name, "active/x"); err == nil {
			t.Errorf("%q was renamed", name)
		}
	}
	if err := l.Remove("queue/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if got := names(t, l, "queue"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("left %v", got)
	}
}

// A run that ends closes its directories under the calls of others, who go on; and
// it leaves no descriptor.
func TestKeptEnds(t *testing.T) {
	before := descriptors(t)
	dir := quick(t)
	l := local(t, filepath.Join(dir, "spool"))
	mustOpen(t, l, "worker")
	stop := make(chan bool)
	var others, runs sync.WaitGroup
	for i := range 4 {
		others.Go(func() {
			name := "/" + string(rune('a'+i))
			for range 200 {
				put(t, l, "queue"+name, "x")
				if err := errors.Join(l.Rename("queue"+name, "active"+name), l.SyncDir("active"), l.Remove("active"+name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	runs.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				l.Keeping("queue", "active")()
			}
		}
	})
	others.Wait()
	close(stop)
	runs.Wait()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors more", after-before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// In a directory that is kept no other is opened.
func TestKeptIsUsed(t *testing.T) {
	l := keeping(t, local(t, filepath.Join(t.TempDir(), "spool")))
	mustOpen(t, l, "worker")
	put(t, l, "queue/a", "a")
	var limit, none unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none = limit
	none.Cur = 0 // whoever opens a directory fails
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err := errors.Join(l.Rename("queue/a", "active/a"), l.Remove("active/a"), l.SyncDir("active"))
	if err := errors.Join(err, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)); err != nil {
		t.Error(err)
	}
}
