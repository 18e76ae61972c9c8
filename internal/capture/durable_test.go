package capture

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What was written lasts before it is said so: the message's name, and those of
// the directories that it made. If one of them cannot be synced, nothing is left.
func TestDurable(t *testing.T) {
	full := errors.New("no space left")
	for _, tt := range []struct {
		fails string // the directory that cannot be synced
		with  error
		good  bool
	}{
		{"", nil, true}, {"mail/new", full, false}, {"mail", full, false}, {".", full, false},
		// It can be written to and not read, as a drop box: there is no way to do it.
		{".", fs.ErrPermission, true}, {"mail/new", fs.ErrPermission, false},
	} {
		top := t.TempDir()
		m := maildir(filepath.Join(top, "mail") + "/")
		var synced []string
		m.sync = func(dir string) error {
			name, err := filepath.Rel(top, dir)
			if err != nil {
				t.Fatal(err)
			}
			if synced = append(synced, name); name == tt.fails {
				return tt.with
			}
			return syncDir(dir)
		}
		file, err := m.Write(Envelope{Recipients: []string{"a@x"}}, strings.NewReader("\r\nbody\r\n"))
		left := files(t, top)
		if good := err == nil && len(left) == 1 && file != ""; good != tt.good || !tt.good && (len(left) > 0 || !errors.Is(err, tt.with)) {
			t.Errorf("%q fails with %v: %q, %v, left %q", tt.fails, tt.with, file, err, left)
		}
		if want := []string{"mail", ".", "mail/new"}; tt.good && !slices.Equal(synced, want) {
			t.Errorf("synced %q, want %q", synced, want)
		}
	}
}
