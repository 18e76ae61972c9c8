//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Versions from before and from after any of this tree's.
const (
	olderVersion = "0.0.0+git20200101.0123456"
	newerVersion = "99.1.0"
)

// buildPackages builds, before the network is gone, the packages of this tree in
// "packages", the same from a copy of the tree without git in "again", an older deb
// in "older", and a later rpm and apk with another smarthost.toml in "newer".
func buildPackages(root string) error {
	const top = "../.."
	if err := buildPackage(top, filepath.Join(root, "packages")); err != nil {
		return err
	}
	err := buildPackage(top, filepath.Join(root, "older"), "FORMATS=deb", "PKG_VERSION="+olderVersion, "COMMIT=0123456789ab")
	if err != nil {
		return err
	}
	copied := filepath.Join(root, "tree")
	if err := os.Mkdir(copied, 0o755); err != nil {
		return err
	}
	if _, err := script(top, `git ls-files -z | tar -c --null -T - | tar -xmC "$1"`, copied); err != nil {
		return err
	}
	same, err := script(top, `echo "PKG_VERSION=$(sh packaging/version.sh)
		COMMIT=$(git rev-parse --short=12 HEAD)
		SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)"`)
	if err != nil {
		return err
	}
	if err := buildPackage(copied, filepath.Join(root, "again"), strings.Fields(same)...); err != nil {
		return err
	}
	if _, err := script(copied, `echo "# Of the later version." >>packaging/smarthost.toml`); err != nil {
		return err
	}
	return buildPackage(copied, filepath.Join(root, "newer"), append(strings.Fields(same), "PKG_VERSION="+newerVersion, "FORMATS=rpm apk")...)
}

func buildPackage(tree, dist string, env ...string) error {
	_, err := script(tree, `env DIST="$@" sh packaging/package.sh`, append([]string{dist}, env...)...)
	return err
}

// script runs a script in a directory and gives what it prints.
func script(dir, text string, arg ...string) (string, error) {
	cmd := exec.Command("sh", append([]string{"-ec", text, "sh"}, arg...)...)
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", text, err, out, said.String())
	}
	return string(out), nil
}

// bring puts the package of a format into the root.
func (d debian) bring(t *testing.T, dir, format, to string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(world.root, dir, "*."+format))
	if err != nil || len(found) != 1 {
		t.Fatal(dir, format, found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(string(d), to), text, 0o644); err != nil {
		t.Fatal(err)
	}
}
