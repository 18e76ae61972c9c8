//go:build integration

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// digest is a sendmail whose input stays open.
type digest struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    lockedBuffer
	err    lockedBuffer
	waited chan error
}

// lockedBuffer may be read while a program writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startDigest(t *testing.T, arg ...string) *digest {
	t.Helper()
	d := &digest{t: t, cmd: exec.Command(sendmail, arg...), waited: make(chan error, 1)}
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.err
	var err error
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.cmd.Process.Kill() }) //nolint:errcheck // it may have ended
	go func() { d.waited <- d.cmd.Wait() }()
	return d
}

func (d *digest) write(text string) {
	d.t.Helper()
	if _, err := io.WriteString(d.in, text); err != nil {
		d.t.Fatal(err)
	}
}

// seen waits until a program has written some text.
func seen(t *testing.T, b *lockedBuffer, text string) {
	t.Helper()
	for range 200 {
		if strings.Contains(b.String(), text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%q is not in %q", text, b.String())
}

// ends waits for the end and its status.
func (d *digest) ends(status int) {
	d.t.Helper()
	select {
	case <-d.waited:
	case <-time.After(30 * time.Second):
		d.t.Fatal("it does not end")
	}
	if got := d.cmd.ProcessState.ExitCode(); got != status {
		d.t.Errorf("status %d, want %d\n%s", got, status, d.err.String())
	}
}

// What comes within the time is one message, sent while the stream goes on; told
// to end, it sends the rest.
func TestDigest(t *testing.T) {
	plainSmarthost(t)
	to := mailbox(t, "to")
	d := startDigest(t, "--digest=1s", "--tee", "--subject={lines} of {first}", to)
	stream := "\x1b[31mERROR\x1b[0m: Grüße \xfc\r\n10%\r100%\n"
	d.write(stream)
	got := waitFor(t, to)
	if want := "ERROR: Grüße \\xfc\n10%\n100%\n"; got.body() != want {
		t.Errorf("body %q, want %q", got.body(), want)
	}
	has(t, "header", got.header(), "Subject: =?utf-8?q?3_of_ERROR:_Gr=C3=BC=C3=9Fe_\\xfc?=\n", "Content-Type: text/plain; charset=utf-8\n", "To: "+to+"\n")

	last := mailbox(t, "last")
	e := startDigest(t, "--digest=1h", "--tee", last)
	e.write("one\ntw")
	seen(t, &e.out, "one\ntw") // so it is up and reads
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	e.write("o\n") // its last word
	e.ends(0)
	if got := waitFor(t, last); got.body() != "one\ntwo\n" {
		t.Errorf("body %q", got.body())
	}
	d.in.Close()
	d.ends(0)
	if d.out.String() != stream {
		t.Errorf("passed on %q, want %q", d.out.String(), stream)
	}
}

// The smarthost is away for a while and there is no spool: what came waits, the
// stream goes on, and all of it arrives later.
func TestDigestWaits(t *testing.T) {
	const port = 2700
	configure(t, fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", port))
	to := mailbox(t, "to")
	d := startDigest(t, "--digest=1s", "--tee", to)
	d.write("while it is away\n")
	seen(t, &d.err, "waits to be sent")
	has(t, "stderr", d.err.String(), "(lines: 1)", "waits to be sent", "connection refused")
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go forward(l, portPlain)
	if got := waitFor(t, to); got.body() != "while it is away\n" {
		t.Errorf("body %q", got.body())
	}
	d.in.Close()
	d.ends(0)
}

// forward passes connections on to another port.
func forward(l net.Listener, port int) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			c.Close()
			return
		}
		go func() { io.Copy(s, c); s.Close() }() //nolint:errcheck // either side may hang up
		go func() { io.Copy(c, s); c.Close() }() //nolint:errcheck // as above
	}
}

// A gigabyte becomes one mail of a megabyte; a log of 100 MB is mailed as a whole.
// Neither needs memory.
func TestLogMemory(t *testing.T) {
	const most = 32 << 10 // KiB
	plainSmarthost(t)
	line := "\x1b[32mINFO\x1b[0m request took 12 ms, grüße from \xff " + strings.Repeat("x", 60) + "\n"
	for _, c := range []struct {
		name string
		size int
		arg  []string
	}{
		{"digest", 1 << 30, []string{"--digest=1h", "--tee"}},
		{"match", 64 << 20, []string{"--digest=1h", "--match=12 ms"}},
		{"text", 100 << 20, []string{"--text"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := mailbox(t, "to")
			in := &repeated{line: line, left: c.size / len(line)}
			if rss := measured(t, in, append([]string{sendmail}, append(c.arg, to)...)...); rss > most {
				t.Errorf("%d KiB of memory, want at most %d", rss, most)
			} else {
				t.Logf("%d KiB of memory", rss)
			}
			body := waitFor(t, to).body()
			if c.name != "text" {
				has(t, "body", body[:1<<19+4096], "INFO request took 12 ms, grüße from \\xff xxx", " lines, ", "are left out here ...]")
			} else if n := strings.Count(body, "\n"); n != c.size/len(line) {
				t.Errorf("%d lines, want %d", n, c.size/len(line))
			}
		})
	}
}

// The entry point that we ship: a container that is stopped has its program's
// last words mailed, and its status is the program's, as it is at another end.
func TestContainerLogs(t *testing.T) {
	plainSmarthost(t)
	script, err := filepath.Abs("../../packaging/examples/container-logs.sh")
	if err != nil {
		t.Fatal(err)
	}
	to := mailbox(t, "to")
	program := `trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done`
	cmd := exec.Command("sh", script, to, "sh", "-c", program)
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as PID 1 of a container has it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen(t, &out, "up\n")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil { // to the shell alone
		t.Fatal(err)
	}
	var status *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &status) || status.ExitCode() != 3 {
		t.Errorf("%v, want the program's status", err)
	}
	// The shell of the program may say between them that its sleep was ended.
	if got := waitFor(t, to).body(); got != out.String() || !strings.HasPrefix(got, "up\n") || !strings.HasSuffix(got, "bye\n") {
		t.Errorf("body %q; passed on %q", got, out.String())
	}

	other := mailbox(t, "other")
	if got := run(t, "", "sh", script, other, "sh", "-c", "echo broken >&2; exit 7"); got.status != 7 || got.stdout != "broken\n" {
		t.Errorf("%+v", got)
	}
	if got := waitFor(t, other); got.body() != "broken\n" {
		t.Errorf("body %q", got.body())
	}
}
