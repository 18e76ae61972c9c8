package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what the test needs of "go list -json".
type pkg struct {
	ImportPath string
	Imports    []string
}

// The rules of the house: who may import whom, and one door for each module.
func TestLayout(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "postern/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	// The core imports no sibling.
	alone := []string{"bounce", "digest", "smtp", "headers", "message", "spool", "config", "maillog", "capture"}
	doors := map[string][]string{
		"github.com/BurntSushi/toml":     {"config"},
		"github.com/emersion/go-message": {"message", "headers", "bounce"},
		"github.com/emersion/go-smtp":    {"smtptest", "smtpd"},
		"github.com/emersion/go-sasl":    {"smtp", "smtptest"},
		"github.com/xdg-go/scram":        {"smtp"},
		"github.com/pkg/sftp":            {"spool", "spooltest"},
		"golang.org/x/crypto":            {"spool", "spooltest"},
		"golang.org/x/net/proxy":         {"smtp"},
		"golang.org/x/net/idna":          {"smtp", "headers"},
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, "postern/internal/")
		for _, imported := range p.Imports {
			if imported == "postern/internal/spooltest" {
				t.Errorf("%s imports spooltest; it is for tests", name)
			}
			if strings.HasPrefix(imported, "postern/") && slices.Contains(alone, name) {
				t.Errorf("%s imports %s; it must not import a sibling", name, imported)
			}
			if imported == "postern/internal/smtptest" && name != "demo" && name != "bench" {
				t.Errorf("%s imports smtptest; it is for tests", name)
			}
			for module, rooms := range doors {
				if (imported == module || strings.HasPrefix(imported, module+"/")) && !slices.Contains(rooms, name) {
					t.Errorf("%s imports %s; its door is %v", name, imported, rooms)
				}
			}
		}
	}
}

// The clock, the environment and the end of the process belong to cli.
func TestEdge(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}", "postern/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for file := range strings.FieldsSeq(string(out)) {
		if strings.Contains(file, "/cmd/") || strings.Contains(file, "/internal/cli/") ||
			strings.Contains(file, "/internal/smtptest/") || strings.Contains(file, "/internal/spooltest/") || strings.Contains(file, "/internal/demo/") || strings.Contains(file, "/internal/bench/") {
			continue
		}
		for _, word := range []string{"os.Exit", "os.Args", "os.Stdin", "os.Getenv", "time.Now(", "panic("} {
			if found, err := exec.Command("grep", "-n", "-F", word, file).Output(); err == nil {
				t.Errorf("%s: %s", file, found)
			}
		}
	}
}
