package maillog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// After logrotate has renamed the file, or somebody has removed it, lines go to a
// new one; none is lost or doubled.
func TestRotated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	l := Open(Options{To: path, Tag: "x", Now: time.Now})
	defer l.Close()
	l.Warning("one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Warning("two")
	l.Warning("three")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l.Together(func() { l.Warning("four"); l.Warning("five") })
	for name, want := range map[string]string{"log.1": "one", "log": "four five"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for line := range strings.Lines(string(text)) {
			words = append(words, line[strings.LastIndexByte(line[:len(line)-1], ' ')+1:len(line)-1])
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if l.Err() != nil {
		t.Error(l.Err())
	}
}

// Where no new file can be made the old one has the line, and it is told.
func TestRotatedInVain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	l := Open(Options{To: path, Tag: "x", Now: time.Now})
	defer l.Close()
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nonexistent/log", path); err != nil {
		t.Fatal(err)
	}
	l.Warning("one")
	text, err := os.ReadFile(path + ".1")
	if err != nil || !strings.HasSuffix(string(text), "warning: one\n") || l.Err() == nil {
		t.Errorf("%q %v, %v", text, err, l.Err())
	}
}
