//go:build vm

// Package vm shows what needs a kernel of its own: the AppArmor profile. It boots
// Debian's kernel in QEMU with this machine's Debian as a root that is not
// written to, installs the deb there, and runs [TestGuest] under systemd. It needs
// root on Debian with qemu-system-x86; the kernel is downloaded, not installed.
package vm

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// guestVar is set in the guest, mountVar in the second run of the tests on the host.
const guestVar, mountVar = "POSTERN_VM_GUEST", "POSTERN_VM_MOUNTS"

// firstInit is /init of the initial RAM disk, by busybox.
//
//go:embed init.sh
var firstInit []byte

// modules are what the kernel needs to see the host's files, in this order.
var modules = []string{"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
	"netfs", "fscache", "9pnet", "9pnet_virtio", "9p", "overlay"}

// done is what the guest says at its end, with the status of its tests.
const done = "guest ended with status "

// TestMain runs the tests where what they mount is theirs and goes with them.
func TestMain(m *testing.M) {
	if os.Getenv(guestVar) != "" || os.Getenv(mountVar) != "" {
		os.Exit(m.Run())
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cmd := exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "--", self}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), mountVar+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}

func TestAppArmor(t *testing.T) {
	dir := t.TempDir()
	cache := fetch(t)
	root := rootWithPackage(t, dir)
	image := ramDisk(t, dir, cache)
	kernels, err := filepath.Glob(cache + "/boot/vmlinuz-*")
	if err != nil || len(kernels) != 1 {
		t.Fatal(kernels, err)
	}
	accelerator := os.Getenv("POSTERN_VM_ACCEL")
	if accelerator == "" {
		accelerator = "tcg,thread=multi" // slow, and works everywhere
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", accelerator, "-cpu", "max", "-m", "1024", "-smp", "2",
		"-display", "none", "-serial", "stdio", "-no-reboot", "-net", "none", "-kernel", kernels[0], "-initrd", image,
		"-append", "console=ttyS0 quiet panic=-1 apparmor=1 security=apparmor",
		"-fsdev", "local,id=root,path="+root+",security_model=passthrough,readonly=on,multidevs=remap", "-device", "virtio-9p-pci,fsdev=root,mount_tag=root")
	var said bytes.Buffer
	cmd.Stdout = &said
	if testing.Verbose() {
		cmd.Stdout = io.MultiWriter(&said, os.Stdout)
	}
	cmd.Stderr = cmd.Stdout
	err = cmd.Run()
	text := strings.ReplaceAll(said.String(), "\r\n", "\n")
	if _, rest, _ := strings.Cut(text, done); err != nil || !strings.HasPrefix(rest, "0\n") {
		t.Fatalf("%v\n%s", err, text)
	}
}

// rootWithPackage is this machine's Debian below a layer of its own, with the
// package in the place of its mail transport. What the guest writes goes to
// another layer, in its memory.
func rootWithPackage(t *testing.T, dir string) string {
	t.Helper()
	sh(t, "../..", "FORMATS=deb DIST="+dir+"/deb sh packaging/package.sh")
	root := dir + "/root"
	t.Cleanup(func() { sh(t, dir, "umount --recursive root layer") })
	sh(t, dir, "mkdir root layer; mount -t tmpfs layer layer; mkdir layer/upper layer/work; "+
		"mount -t overlay overlay -o lowerdir=/,upperdir=layer/upper,workdir=layer/work root; "+
		"mount -t proc proc root/proc; mount --bind /dev root/dev; mount -t tmpfs run root/run; mount -t tmpfs tmp root/tmp; cp deb/*.deb root/tmp; "+
		"rm -rf root/var/lib/man-db/auto-update root/etc/postern root/var/spool/postern; printf '#!/bin/sh\nexit 101\n' >root/usr/sbin/policy-rc.d; chmod 755 root/usr/sbin/policy-rc.d; "+
		"chroot root sh -ec 'dpkg --force-depends --purge postfix; dpkg --install /tmp/*.deb; useradd --create-home --shell /bin/sh alice'; "+
		"umount root/proc root/dev root/run root/tmp; mkdir root/guest")
	sh(t, ".", "CGO_ENABLED=0 go test -c -tags vm -o "+root+"/guest/test .")
	return root
}

// fetch downloads the kernel and busybox, once, and gives where they are unpacked.
func fetch(t *testing.T) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "postern-vm")
	sh(t, ".", `[ ! -e `+dir+`/complete ] || exit 0
		rm -rf `+dir+`; mkdir -p `+dir+`; t=$(mktemp -d); trap 'rm -r "$t"' EXIT; cd "$t"
		apt-get download -q busybox-static "$(apt-cache depends linux-image-amd64 | sed -n 's/^  Depends: //p' | head -n 1)"
		for f in *.deb; do dpkg -x "$f" `+dir+`; done; touch `+dir+`/complete`)
	return dir
}

// ramDisk makes the first root, which mounts the second.
func ramDisk(t *testing.T, dir, cache string) string {
	t.Helper()
	root := filepath.Join(dir, "first")
	sh(t, ".", "mkdir -p "+root+"/bin "+root+"/modules; cp "+cache+"/bin/busybox "+root+"/bin")
	for i, name := range modules {
		to := fmt.Sprintf("%s/modules/%02d-%s.ko", root, i, name)
		sh(t, ".", "cp $(find "+cache+"/lib/modules -name "+name+".ko) "+to)
	}
	if err := os.WriteFile(root+"/init", firstInit, 0o755); err != nil {
		t.Fatal(err)
	}
	sh(t, root, "find . | "+cache+"/bin/busybox cpio -o -H newc 2>/dev/null | gzip -1 >../first.gz")
	return dir + "/first.gz"
}

// sh runs a script; it must succeed.
func sh(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}
