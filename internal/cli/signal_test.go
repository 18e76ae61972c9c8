package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/smtptest"
)

// A message on its way when a signal comes is not lost without a word: the caller
// hears who did not get it, and that trying again can help. A signal that was
// ignored for us is ignored.
func TestSignalEndsDelivery(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		why    string
		before string // in the shell that becomes the command
		first  syscall.Signal
		second syscall.Signal
	}{
		{"interrupt", "", syscall.SIGINT, 0},
		{"terminate", "", syscall.SIGTERM, 0},
		{"hangup", "", syscall.SIGHUP, 0},
		{"hangup after nohup", "trap '' HUP; ", syscall.SIGHUP, syscall.SIGTERM},
		{"interrupt in the background of a shell", "trap '' INT; ", syscall.SIGINT, syscall.SIGTERM},
	} {
		t.Run(test.why, func(t *testing.T) {
			t.Parallel()
			s := smtptest.New(t, smtptest.Options{Script: smtptest.Polite().With("DATA", smtptest.Answer{Then: smtptest.Silence})})
			cmd, said := waiting(t, s, test.before)
			if ignores(t, cmd, test.first) != (test.second != 0) {
				t.Errorf("%v is ignored: %v", test.first, test.second == 0)
			}
			sendSignal(t, cmd, test.first)
			if test.second != 0 {
				sendSignal(t, cmd, test.second)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exTempFail {
				t.Errorf("%v, want status %d", err, exTempFail)
			}
			if !strings.HasPrefix(said.String(), "sendmail: ops@dest.example: ") || strings.Count(said.String(), "\n") != 1 {
				t.Errorf("it said %q", said)
			}
		})
	}
}

// waiting is a command that waits for an answer to DATA.
func waiting(t *testing.T, s *smtptest.Server, before string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "smarthost.toml")
	text := fmt.Sprintf("domain = \"client.example\"\n[log]\nto = \"none\"\n[smarthost]\nhost = \"127.0.0.1\"\nport = %d\n", s.Port())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	said := &bytes.Buffer{}
	cmd := exec.Command("sh", "-c", before+`exec sendmail --config "$0" -f me@client.example ops@dest.example`, file)
	cmd.Stdin, cmd.Stderr = strings.NewReader("Subject: x\n\nbody\n"), said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if all := s.Sessions(); len(all) > 0 && slices.Contains(all[0].Commands, "DATA") {
			return cmd, said
		}
		if time.Now().After(end) {
			cmd.Process.Kill() //nolint:errcheck // the test has failed
			t.Fatalf("no DATA came: %s", said)
		}
	}
}

func sendSignal(t *testing.T, cmd *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ignores reads what the kernel does with a signal to the process.
func ignores(t *testing.T, cmd *exec.Cmd, s syscall.Signal) bool {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, mask, _ := strings.Cut(string(status), "\nSigIgn:\t")
	mask, _, _ = strings.Cut(mask, "\n")
	set, err := strconv.ParseUint(mask, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return set&(1<<(s-1)) != 0
}
