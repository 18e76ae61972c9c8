//go:build containers

// Package containers builds packaging/Dockerfile and packaging/compose with podman,
// unchanged, and runs what comes of them. No registry is asked: images made of this
// machine's own files stand in under the names of the base images. It needs root,
// podman, buildah, crun, podman-compose, busybox-static, git, make, php-cli and the
// Go module proxy; a missing one is a failure, never a skip.
package containers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stageVar tells the test binary which of its three lives it is in: none, "build" in
// a mount namespace, "run" in a network of its own as well.
const stageVar, rootVar = "POSTERN_CONTAINERS_STAGE", "POSTERN_CONTAINERS_ROOT"

// root has all files of this run: podman's storage, the stand-ins, the caches.
var root = os.Getenv(rootVar)

func TestMain(m *testing.M) {
	code, err := 0, error(nil)
	switch os.Getenv(stageVar) {
	case "":
		code, err = outside()
	case "build":
		if err = prepare(); err == nil {
			code, err = again("run", syscall.CLONE_NEWNET)
		}
		err = errors.Join(err, discard())
	default:
		if err = script("ip link set lo up"); err == nil {
			code = m.Run()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
		code = 1
	}
	os.Exit(code)
}

func outside() (int, error) {
	var err error
	if root, err = os.MkdirTemp("", "postern-containers-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(root)
	return again("build", syscall.CLONE_NEWNS)
}

// again runs this test binary once more, in further namespaces.
func again(stage string, namespaces uintptr) (int, error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), stageVar+"="+stage, rootVar+"="+root)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// prepare makes the base images and builds ours.
func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	// crun wants one kind of control groups, not both.
	if err := unix.Unmount("/sys/fs/cgroup/unified", unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "podman"), []byte(podman), 0o755); err != nil {
		return err
	}
	if err := script(standIns); err != nil {
		return fmt.Errorf("base images: %w", err)
	}
	readme, err := readmeDockerfile()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "Dockerfile.readme"), []byte(readme), 0o644); err != nil {
		return err
	}
	return script(build)
}

// discard ends the containers and gives the mounts of the storage back.
func discard() error {
	return script(`"$root"/podman rm --all --force >/dev/null; "$root"/podman volume prune --force >/dev/null; umount "$root"/graph/overlay 2>/dev/null || :`)
}

// readmeDockerfile is what the README tells to add to an image, after a PHP image.
func readmeDockerfile() (string, error) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(text), "```dockerfile\nCOPY --from=postern")
	part, _, found := strings.Cut(rest, "```")
	if !found {
		return "", errors.New("README.md has no COPY --from=postern")
	}
	return "FROM php:8-cli\nCOPY --from=postern" + part, nil
}

// script runs a shell script that has $root, at the top of the repository.
func script(text string) error {
	cmd := exec.Command("sh", "-ec", text)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "root="+root)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out[max(0, len(out)-4000):])
	}
	return nil
}
