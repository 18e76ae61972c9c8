package health

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// see is a process that sees outcomes and ends.
func see(t *testing.T, dir string, at time.Time, outcomes ...Outcome) {
	t.Helper()
	r := &Recorder{Dir: dir, Now: func() time.Time { return at }}
	for _, o := range outcomes {
		r.Observe(o, "text", false)
	}
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
}

func inode(t *testing.T, name string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func size(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// Success costs a line: the state is not written anew, and what is read tells of
// it nevertheless. A failure, or a log that is long, has all in the state.
func TestLog(t *testing.T) {
	dir := t.TempDir()
	state, log := filepath.Join(dir, fileName), filepath.Join(dir, logName)
	see(t, dir, noon, Queued)
	first := inode(t, state)
	later := noon.Add(time.Minute)
	see(t, dir, later, Sent, Queued, Queued)
	see(t, dir, later.Add(time.Minute), Queued)
	if inode(t, state) != first {
		t.Error("the state was written anew")
	}
	s, known := Read(dir)
	if !known || s.Sent != 1 || s.Queued != 4 || !s.Since.Equal(noon) || !s.LastSuccess.Equal(later) || !s.LastError.IsZero() {
		t.Errorf("%+v", s)
	}
	see(t, dir, noon, Deferred)
	if size(t, log) != 0 || inode(t, state) == first {
		t.Error("a failure is not in the state")
	}
	if s, _ := Read(dir); s.Sent != 1 || s.Queued != 4 || s.Deferred != 1 || s.ErrorText != "text" || !s.LastSuccess.Equal(later) {
		t.Errorf("%+v", s)
	}
	n := int64(4)
	for size(t, log) < maxLog {
		see(t, dir, noon, Queued)
		n++
	}
	see(t, dir, noon, Queued)
	if size(t, log) != 0 {
		t.Errorf("the log grows without end: %d octets", size(t, log))
	}
	if s, _ := Read(dir); s.Queued != n+1 {
		t.Errorf("%d queued, want %d", s.Queued, n+1)
	}
}

// With metrics each process writes them.
func TestLogMetrics(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		r := recorder(t, dir)
		r.Observe(Queued, "", false)
		if err := r.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "postern.prom"))
	if err != nil || !strings.Contains(string(text), `postern_recipients_total{status="queued"} 2`) {
		t.Errorf("%v %s", err, text)
	}
}

// What is no line of ours counts for nothing; so does half a line.
func TestLogBroken(t *testing.T) {
	dir := t.TempDir()
	see(t, dir, noon, Queued)
	junk := "x\n1 2\n-1 1 1\n1 -1 1\n1 1 99999999999\n1 2 3 4\n\n" + fmt.Sprintf("%d 1 5\n%d 1 7", noon.UnixNano(), noon.UnixNano())
	if err := os.WriteFile(filepath.Join(dir, logName), []byte(junk), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, _ := Read(dir); s.Sent != 1 || s.Queued != 6 || !s.LastSuccess.Equal(noon) {
		t.Errorf("%+v", s)
	}
}

// Another thing in the place of the log is neither written nor cut off.
func TestLogHostile(t *testing.T) {
	for what, plant := range map[string]func(theirs, log string) error{
		"a link":       os.Symlink,
		"a name of it": os.Link,
		"a pipe":       func(_, log string) error { return unix.Mkfifo(log, 0o666) },
	} {
		dir := t.TempDir()
		theirs := filepath.Join(dir, "theirs")
		if err := os.WriteFile(theirs, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := plant(theirs, filepath.Join(dir, logName)); err != nil {
			t.Fatal(err)
		}
		for _, o := range []Outcome{Queued, Failed} {
			r := &Recorder{Dir: dir, Now: func() time.Time { return noon }}
			r.Observe(o, "", false)
			if err := r.Flush(); err == nil {
				t.Errorf("%s: no error", what)
			}
		}
		if _, known := Read(dir); known {
			t.Errorf("%s: known", what)
		}
		if text, err := os.ReadFile(theirs); err != nil || string(text) != "theirs" {
			t.Errorf("%s: theirs is now %q %v", what, text, err)
		}
	}
}

// BenchmarkFlush is what the figures of a message cost.
func BenchmarkFlush(b *testing.B) {
	for name, o := range map[string]Outcome{"success": Sent, "failure": Failed} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			for b.Loop() {
				r := &Recorder{Dir: dir, Now: time.Now}
				r.Observe(o, "", false)
				if err := r.Flush(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
