//go:build integration

package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Installed set-gid, every user can send and none can read the password or other
// users' mail: by no option, variable, file, signal or debugger.
func TestSetGID(t *testing.T) {
	d := install(t)
	d.configure(t)
	d.ok(t, "dpkg-statoverride", "--update", "--add", "root", "postern", "2755", "/usr/sbin/sendmail")
	d.ok(t, "dpkg", "--install", "/tmp/postern.deb")
	d.is(t, "stat -c '%U:%G %a' /usr/sbin/sendmail", "root:postern 2755") // an upgrade keeps it
	t.Run("Send", func(t *testing.T) { setgidSends(t, d) })
	t.Run("Options", func(t *testing.T) { setgidOptions(t, d) })
	t.Run("Environment", func(t *testing.T) { setgidEnvironment(t, d) })
	t.Run("Queue", func(t *testing.T) { setgidQueue(t, d) })
	t.Run("Process", func(t *testing.T) { setgidProcess(t, d) })
}

func setgidSends(t *testing.T, d debian) {
	for _, file := range []string{"/etc/postern/smarthost.toml", "/etc/postern/password"} {
		if got := d.as(t, "alice", "", "cat", file); got.status == 0 {
			t.Errorf("alice reads %s", file)
		}
	}
	to := mailbox(t, "to")
	d.as(t, "alice", "Subject: x\n\nbody\n", "sendmail", "-i", to).must(t)
	got := waitFor(t, to)
	if got.sender != "alice@client.example" {
		t.Errorf("sender %q", got.sender)
	}
	has(t, "trace", got.trace, "Authenticated sender: "+accountName)
	// PHP as the web server's user; its body is over 1 MiB, so it waits in a file.
	to = mailbox(t, "php")
	d.as(t, "www-data", "", "php", "-r", "exit(mail('"+to+"', 'x', str_repeat(\"0123456789\\n\", 200000)) ? 0 : 9);").must(t)
	if got := waitFor(t, to); got.sender != "www-data@client.example" {
		t.Errorf("sender %q", got.sender)
	}
}

// secretOf fails the test if the password is in what a program said.
func secretOf(t *testing.T, what string, got outcome) {
	t.Helper()
	for _, part := range []string{accountPassword, `ä ss`, "ss\\word", "cMOkIHNzXHdvcmQ"} { // the last is of AUTH PLAIN
		if strings.Contains(got.stdout+got.stderr, part) {
			t.Errorf("%s: the password is told:\n%s%s", what, got.stdout, got.stderr)
		}
	}
}

// Each option that shows or writes anything.
func setgidOptions(t *testing.T, d debian) {
	server := fmt.Sprintf("[smarthost]\nhost = \"127.0.0.1\"\nport = %d\ntls = \"implicit\"\nverify = false\nusername = \"u\"\n", portImplicit)
	d.write(t, "/home/alice/own.toml", server+"password_file = \"/etc/postern/password\"\n", 0o644)
	d.write(t, "/home/alice/cat.toml", server+"password_command = [\"cat\", \"/etc/postern/password\"]\n", 0o644)
	d.ok(t, "chown", "-R", "alice", "/home/alice")
	for _, tt := range []struct {
		line   string
		status int
		why    string // in what it says
	}{
		{"sendmail -v -i a@dest.example", 0, ""},
		{"sendmail --check", 0, ""},
		{"sendmail --server-info", 0, ""},
		{"sendmail --dry-run -i a@dest.example", 0, ""},
		{"sendmail -bv a@dest.example", 0, ""},
		{"sendmail -d99.100 -O LogLevel=99 -oQ/etc/postern -D /home/alice/debug -i a@dest.example", 0, ""},
		{"sendmail --import /etc/postern/smarthost.toml", 66, "permission denied"},
		{"sendmail --import /etc/postern/password", 66, "permission denied"},
		{"sendmail -C /etc/postern/password -i a@dest.example", 78, "permission denied"},
		{"sendmail -C /etc/postern/smarthost.toml -i a@dest.example", 78, "permission denied"},
		{"sendmail -C /home/alice/own.toml --check", 78, "permission denied"},
		{"sendmail -C /home/alice/cat.toml --check", 78, "ermission denied"},
		{"sendmail -X /home/alice/trace -v -i a@dest.example", 77, "permission denied"},
		{"sendmail -X /var/spool/postern/trace -i a@dest.example", 77, "permission denied"},
	} {
		got := d.as(t, "alice", "Subject: x\n\nbody\n", strings.Fields(tt.line)...)
		if got.status != tt.status || !strings.Contains(got.stdout+got.stderr, tt.why) {
			t.Errorf("%s: status %d, want %d\n%s%s", tt.line, got.status, tt.status, got.stdout, got.stderr)
		}
		secretOf(t, tt.line, got)
	}
	d.is(t, "find /home/alice -newer /etc/postern/smarthost.toml -name 'trace*' -o -name 'debug*'; ls /var/spool/postern", "active\nfailed\nhealth.json\nhealth.log\nhold\nlive\nqueue\ntmp")
	// -C with a file of one's own works as it does without set-gid.
	d.write(t, "/home/alice/plain.toml", fmt.Sprintf("domain = \"client.example\"\n[smarthost]\nhost = \"127.0.0.1\"\nport = %d\n[log]\nto = \"none\"\n", portPlain), 0o644)
	to := mailbox(t, "to")
	d.as(t, "alice", "Subject: x\n\nbody\n", "sendmail", "-C", "/home/alice/plain.toml", "-X", "/home/alice/mine", "-i", to).must(t)
	waitFor(t, to)
	d.is(t, "stat -c %U:%G /home/alice/mine", "alice:alice")
}

