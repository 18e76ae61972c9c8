package spool_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// backend is a file system that a spool may lie on. All suites run on all of
// them: a new one is a new row.
type backend struct {
	name string
	open func(t *testing.T) spool.FS // empty, and of its own
}

func backends() []backend {
	return append(genuine(), []backend{
		{"memory", func(*testing.T) spool.FS { return spooltest.NewDisk() }},
		{"blunt", func(*testing.T) spool.FS { return spooltest.Blunt{FS: spooltest.NewDisk()} }},
		{"local", func(t *testing.T) spool.FS { return local(t, filepath.Join(quick(t), "spool")) }},
		{"kept open", func(t *testing.T) spool.FS { return keeping(t, local(t, filepath.Join(quick(t), "spool"))) }},
		{"group", func(t *testing.T) spool.FS {
			dir := filepath.Join(quick(t), "spool")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o770|os.ModeSetgid); err != nil {
				t.Fatal(err)
			}
			return local(t, dir)
		}},
		{"sftp", func(t *testing.T) spool.FS { return spooltest.NewSFTPServer(t).Open(t) }},
		{"sftp with fsync", func(t *testing.T) spool.FS {
			server := spooltest.NewSFTPServer(t)
			server.Fsync = true
			return server.Open(t)
		}},
		{"sftp in memory", func(t *testing.T) spool.FS { return spooltest.NewSFTPServer(t).InMemory().Open(t) }},
	}...)
}

// genuine is a real SFTP server, if POSTERN_SFTP names one: user, host, port,
// directory, known_hosts and key, separated by spaces. The integration tests do.
func genuine() []backend {
	word := strings.Fields(os.Getenv("POSTERN_SFTP"))
	if len(word) != 6 {
		return nil
	}
	port, err := strconv.Atoi(word[2])
	if err != nil {
		return nil
	}
	o := spool.SFTPOptions{User: word[0], Host: word[1], Port: port, Dir: word[3], KnownHosts: word[4:5], Identity: word[5]}
	var n atomic.Int64
	return []backend{{"genuine", func(t *testing.T) spool.FS {
		o := o
		o.Dir += fmt.Sprintf("-%x-%d", time.Now().UnixNano(), n.Add(1))
		o.LockDir = t.TempDir()
		f := spool.NewSFTP(context.Background(), o, time.Now)
		t.Cleanup(func() { f.Close() })
		return f
	}}}
}

func local(t *testing.T, dir string) *spool.Local {
	t.Helper()
	l, err := spool.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// keeper is a local spool during a run, which keeps each of its directories open.
type keeper struct {
	*spool.Local
	mu      sync.Mutex
	dirs    []string
	release func()
}

func keeping(t *testing.T, l *spool.Local) *keeper {
	k := &keeper{Local: l, release: func() {}}
	t.Cleanup(func() { k.release() })
	return k
}

func (k *keeper) Mkdir(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.Local.Mkdir(name)
	k.release()
	k.dirs = append(k.dirs, name)
	k.release = k.Keeping(k.dirs...)
	return err
}

// nearby runs a test on the backends of this host. What it disturbs lies above
// the file system, and sftp_cut_test.go disturbs what lies below.
func nearby(t *testing.T, test func(t *testing.T, open func(t *testing.T) spool.FS)) {
	for _, b := range backends() {
		if !strings.HasPrefix(b.name, "sftp") {
			t.Run(b.name, func(t *testing.T) { test(t, b.open) })
		}
	}
}

// everywhere runs a test on each backend.
func everywhere(t *testing.T, test func(t *testing.T, open func(t *testing.T) spool.FS)) {
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) { test(t, b.open) })
	}
}

// quick is a directory whose syncing costs nothing, if the system has such: the
// suites make some thousand spools.
func quick(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "postern-spool-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
