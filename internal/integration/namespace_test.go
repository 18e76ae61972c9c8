//go:build integration

// Package integration runs the real sendmail against real servers and under
// real callers. Everything happens in private mount, network, PID, UTS and IPC
// namespaces: /etc and the servers' state are copies, the network is a loopback
// of its own, and every daemon ends with the test. It needs root and the
// packages that .ci/run installs; a missing one is a failure, never a skip.
package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideVar tells the second run of the test binary that it is PID 1 of the
// namespaces which the first one made.
const insideVar = "POSTERN_INTEGRATION_INSIDE"

// hostName is the name of this host inside the namespaces.
const hostName = "web1.client.example"

func TestMain(m *testing.M) {
	if os.Getenv(measureVar) != "" {
		os.Exit(measure(os.Args[1:]))
	}
	if root := os.Getenv(bootVar); root != "" {
		fmt.Fprintln(os.Stderr, "integration: booting:", becomeSystemd(root))
		os.Exit(1)
	}
	if os.Getenv(insideVar) == "" {
		os.Exit(runInside())
	}
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		os.Exit(1)
	}
	code := m.Run()
	world.stop()
	os.Exit(code)
}

// runInside runs this test binary once more in namespaces of its own and gives
// back its exit status.
func runInside() int {
	root, err := os.MkdirTemp("", "postern-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	defer os.RemoveAll(root)
	if err := buildPrograms(root); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	if err := buildPackages(root); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	if err := fetchExim(); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	if _, err := fetchMailers(); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVar+"="+root)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "integration: needs root to make namespaces:", err)
	return 1
}

// buildPrograms builds the programs under test, static as they are shipped.
func buildPrograms(root string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(root, "bin")+"/", "postern/cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// prepare furnishes the namespaces: private copies of what tests and servers
// write to, our programs in the place of the system's, and the servers.
func prepare() error {
	root := os.Getenv(insideVar)
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := unix.Sethostname([]byte(hostName)); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bringing lo up: %w", err)
	}
	for _, dir := range []string{"/etc", "/run", "/var/spool", "/var/lib/postfix", "/var/log"} {
		if err := privateCopy(root, dir); err != nil {
			return fmt.Errorf("private %s: %w", dir, err)
		}
	}
	if err := installPrograms(root); err != nil {
		return err
	}
	return world.start(root)
}

// loopbackUp does what "ip link set lo up" does.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// privateCopy puts a copy of dir over dir, so that tests may write to it.
func privateCopy(root, dir string) error {
	copied := filepath.Join(root, "fs", dir)
	if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-a", dir, copied).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return unix.Mount(copied, dir, "", unix.MS_BIND, "")
}

// installPrograms puts ours over the system's sendmail. Debian's /usr/lib/sendmail,
// mailq and newaliases are links to it, so that argv[0] alone picks the mode.
func installPrograms(root string) error {
	if err := unix.Mount(filepath.Join(root, "bin", "sendmail"), "/usr/sbin/sendmail", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("/usr/sbin/sendmail must be there to be replaced (package postfix): %w", err)
	}
	return os.MkdirAll("/etc/postern", 0o755)
}
