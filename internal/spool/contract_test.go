package spool_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/spool"
)

// TestContract asserts what the spool relies on, of each file system.
func TestContract(t *testing.T) {
	tests := []struct {
		name string
		test func(t *testing.T, f spool.FS)
	}{
		{"a directory may be made twice", contractMkdir},
		{"create is exclusive", contractCreate},
		{"append goes to the end of what is there", contractAppend},
		{"open reads anywhere", contractOpen},
		{"rename gives another name", contractRename},
		{"remove takes the name away", contractRemove},
		{"list tells names and kinds", contractList},
		{"of many renames of a file one succeeds", contractRace},
		{"a lock has one holder", contractLock},
	}
	everywhere(t, func(t *testing.T, open func(*testing.T) spool.FS) {
		for _, test := range tests {
			t.Run(strings.ReplaceAll(test.name, " ", "-"), func(t *testing.T) {
				f := open(t)
				if err := f.Mkdir("d"); err != nil {
					t.Fatal(err)
				}
				test.test(t, f)
			})
		}
	})
}

func contractMkdir(t *testing.T, f spool.FS) {
	put(t, f, "d/x", "x")
	if err := f.Mkdir("d"); err != nil {
		t.Error("again:", err)
	}
	if got := text(t, f, "d/x"); got != "x" {
		t.Errorf("content then: %q", got)
	}
	if err := f.Mkdir("d/x"); err == nil {
		t.Error("over a file: no error")
	}
	if err := f.SyncDir("."); err != nil {
		t.Error(err)
	}
}

func contractCreate(t *testing.T, f spool.FS) {
	put(t, f, "d/x", "first")
	if _, err := f.Create("d/x"); err == nil {
		t.Error("a second time: no error")
	}
	if got := text(t, f, "d/x"); got != "first" {
		t.Errorf("content then: %q", got)
	}
	if _, err := f.Create("none/x"); err == nil {
		t.Error("in no directory: no error")
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	put(t, f, "d/big", string(big))
	if got := text(t, f, "d/big"); got != string(big) {
		t.Errorf("1 MiB came back as %d octets", len(got))
	}
}

func contractAppend(t *testing.T, f spool.FS) {
	put(t, f, "d/x", "one")
	for _, more := range []string{"two", "three"} {
		w, err := f.Append("d/x")
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, more)
	}
	if got := text(t, f, "d/x"); got != "onetwothree" {
		t.Errorf("got %q", got)
	}
	if _, err := f.Append("d/none"); err == nil {
		t.Error("to a file that is not there: no error")
	}
	if got := names(t, f, "d"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("appending made files: %v", got)
	}
}

