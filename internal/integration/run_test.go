//go:build integration

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// outcome is how a program ended.
type outcome struct {
	status         int
	stdout, stderr string
}

// run runs a program with stdin and a limit of a minute.
func run(t *testing.T, stdin string, name string, arg ...string) outcome {
	t.Helper()
	return runIn(t, "/", stdin, name, arg...)
}

func runIn(t *testing.T, dir, stdin string, name string, arg ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arg...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	// Callers that look at these find nothing of the developer's own.
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + world.root, "LANG=C.UTF-8", "USER=root", "LOGNAME=root", "TERM=dumb"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must fails the test unless the program ended with status 0 and said nothing.
func (o outcome) must(t *testing.T) {
	t.Helper()
	if o.status != 0 || o.stdout != "" || o.stderr != "" {
		t.Fatalf("status %d\nstdout: %s\nstderr: %s", o.status, o.stdout, o.stderr)
	}
}

// configure writes /etc/postern/smarthost.toml: the lines of [smarthost].
func configure(t *testing.T, smarthost string) {
	t.Helper()
	text := "domain = \"client.example\"\n[log]\nto = \"" + logFile() + "\"\n[smarthost]\n" + smarthost
	writeConfiguration(t, text)
}

// writeConfiguration writes the file anew, for root alone: a test before may have
// opened it to others.
func writeConfiguration(t *testing.T, text string) {
	t.Helper()
	const path = "/etc/postern/smarthost.toml"
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func logFile() string { return filepath.Join(world.root, "mail.log") }

// plainSmarthost is Postfix without login.
func plainSmarthost(t *testing.T) {
	t.Helper()
	configure(t, fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", portPlain))
}

// has fails the test unless text contains each of the parts.
func has(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: %q is missing in:\n%s", what, part, text)
		}
	}
}

// hasNot fails the test if text contains any of the parts, in any case.
func hasNot(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
			t.Errorf("%s: %q must not be in:\n%s", what, part, text)
		}
	}
}