// Variables choose nothing: not a file, a server, an authority, a debug mode.
func setgidEnvironment(t *testing.T, d debian) {
	d.write(t, "/home/alice/.config/postern/smarthost.toml", "[smarthost]\nhost = \"mine.example\"\n", 0o644)
	for _, pair := range []string{"POSTERN_CONFIG=/home/alice/.config/postern/smarthost.toml", "HOME=/home/alice", "XDG_CONFIG_HOME=/home/alice/.config",
		"POSTERN_SMARTHOST=127.0.0.1:1", "POSTERN_SPOOL=/home/alice/spool", "POSTERN_LOG=/home/alice/log", "SSL_CERT_FILE=/dev/null",
		"GODEBUG=inittrace=1,gctrace=1,netdns=go+2", "GOTRACEBACK=crash", "TMPDIR=/home/alice", "TZ=/etc/postern/password", "PATH=/home/alice"} {
		got := d.as(t, "alice", "Subject: x\n\nbody\n", "/usr/bin/env", pair, "/usr/sbin/sendmail", "--check")
		if got.status != 0 || !strings.Contains(got.stdout, "config:     /etc/postern/smarthost.toml") {
			t.Errorf("%s: %+v", pair, got)
		}
		secretOf(t, pair, got)
		if !strings.HasPrefix(pair, "GODEBUG") && got.stderr != "" { // the runtime has spoken before we can forget it
			t.Errorf("%s: %s", pair, got.stderr)
		}
	}
	d.is(t, "ls -A /home/alice/spool /home/alice/log 2>/dev/null || true", "")
}

// Others' mail in the queue is not shown, held or deleted; one's own is.
func setgidQueue(t *testing.T, d debian) {
	d.ok(t, "sh", "-c", "echo secret of root | sendmail -odq -i a@dest.example")
	d.as(t, "alice", "Subject: mine\n\nof alice\n", "sendmail", "-odq", "-i", "b@dest.example").must(t)
	ids := strings.Fields(d.ok(t, "sh", "-c", `mailq --json | sed 's/.*"id":"\([^"]*\)".*"uid":\([0-9]*\).*/\2 \1/' | sort -n | cut -d' ' -f2`))
	if len(ids) != 2 {
		t.Fatal(ids)
	}
	for _, act := range []string{"--show", "--hold", "--release", "--retry", "--delete"} {
		got := d.as(t, "alice", "", "mailq", act, ids[0])
		if got.status == 0 || got.stdout != "" || !strings.Contains(got.stderr, "it is not yours") {
			t.Errorf("%s: %+v", act, got)
		}
	}
	if got := d.as(t, "alice", "", "mailq", "--show", ids[1]); !strings.Contains(got.stdout, "of alice") {
		t.Errorf("her own: %+v", got)
	}
	d.as(t, "alice", "", "mailq", "--delete", ids[1]).must(t)
	d.ok(t, "mailq", "--delete", "all")
}

// A process that holds the password is closed to its caller: memory, variables,
// debugger; a signal leaves no core and no trace.
func setgidProcess(t *testing.T, d debian) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	text, err := os.ReadFile(string(d) + "/etc/postern/smarthost.toml")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(fmt.Sprintf("port = %d", portSubmission), fmt.Sprintf("port = %d", silent.Addr().(*net.TCPAddr).Port),
		`password_file = "password"`, fmt.Sprintf("password = %q", accountPassword)).Replace(string(text))
	d.write(t, "/etc/postern/smarthost.toml", changed, 0o640)
	defer d.write(t, "/etc/postern/smarthost.toml", string(text), 0o640)

	for _, signal := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGSEGV, syscall.SIGABRT} {
		var said strings.Builder
		cmd := exec.Command("chroot", "--userspec=alice", string(d), "sh", "-c", "ulimit -c unlimited; cd /home/alice; exec sendmail --check")
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOTRACEBACK=crash"}
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		conn := accept(t, silent) // now it holds the password and waits
		proc := filepath.Join("/proc", fmt.Sprint(cmd.Process.Pid))
		for _, file := range []string{"mem", "environ", "maps", "fd/0", "cwd", "root"} {
			if got := d.as(t, "alice", "", "sh", "-c", "head -c1 "+proc+"/"+file+" || ls "+proc+"/"+file+"/"); got.status == 0 {
				t.Errorf("alice reads %s/%s: %+v", proc, file, got)
			}
		}
		if got := d.as(t, "alice", "", "timeout", "5", "strace", "-p", fmt.Sprint(cmd.Process.Pid)); got.status == 0 || !strings.Contains(got.stderr, "Operation not permitted") {
			t.Errorf("alice traces it: %+v", got)
		}
		d.as(t, "alice", "", "sh", "-c", fmt.Sprintf("kill -%d %d", int(signal), cmd.Process.Pid)).must(t)
		err := cmd.Wait()
		conn.Close()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); err == nil || status.CoreDump() {
			t.Errorf("%v: %v, core: %v", signal, err, status.CoreDump())
		}
		secretOf(t, signal.String(), outcome{stdout: said.String()})
	}
	d.is(t, "ls /home/alice/core* 2>/dev/null || true", "")
}

// accept waits, at most 20 s, for a connection.
func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
