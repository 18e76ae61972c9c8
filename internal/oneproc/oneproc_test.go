package oneproc_test

import (
	"os/exec"
	"strings"
	"testing"
)

// Go initialises a package as soon as what it imports is: with more than the
// runtime, or not in a command, this one would come too late to be of use.
func TestComesFirst(t *testing.T) {
	imports := map[string]string{
		"postern/internal/oneproc": "[runtime]",
		"postern/cmd/sendmail":     "[os postern/internal/cli postern/internal/oneproc]",
		"postern/cmd/mailq":        "[os postern/internal/cli postern/internal/oneproc]",
	}
	for pkg, want := range imports {
		got, err := exec.Command("go", "list", "-f", "{{.Imports}}", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(got)) != want {
			t.Errorf("%s imports %s, want %s", pkg, got, want)
		}
	}
}
