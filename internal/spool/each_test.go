package spool_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"postern/internal/spool"
)

// Each tells of the messages in the order asked for, over several blocks and
// places, and says of each what Read says of it.
func TestEach(t *testing.T) {
	everywhere(t, func(t *testing.T, fresh func(*testing.T) spool.FS) {
		f := fresh(t)
		u := mustOpen(t, f, "worker")
		const n = 150
		must(t, published(u))
		c, err := u.claim()
		must(t, err)
		must(t, c.Hold())
		for range n - 1 {
			must(t, published(u))
		}
		all, _, err := u.All()
		must(t, err)
		gone, damaged := all[70], all[130]
		must(t, f.Remove("queue/"+fileOf(t, f, gone.ID)))
		name := "queue/" + fileOf(t, f, damaged.ID)
		must(t, f.Remove(name))
		put(t, f, name, "no state\n")
		told := 0
		u.Each(all, func(e spool.Entry, s *spool.State, err error) {
			want := all[told]
			if e != want {
				t.Fatalf("%d: told of %s, want %s", told, e.ID, want.ID)
			}
			told++
			switch {
			case e == gone && errors.Is(err, fs.ErrNotExist):
			case e == damaged && errors.Is(err, spool.ErrDamaged):
			case err != nil || s.ID != e.ID:
				t.Errorf("%s: %+v %v", e.ID, s, err)
			}
		})
		if told != n {
			t.Errorf("told of %d, want %d", told, n)
		}
		u.Each(nil, func(spool.Entry, *spool.State, error) { t.Error("told of nothing") })
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fileOf(t *testing.T, f spool.FS, id string) string {
	t.Helper()
	for _, name := range names(t, f, "queue") {
		if name[len(name)-len(id):] == id {
			return name
		}
	}
	t.Fatalf("no file of %s", id)
	return ""
}

// What is put in the place of a message, or of the whole directory, is not
// followed and not waited for when all are read either.
func TestEachNothingElse(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(t.TempDir(), "spool")
	u := mustOpen(t, local(t, dir), "worker")
	_, err := u.publish("a")
	must(t, err)
	all, _, err := u.All()
	must(t, err)
	name := names(t, u.below, "queue")[0]
	there := filepath.Join(dir, "queue", name)
	must(t, os.Rename(there, filepath.Join(outside, name)))
	refused := func(what string) {
		t.Helper()
		u.Each(all, func(_ spool.Entry, s *spool.State, err error) {
			if err == nil {
				t.Errorf("%s: %+v", what, s)
			}
		})
	}
	must(t, os.Symlink(filepath.Join(outside, name), there))
	refused("a link")
	must(t, os.RemoveAll(filepath.Join(dir, "queue")))
	must(t, os.Symlink(outside, filepath.Join(dir, "queue")))
	refused("a link in the place of the directory")
}

// BenchmarkEach is what a listing of a thousand messages costs.
func BenchmarkEach(b *testing.B) {
	l, err := spool.OpenLocal(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	u, err := open(l, "worker")
	check(b, err)
	fill(b, u, 1000)
	b.ReportAllocs()
	for b.Loop() {
		all, _, err := u.All()
		check(b, err)
		u.Each(all, func(_ spool.Entry, _ *spool.State, err error) { check(b, err) })
	}
}
