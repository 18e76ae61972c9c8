package spool_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// claims are n messages, claimed for a group.
func (u *user) claims(t *testing.T, n int) (*spool.Group, []*spool.Claim) {
	t.Helper()
	g := u.Group()
	var all []*spool.Claim
	for range n {
		if _, err := u.publish("a@x"); err != nil {
			t.Fatal(err)
		}
		c, err := u.claim()
		if err != nil {
			t.Fatal(err)
		}
		c.Join(g)
		all = append(all, c)
	}
	return g, all
}

// What a group has removed is gone, everywhere.
func TestGroup(t *testing.T) {
	everywhere(t, func(t *testing.T, fresh func(*testing.T) spool.FS) {
		u := mustOpen(t, fresh(t), "owner")
		g, all := u.claims(t, 3)
		for range 2 { // to finish again does nothing
			for _, c := range all {
				if err := c.Finish(); err != nil {
					t.Error(err)
				}
			}
			if err := g.Sync(); err != nil {
				t.Error(err)
			}
			g.Tidy()
		}
		if got, err := u.look(); err != nil || got != "absent" {
			t.Errorf("%s %v", got, err)
		}
	})
}

// A power cut brings back what was removed as long as the group is not synced, and
// never after that.
func TestGroupPowerCut(t *testing.T) {
	disk := spooltest.NewDisk()
	u := mustOpen(t, disk, "owner")
	g, all := u.claims(t, 3)
	for _, c := range all {
		if err := c.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	back := func() (most int) {
		for _, crash := range disk.Crashes() {
			later := mustOpen(t, crash.FS, "later", "owner")
			left, _, err := later.All()
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, len(left))
		}
		return most
	}
	if n := back(); n != 3 {
		t.Errorf("%d of 3 come back before the sync: the test misses the point", n)
	}
	if err := g.Sync(); err != nil {
		t.Error(err)
	}
	if n := back(); n != 0 {
		t.Errorf("%d come back after the sync", n)
	}
}

// A group syncs once for all, and not when nothing was removed; that it failed is
// said once.
func TestGroupSyncs(t *testing.T) {
	before := 0
	for _, fails := range []bool{false, true} {
		at := -1
		if fails {
			at = before + 3 // behind the removals
		}
		steps := spooltest.NewSteps(spooltest.NewDisk(), at, spooltest.Refuse, syscall.EIO)
		g, all := mustOpen(t, steps, "owner").claims(t, 3)
		before = len(steps.Log())
		if err := g.Sync(); err != nil { // of nothing
			t.Error(err)
		}
		for _, c := range all {
			if err := c.Finish(); err != nil {
				t.Fatal(err)
			}
		}
		err := g.Sync()
		if errors.Is(err, syscall.EIO) != fails || g.Sync() != nil {
			t.Errorf("fails %v: %v", fails, err)
		}
		if got := strings.Join(steps.Log()[before:], ", "); got != "remove active, remove active, remove active, syncdir active" {
			t.Errorf("%q", got)
		}
	}
}

// Where the room of a file is given back later its name is gone at once, and the
// file stays open until there are a handful of them, or the group is tidied; not if it
// could not be removed.
func TestGroupTidies(t *testing.T) {
	dir := filepath.Join(quick(t), "spool")
	u := mustOpen(t, local(t, dir), "owner")
	const handful = 16
	g, all := u.claims(t, 2*handful+1)
	finish := func(some []*spool.Claim) {
		for _, c := range some {
			if err := c.Finish(); err != nil {
				t.Error(err)
			}
		}
	}
	open := func() (n int) {
		fds, err := filepath.Glob("/proc/self/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir+"/active/") && strings.HasSuffix(to, "(deleted)") {
				n++
			}
		}
		return n
	}
	left, err := filepath.Glob(dir + "/active/*." + all[0].State.ID + ".*")
	if err != nil || len(left) != 1 {
		t.Fatalf("%v %v", left, err)
	}
	if err := os.Remove(left[0]); err != nil {
		t.Fatal(err)
	}
	if err := all[0].Finish(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	finish(all[1:handful])
	if n := open(); n != handful-1 {
		t.Errorf("%d files are open", n)
	}
	finish(all[handful:]) // before the second handful is closed, the first one is
	if n := open(); n > handful {
		t.Errorf("%d files are open", n)
	}
	g.Tidy()
	if n := open(); n != 0 {
		t.Errorf("%d files are open still", n)
	}
	if got, err := u.look(); err != nil || got != "absent" {
		t.Errorf("%s %v", got, err)
	}
}
