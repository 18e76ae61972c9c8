package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	hostName  = "web1.bench.test"
	smarthost = "smtp.bench.test"
	programs  = "/usr/bench" // where ours and the floors are, in the namespaces
)

// build makes ours as it is shipped, and the floors.
func build(root string) error {
	bin := filepath.Join(root, "ours", "bench")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	// All are copied, as an installation does: pages of a file that a linker has
	// written through a mapping cost a third more to run from.
	return shell(".", `
		make -s build
		mkdir "$1/new"
		CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$1/new/" ./internal/bench/floor/...
		gcc -O2 -Wall -static -o "$1/new/client" internal/bench/testdata/client.c
		gcc -O2 -Wall -static -o "$1/new/launch" internal/bench/testdata/launch.c
		cp bin/sendmail bin/mailq "$1"/new/* "$1"
		rm -r "$1/new"`, bin)
}

// shell runs a script in dir; its output is shown if it fails.
func shell(dir, script string, args ...string) error {
	cmd := exec.Command("sh", append([]string{"-ec", script, "sh"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s%s", err, script, out)
	}
	return nil
}

// furnish makes the namespaces look like a host that has all the programs.
func furnish(root, peers string) error {
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
	layers := []string{filepath.Join(root, "ours")}
	for _, p := range peerPackages {
		layers = append(layers, filepath.Join(peers, p, "usr"))
	}
	lower := "lowerdir=" + strings.Join(layers, ":") + ":" + filepath.Join(peers, "libraries", "usr") + ":/usr"
	if err := unix.Mount("overlay", "/usr", "overlay", unix.MS_RDONLY, lower); err != nil {
		return fmt.Errorf("laying the peers over /usr: %w", err)
	}
	return shell(root, `
		mkdir dev; mount -t tmpfs -o mode=755 tmpfs dev # for a /dev/log of our own
		cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev/
		ln -s /proc/self/fd dev/fd
		mount --bind dev /dev
		for d in /etc /var/spool /var/lib /var/log; do
			mkdir -p "./copy$d"
			[ $d = /var/lib ] || cp -a $d/. "./copy$d/"
			mount --bind "./copy$d" $d
		done
		mkdir -p /var/lib/postfix /etc/postern`)
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

// put writes a file; secret ones are for root only.
func put(name string, secret bool, format string, args ...any) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	perm := os.FileMode(0o644)
	if secret {
		perm = 0o600
	}
	return os.WriteFile(name, fmt.Appendf(nil, format, args...), perm)
}

// cpuModel names the processor.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range bytes.Lines(text) {
		if name, model, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown processor"
}
