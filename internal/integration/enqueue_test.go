//go:build integration

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// What is named from where the caller stands is found by the process in the
// background, too, which works elsewhere.
func TestSpoolBackgroundRelative(t *testing.T) {
	dir := t.TempDir()
	t.Cleanup(func() { settled(t) })
	text := fmt.Sprintf("domain = \"client.example\"\n[smarthost]\n%s[spool]\ndir = %q\n", at(portPlain), filepath.Join(dir, "spool"))
	if err := os.WriteFile(filepath.Join(dir, "own.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	to := mailbox(t, "to")
	runIn(t, dir, "Subject: x\n\nbody\n", sendmail, "-C", "own.toml", "-odb", "-i", to).must(t)
	waitFor(t, to)
}

// What the kernel is asked for when a message is queued: each caller pays for
// each call, so that one more wants a reason. What Go opens at its start comes
// before the configuration.
func TestSpoolEnqueueCalls(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	writeConfiguration(t, fmt.Sprintf("domain = \"client.example\"\n[smarthost]\n%s[spool]\ndir = %q\n", at(portPlain), dir))
	enqueue := []string{"-odq", "-i", "-f", "s@client.example", "a@dest.example"}
	run(t, killedMessage, sendmail, enqueue...).must(t) // makes the directories and the figures

	want := []string{
		"smarthost.toml",                // of the system; the user has none
		"spool",                         // its directory
		"machine-id", "boot_id", "stat", // who we are, for those who find our draft
		"tmp", "a draft", "tmp", "queue", // to write, and to rename
		"queue", "health.log", // to sync, and what was queued
	}
	if got := opened(t, append([]string{sendmail}, enqueue...)); !slices.Equal(got, want) {
		t.Errorf("%d files are opened, want %d:\n%q\nwant\n%q", len(got), len(want), got, want)
	}
	got := calls(t, killedMessage, append([]string{sendmail}, enqueue...)...)
	for name, n := range map[string]int{
		"fsync": 2, "renameat": 1, // I2: the message, its new name, the directory
		"write":      3, // message, state, figures
		"newfstatat": 7, // the six directories of the spool, and /dev/null
		"mkdirat":    0, "unlinkat": 0, "getdents64": 0, "fchmod": 0, "openat2": 0,
	} {
		if got[name] != n {
			t.Errorf("%s: %d calls, want %d; all: %v", name, got[name], n, got)
		}
	}
}

// opened are the last elements of what a command opens, from its configuration
// on.
func opened(t *testing.T, arg []string) (names []string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	run(t, killedMessage, "strace", append([]string{"-f", "-e", "trace=openat", "-o", log}, arg...)...).must(t)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	draft := regexp.MustCompile(`^[0-9a-z]{12}\.[0-9a-z-]+$`)
	for _, m := range regexp.MustCompile(`openat\([^,]+, "([^"]+)", \S+( <unfinished|.*= \d)`).FindAllStringSubmatch(string(text), -1) {
		name := filepath.Base(m[1])
		switch {
		case names == nil && name != "smarthost.toml":
			continue
		case draft.MatchString(name):
			name = "a draft"
		}
		names = append(names, name)
	}
	return names
}
