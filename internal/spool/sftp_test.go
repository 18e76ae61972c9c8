package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// What waits for an answer costs a round trip; what goes out together costs one.
func TestSFTPRoundTrips(t *testing.T) {
	const rtt = 2 * time.Second
	for fsync, want := range map[bool]map[string]int{
		false: {"open": 0, "publish": 4, "list": 4, "claim": 3, "save": 3, "release": 1, "finish": 1},
		true:  {"open": 0, "publish": 5, "list": 4, "claim": 3, "save": 3, "release": 1, "finish": 2, "first finish": 3},
	} {
		server := spooltest.NewSFTPServer(t)
		server.Fsync, server.Delay = fsync, rtt/2
		synctest.Test(t, func(t *testing.T) {
			f := server.Open(t)
			if _, err := f.Weaker(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			step := func(name string, err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got := int(time.Since(began) / rtt); want[name] != 0 && got != want[name] {
					t.Errorf("fsync %v: %s took %d round trips, not %d", fsync, name, got, want[name])
				}
				began = time.Now()
			}
			u, err := open(f, "worker")
			step("open", err)
			step("first publish", published(u))
			step("publish", published(u))
			list, _, err := u.List("queue")
			step("list", err)
			c, err := u.Claim(list[0])
			step("first claim", err)
			step("first finish", c.Finish()) // with fsync it opens active/ to sync it
			c, err = u.Claim(list[1])
			step("claim", err)
			step("save", c.Save(true))
			step("release", c.Release(noon))
			list, _, err = u.List("queue")
			step("list", err)
			c, err = u.Claim(list[0])
			step("claim", err)
			step("finish", c.Finish())
			if n := server.Connections(); n != 1 {
				t.Errorf("%d connections", n)
			}
			f.Close()
			server.Stop()
		})
	}
}

// As on this host: a group's spool is open to the group, and one that anyone may
// write in is its user's own.
func TestSFTPWhoseSpool(t *testing.T) {
	for mode, want := range map[os.FileMode][2]os.FileMode{
		0o700:                 {0o700, 0o600},
		0o770:                 {0o770, 0o660},
		0o777 | os.ModeSticky: {0o700, 0o600},
	} {
		server := spooltest.NewSFTPServer(t)
		dir := filepath.Join(server.Dir, "mail")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		if err := published(mustOpen(t, server.Open(t), "worker")); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(dir + "/queue/*")
		if err != nil || len(files) != 1 {
			t.Fatalf("%v %v", files, err)
		}
		for i, name := range []string{dir + "/queue", files[0]} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want[i] {
				t.Errorf("in %v: %s is %v %v, want %v", mode, name, info.Mode(), err, want[i])
			}
		}
	}
}

var _ spool.FS = (*spool.SFTP)(nil)
