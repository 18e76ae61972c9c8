package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"postern/internal/config"
	"postern/internal/spool"
)

// With more rights than the caller's nothing of his environment counts, and when
// the rights are given up it does again.
func TestForget(t *testing.T) {
	before := os.Environ()
	t.Cleanup(func() {
		for _, pair := range before {
			setenv(pair)
		}
	})
	t.Setenv("SSL_CERT_FILE", "/tmp/mine.pem")
	t.Setenv("GODEBUG", "tlsrsakex=1")
	a := &app{privileged: true, forgotten: forget()}
	if got := os.Environ(); len(got) != 1 || !strings.HasPrefix(got[0], "PATH=/usr/local/bin:") {
		t.Errorf("left: %v", got)
	}
	if err := a.giveUpRights(); err != nil || a.privileged {
		t.Fatal(err, a.privileged)
	}
	if os.Getenv("SSL_CERT_FILE") != "/tmp/mine.pem" || os.Getenv("GODEBUG") != "tlsrsakex=1" {
		t.Error("the environment is not back")
	}
}

// Options that name a file end the extra rights; those that do not keep them.
func TestChoosesFiles(t *testing.T) {
	for line, want := range map[string]bool{
		"-C x a@x": true, "--config x --check": true, "-X x a@x": true, "--import x": true,
		"-oQ/x a@x": false, "-O QueueDirectory=/x a@x": false, "-D x a@x": false, "-L x a@x": false, "-v a@x": false, "-q": false,
	} {
		o, err := parse(append([]string{"sendmail"}, strings.Fields(line)...))
		if err != nil {
			t.Fatal(line, err)
		}
		if o.choosesFiles() != want {
			t.Errorf("%s: %v", line, !want)
		}
	}
}

// A long message waits in the first place that can be written.
func TestTempDir(t *testing.T) {
	a := &app{}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	if got := a.tempDir(&config.Config{}); got != dir {
		t.Errorf("TMPDIR: %s", got)
	}
	t.Setenv("TMPDIR", "/nonexistent/tmp")
	spool := t.TempDir()
	got := a.tempDir(&config.Config{Spool: config.Spool{Dir: spool}})
	if !slices.Contains([]string{"/var/tmp", spool, "/dev/shm"}, got) {
		t.Errorf("without TMPDIR: %s", got)
	}
	if got := a.tempDir(&config.Config{Spool: config.Spool{Dir: "sftp://host/spool"}}); strings.HasPrefix(got, "sftp") {
		t.Errorf("a spool on another host: %s", got)
	}
}

// Whose owner cannot be seen is not taken for dead: the message would go twice.
func TestAlive(t *testing.T) {
	me := string(self())
	part := func(i int, value string) string {
		p := strings.Split(me, "-")
		p[i] = value
		return strings.Join(p, "-")
	}
	for _, tt := range []struct {
		why          string
		owner        string
		alive, known bool
	}{
		{"we ourselves", me, true, true},
		{"another host", part(0, "otherhst"), false, false},
		{"before the last boot", part(1, "otherbut"), false, true},
		{"its /proc did not tell the boot", part(1, hashed("")), false, false},
		{"another container", part(2, "otherspc"), false, false},
		{"the number was given anew", part(4, "1"), false, true},
		{"it could not tell its start", part(4, "0"), false, false},
		{"there is no such process", part(3, "4194304999"), false, true},
		{"no number", part(3, "x"), false, true},
		{"not ours at all", "test", false, false},
	} {
		alive, known := alive(spool.Owner(tt.owner))
		if alive != tt.alive || known != tt.known {
			t.Errorf("%s: alive %v, known %v", tt.why, alive, known)
		}
	}
}
