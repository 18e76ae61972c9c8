package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/config"
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
			awaitListening(t, cmd)
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
	return waitingWith(t, s, before, configFor(t, s))
}

func waitingWith(t *testing.T, s *smtptest.Server, before, config string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	said := &bytes.Buffer{}
	cmd := exec.Command("sh", "-c", before+`exec sendmail --config "$0" -f me@client.example ops@dest.example`, config)
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

// awaitListening waits until the process hears signals and all its threads sleep:
// twice, since they are looked at one after another.
func awaitListening(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	seen := 0
	for end := time.Now().Add(20 * time.Second); seen < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not listen for signals")
		}
		if seen++; !listens(t, cmd) {
			seen = 0
		}
	}
}

// listens looks for the thread with which Go hears signals, the only one that
// blocks some of the others, and for any that is at work.
func listens(t *testing.T, cmd *exec.Cmd) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	ear := false
	for _, name := range threads {
		if !strings.HasPrefix(statusField(t, name, "State"), "S") {
			return false
		}
		blocked := signalSet(t, name, "SigBlk")
		ear = ear || blocked != 0 && blocked&(1<<(syscall.SIGTERM-1)) == 0
	}
	return ear
}

// configFor is the file of a configuration that sends to s.
func configFor(t *testing.T, s *smtptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "smarthost.toml")
	text := fmt.Sprintf("domain = \"client.example\"\n[log]\nto = \"none\"\n[smarthost]\nhost = \"127.0.0.1\"\nport = %d\n", s.Port())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
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
	return signalSet(t, fmt.Sprintf("/proc/%d/status", cmd.Process.Pid), "SigIgn")&(1<<(s-1)) != 0
}

// signalSet reads a set of signals from a status file.
func signalSet(t *testing.T, file, field string) uint64 {
	t.Helper()
	set, err := strconv.ParseUint(statusField(t, file, field), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// statusField reads a field of a status file, "0" if its thread has gone.
func statusField(t *testing.T, file, field string) string {
	t.Helper()
	status, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return "0"
	}
	if err != nil {
		t.Fatal(err)
	}
	_, value, _ := strings.Cut(string(status), "\n"+field+":\t")
	value, _, _ = strings.Cut(value, "\n")
	return value
}

// Until there is a message to lose, a signal ends the command at once: whoever
// types one and thinks again is not kept.
func TestSignalEndsReading(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t, smtptest.Options{})
	cmd, in, said := reading(t, s)
	defer in.Close()
	sendSignal(t, cmd, syscall.SIGINT)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("%v, want an end by SIGINT; it said %q", err, said)
	}
	if len(s.Sessions()) > 0 {
		t.Error("it went to the smarthost")
	}
}

// reading is a command that has taken a part of its message.
func reading(t *testing.T, s *smtptest.Server) (*exec.Cmd, io.WriteCloser, *bytes.Buffer) {
	t.Helper()
	said := &bytes.Buffer{}
	cmd := exec.Command("sendmail", "--config", configFor(t, s), "-f", "me@client.example", "ops@dest.example")
	cmd.Stderr = said
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdin = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds, so some of it has been read when all is written.
	if _, err := in.WriteString("Subject: x\n\n" + strings.Repeat("line\n", 20_000)); err != nil {
		t.Fatal(err)
	}
	return cmd, in, said
}

// Where there is a spool a signal has the message kept, and is heard sooner for it.
func TestSignalKeepsMessage(t *testing.T) {
	t.Parallel()
	for _, spool := range []bool{false, true} {
		s := smtptest.New(t, smtptest.Options{Script: smtptest.Polite().With("DATA", smtptest.Answer{Then: smtptest.Silence})})
		dir := filepath.Join(t.TempDir(), "spool")
		file := configFor(t, s)
		if spool {
			appendTo(t, file, fmt.Sprintf("[spool]\ndir = %q\n", dir))
		}
		cmd, said := waitingWith(t, s, "", file)
		awaitListening(t, cmd)
		sendSignal(t, cmd, syscall.SIGTERM)
		err := cmd.Wait()
		kept, globErr := filepath.Glob(dir + "/queue/*")
		if globErr != nil || (len(kept) == 1) != spool || (err == nil) != spool {
			t.Errorf("spool %v: %v, kept %q, it said %q", spool, err, kept, said)
		}
	}
	if with, without := hearAfter(&config.Config{Spool: config.Spool{Dir: "/x"}}), hearAfter(&config.Config{}); with >= without {
		t.Errorf("heard after %s with a spool, %s without", with, without)
	}
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
