//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openrcRoot is a root with the package whose services OpenRC runs. What OpenRC
// makes at boot is made here.
func openrcRoot(t *testing.T) debian {
	t.Helper()
	d := install(t)
	d.configure(t)
	script, err := os.ReadFile("../../packaging/openrc/postern")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(string(d), "etc/init.d/postern"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	d.ok(t, "sh", "-ec", `cd /run; rmdir postern
		for dir in daemons exclusive failed hotplugged inactive options scheduled snapshot started starting stopping wasinactive tmp; do mkdir -p openrc/$dir; done
		touch openrc/softlevel`)
	d.write(t, "/etc/conf.d/postern", "respawn_delay=1\n", 0o644)
	return d
}

// rc runs the service script and wants a status; it gives what was said.
func (d debian) rc(t *testing.T, command string, status int) string {
	t.Helper()
	// Into a file: what stays in the background keeps the output open.
	got := d.as(t, "", "", "sh", "-c", "rc-service postern "+command+" >/tmp/rc.out 2>&1")
	said := d.ok(t, "cat", "/tmp/rc.out")
	if got.status != status {
		t.Fatalf("rc-service postern %s: status %d: %s", command, got.status, said)
	}
	return said
}

// rcReap does for the supervisor what init does for orphans: OpenRC waits until it
// is gone altogether. The first process of these namespaces is this test.
func (d debian) rcReap(t *testing.T) {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(d.ok(t, "cat", "/run/supervise-postern.pid")))
	if err != nil {
		t.Fatal(err)
	}
	go unix.Wait4(pid, nil, 0, nil) //nolint:errcheck // there is nothing to do about it
}

// rcProcess waits for a process of the service other than the one before.
func (d debian) rcProcess(t *testing.T, before int) int {
	t.Helper()
	for range 200 {
		text, _ := os.ReadFile(string(d) + "/run/openrc/options/postern/child_pid")
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		command, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if pid != before && string(command) == "/usr/sbin/sendmail\x00-bD\x00" {
			return pid
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no process of the service")
	return 0
}

// OpenRC starts, watches, reloads and stops the service, which has no rights but
// its user's, and everybody sends through it.
func TestOpenRC(t *testing.T) {
	d := openrcRoot(t)
	d.rc(t, "status", 3)
	d.rc(t, "start", 0)
	d.rcReap(t)
	t.Cleanup(func() { d.rc(t, "stop", 0) })
	has(t, "status", d.rc(t, "status", 0), "started")
	pid := d.rcProcess(t, 0)
	openrcRights(t, d, pid)
	openrcSends(t, d, "started", "from web1.client.example ")

	d.ok(t, "sed", "-i", `s/^\[smarthost\]/&\nehlo = "moved.example"/`, "/etc/postern/smarthost.toml")
	d.rc(t, "reload", 0)
	openrcSends(t, d, "reloaded", "from moved.example ")

	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	pid = d.rcProcess(t, pid)
	openrcSends(t, d, "respawned", "from moved.example ")

	d.rc(t, "stop", 0)
	d.rc(t, "status", 3)
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("it is still there after stop")
	}
	if got := d.as(t, "alice", "x\n", "sendmail", "-i", "a@dest.example"); got.status != 75 {
		t.Errorf("without the service: %+v", got)
	}
	d.ok(t, "sh", "-c", "echo nonsense >>/etc/postern/smarthost.toml")
	has(t, "start", d.rc(t, "start", 1), "/etc/postern/smarthost.toml:", "not TOML", "failed to start")
	d.rc(t, "status", 3)
}

// openrcRights looks at the process and at what it and the script made.
func openrcRights(t *testing.T, d debian, pid int) {
	d.is(t, "until [ -S /run/postern/submit.sock ]; do sleep 0.05; done; stat -c '%U:%G %a' /run/postern /run/postern/submit.sock /var/spool/postern /var/log/postern.err",
		"postern:postern 755\npostern:postern 666\npostern:postern 2770\npostern:postern 640")
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	ids := strings.Fields(d.ok(t, "sh", "-c", "id -u postern; id -g postern"))
	has(t, "process", string(status), "Umask:\t0007\n", "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n",
		"Uid:\t"+strings.Repeat(ids[0]+"\t", 3)+ids[0]+"\n", "Gid:\t"+strings.Repeat(ids[1]+"\t", 3)+ids[1]+"\n", "Groups:\t"+ids[1]+" \n")
	limits, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "limits"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(limits), "\n") {
		if rest, found := strings.CutPrefix(line, "Max core file size"); found && strings.Fields(rest)[0] != "0" {
			t.Error(line)
		}
	}
}

// openrcSends sends as alice until the smarthost sees what smarthost.toml says now:
// a reload or a new process is there after a while. No call fails for good.
func openrcSends(t *testing.T, d debian, when, seen string) {
	t.Helper()
	got := ""
	for n := range 100 {
		to := mailbox(t, when+strconv.Itoa(n))
		out := d.as(t, "alice", "Subject: x\n\nbody\n", "sendmail", "-i", to)
		if out.status == 75 {
			continue // nobody listens between two processes
		}
		if out.status != 0 || out.stderr != "" {
			t.Fatalf("%+v", out)
		}
		if got = waitFor(t, to).trace; strings.Contains(got, seen) {
			return
		}
	}
	t.Errorf("%q is not in %s", seen, got)
}
