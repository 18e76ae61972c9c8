//go:build integration

package integration

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bootVar names the root in which this test binary is to become systemd.
const bootVar = "POSTERN_INTEGRATION_BOOT"

// machine is a Debian root with a systemd of its own as PID 1. The network is
// that of the tests, so their smarthosts are its smarthosts.
type machine struct {
	debian
	owner  *testing.T // whose end is the machine's
	pid    int        // of its systemd, as the tests see it
	halted chan error
}

// boot starts systemd in the root. It sees a control group of its own as the whole
// tree, and nothing of the kernel that is everybody's can be written by it.
func (d debian) boot(t *testing.T) *machine {
	t.Helper()
	group := controlGroup(t)
	dir, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	said, err := os.Create(filepath.Join(world.root, "boot.out"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), bootVar+"="+string(d))
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd()),
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := &machine{d, t, cmd.Process.Pid, make(chan error, 1)}
	go func() { m.halted <- cmd.Wait(); close(m.halted) }()
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it has ended then, and all that it started with it
		for range m.halted {
		}
		removeGroup(t, group)
	})
	for range 600 {
		state := m.as(t, "", "", "systemctl", "is-system-running").stdout
		if strings.HasPrefix(state, "running") || strings.HasPrefix(state, "degraded") {
			return m
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(said.Name())
	t.Fatalf("systemd is not up after 30 s: %s\n%s", m.as(t, "", "", "systemctl", "list-jobs").stdout, text)
	return nil
}

// reboot ends systemd in good order and starts it again; what was in memory is gone.
func (m *machine) reboot(t *testing.T) {
	t.Helper()
	m.as(t, "", "", "systemctl", "poweroff") // it may be ended with the machine
	select {
	case <-m.halted:
	case <-time.After(30 * time.Second):
		t.Fatal("systemd does not power off")
	}
	*m = *m.boot(m.owner)
}

// controlGroup makes a group for systemd in the unified hierarchy, wherever the
// host has that.
func controlGroup(t *testing.T) string {
	t.Helper()
	base := filepath.Join(world.root, "cgroup")
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(base + "/cgroup.procs"); err != nil { // no machine was booted yet
		if err := unix.Mount("cgroup2", base, "cgroup2", 0, ""); err != nil {
			t.Fatal("systemd needs control groups version 2: ", err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(base, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	group, err := os.MkdirTemp(base, "postern-integration-")
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// removeGroup removes a group and those below it, which are empty.
func removeGroup(t *testing.T, group string) {
	var all []string
	err := filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, dir := range slices.Backward(all) {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	}
}

// becomeSystemd makes the root the only one there is and runs its systemd, as PID
// 1 of the namespaces that boot made. It returns only if that fails.
func becomeSystemd(root string) error {
	// The namespace of control groups is this thread's, as is what it executes.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return err
	}
	for _, m := range []struct {
		what, where, kind string
		flags             uintptr
		data              string
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", 0, ""},
		{root + "/proc/sys", "/proc/sys", "", unix.MS_BIND, ""},
		{"", "/proc/sys", "", unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_RDONLY, ""},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", 0, ""},
		{"tmpfs", "/dev", "tmpfs", 0, "mode=755"},
		{"devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620,gid=5"},
		{"tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777"},
		{"tmpfs", "/run", "tmpfs", 0, "mode=755"},
		{"tmpfs", "/tmp", "tmpfs", 0, "mode=1777"},
	} {
		where := filepath.Join(root, m.where)
		if m.where == "/" {
			where = "/"
		} else if err := os.MkdirAll(where, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.what, where, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s: %w", where, err)
		}
	}
	if err := devices(root + "/dev"); err != nil {
		return err
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	// The old root lies over the new one, until it is gone.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	init := "/lib/systemd/systemd"
	return unix.Exec(init, []string{init, "--system", "--unit=multi-user.target", "--log-target=journal"},
		[]string{"container=postern", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
}

// devices makes what every program may expect in /dev.
func devices(dir string) error {
	for name, device := range map[string]uint64{"null": unix.Mkdev(1, 3), "zero": unix.Mkdev(1, 5), "full": unix.Mkdev(1, 7),
		"random": unix.Mkdev(1, 8), "urandom": unix.Mkdev(1, 9), "tty": unix.Mkdev(5, 0)} {
		if err := unix.Mknod(filepath.Join(dir, name), unix.S_IFCHR|0o666, int(device)); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o666); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// bare takes from the root what this machine's administrator has enabled, so that
// nothing runs but what a minimal Debian runs.
func (d debian) bare(t *testing.T) {
	t.Helper()
	d.ok(t, "sh", "-ec", "rm -rf /usr/sbin/policy-rc.d /etc/systemd/system/* /etc/rc?.d/* /var/log/journal /etc/machine-id; :>/etc/fstab; echo "+hostName+" >/etc/hostname; echo 127.0.0.1 localhost "+hostName+" smarthost.test >/etc/hosts; "+
		"systemd-machine-id-setup; ln -s /dev/null /etc/systemd/system/console-getty.service")
}

// as runs a program in the machine as a user; "" is root.
func (m *machine) as(t *testing.T, user, stdin string, arg ...string) outcome {
	t.Helper()
	enter := []string{"--all", "--target", strconv.Itoa(m.pid)}
	if user != "" {
		enter = append(enter, "setpriv", "--reuid="+user, "--regid="+user, "--init-groups", "env", "LOGNAME="+user, "USER="+user)
	}
	return run(t, stdin, "nsenter", append(enter, arg...)...)
}

// sh runs a script as root; it must succeed. It gives what was printed.
func (m *machine) sh(t *testing.T, script string) string {
	t.Helper()
	got := m.as(t, "", "", "sh", "-ec", script)
	if got.status != 0 {
		t.Fatalf("%s: status %d\n%s%s", script, got.status, got.stdout, got.stderr)
	}
	return strings.TrimSpace(got.stdout + got.stderr)
}

// until waits, at most 15 s, until a script prints want.
func (m *machine) until(t *testing.T, script, want string) {
	t.Helper()
	var got outcome
	for range 300 {
		if got = m.as(t, "", "", "sh", "-c", script); strings.TrimSpace(got.stdout) == want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: %q after 15 s, want %q\n%s\n%s", script, got.stdout, want, got.stderr,
		m.as(t, "", "", "journalctl", "--no-pager", "-n", "30").stdout)
}