func contractOpen(t *testing.T, f spool.FS) {
	put(t, f, "d/x", "0123456789")
	s, err := f.Open("d/x")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Size() != 10 {
		t.Errorf("size %d", s.Size())
	}
	for _, test := range []struct {
		off, octets int
		want        string
		err         error
	}{
		{0, 10, "0123456789", nil}, {3, 4, "3456", nil}, {8, 4, "89", io.EOF}, {10, 1, "", io.EOF}, {1 << 20, 1, "", io.EOF},
	} {
		p := make([]byte, test.octets)
		n, err := s.ReadAt(p, int64(test.off))
		if string(p[:n]) != test.want || err != test.err && !(err == io.EOF && test.off+test.octets >= 10) {
			t.Errorf("%d octets at %d: %q %v", test.octets, test.off, p[:n], err)
		}
	}
	// A reader goes on with what it opened while the file is renamed and removed.
	if err := errors.Join(f.Rename("d/x", "d/y"), f.Remove("d/y")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open("d/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("gone: %v", err)
	}
	if _, err := f.Open("d"); err == nil {
		t.Error("a directory: no error")
	}
}

func contractRename(t *testing.T, f spool.FS) {
	put(t, f, "d/x", "x")
	if err := f.Mkdir("e"); err != nil {
		t.Fatal(err)
	}
	if err := f.Rename("d/x", "e/y"); err != nil {
		t.Fatal(err)
	}
	if got := text(t, f, "e/y"); got != "x" || len(names(t, f, "d")) != 0 {
		t.Errorf("got %q, left %v", got, names(t, f, "d"))
	}
	if err := f.Rename("d/x", "e/z"); err == nil {
		t.Error("of what is gone: no error")
	}
	if err := f.Rename("e/y", "none/y"); err == nil {
		t.Error("into no directory: no error")
	}
	if got := names(t, f, "e"); !slices.Equal(got, []string{"y"}) {
		t.Errorf("then there are %v", got)
	}
	if err := errors.Join(f.SyncDir("d"), f.SyncDir("e")); err != nil {
		t.Error(err)
	}
}

func contractRemove(t *testing.T, f spool.FS) {
	put(t, f, "d/x", "x")
	if err := f.Remove("d/x"); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove("d/x"); err == nil {
		t.Error("of what is gone: no error")
	}
	if got := names(t, f, "d"); got != nil {
		t.Errorf("left: %v", got)
	}
}

func contractList(t *testing.T, f spool.FS) {
	put(t, f, "d/file", "x")
	if err := f.Mkdir("d/dir"); err != nil {
		t.Fatal(err)
	}
	list, err := f.List("d")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Type().IsRegular() != (e.Name() == "file") || e.IsDir() != (e.Name() == "dir") {
			t.Errorf("%s is a %v", e.Name(), e.Type())
		}
		if e.IsDir() {
			continue
		}
		if info, err := e.Info(); err != nil || time.Since(info.ModTime()).Abs() > time.Hour {
			t.Errorf("%s was written at %v %v", e.Name(), info, err)
		}
	}
	if got := names(t, f, "."); !slices.Equal(got, []string{"d"}) {
		t.Errorf("the spool itself: %v", got)
	}
	if got := names(t, f, "d/dir"); got != nil {
		t.Errorf("an empty one: %v", got)
	}
	if _, err := f.List("none"); err == nil {
		t.Error("of no directory: no error")
	}
}

func contractRace(t *testing.T, f spool.FS) {
	const rounds, racers = 20, 4
	for range rounds {
		put(t, f, "d/x", "x")
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range racers {
			wg.Go(func() {
				if f.Rename("d/x", "d/"+string(rune('a'+i))) == nil {
					mu.Lock()
					won++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		left := names(t, f, "d")
		if won != 1 || len(left) != 1 {
			t.Fatalf("%d won, there are %v", won, left)
		}
		if err := f.Remove("d/" + left[0]); err != nil {
			t.Fatal(err)
		}
	}
}

func contractLock(t *testing.T, f spool.FS) {
	unlock, ok, err := f.Lock("a.lock", false)
	if err != nil || !ok {
		t.Fatalf("%v %v", ok, err)
	}
	if _, ok, err := f.Lock("a.lock", false); ok || err != nil {
		t.Errorf("a second holder: %v %v", ok, err)
	}
	if other, ok, err := f.Lock("b.lock", false); !ok || err != nil || other() != nil {
		t.Errorf("another lock: %v %v", ok, err)
	}
	got := make(chan func() error)
	go func() {
		unlock, ok, err := f.Lock("a.lock", true)
		if err != nil || !ok {
			t.Errorf("waiting: %v %v", ok, err)
		}
		got <- unlock
	}()
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if unlock := <-got; unlock != nil {
		if err := unlock(); err != nil {
			t.Error(err)
		}
	}
}

func put(t *testing.T, f spool.FS, name, content string) {
	t.Helper()
	w, err := f.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, content)
}

func write(t *testing.T, w spool.File, content string) {
	t.Helper()
	_, err := io.WriteString(w, content)
	if err := errors.Join(err, w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
}

func text(t *testing.T, f spool.FS, name string) string {
	t.Helper()
	s, err := f.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, f spool.FS, dir string) (list []string) {
	t.Helper()
	entries, err := f.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	slices.Sort(list)
	return list
}
