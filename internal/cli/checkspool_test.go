package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/config"
)

func TestCheckSpool(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		why, dir, want string
		status         int
	}{
		{"none", "", "spool:      none, ", exOK},
		{"one that is there", dir, "spool:      " + dir + "\n", exOK},
		{"the first message makes it", dir + "/new", "spool:      " + dir + "/new\n", exOK},
		{"nobody makes its parent", dir + "/no/new", "spool:      FAILED: " + dir + "/no: no such file or directory\n", exCantCreate},
		{"a file", file, "spool:      FAILED: " + file + ": not a directory\n", exCantCreate},
		{"below a file", file + "/new", "spool:      FAILED: " + file + "/new: not a directory\n", exCantCreate},
	} {
		var out, errw bytes.Buffer
		a := &app{out: &out, err: &errw}
		cfg := &config.Config{Path: "/c.toml", Spool: config.Spool{Dir: row.dir}}
		if got := a.checkSpool(cfg, nil); got != row.status || !strings.HasPrefix(out.String(), row.want) {
			t.Errorf("%s: status %d, %q", row.why, got, out.String())
		}
		if said := strings.Contains(errw.String(), "check [spool] in /c.toml"); said != (row.status != exOK) {
			t.Errorf("%s: %q", row.why, errw.String())
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("it made something: %v, %v", names, err)
	}
}
