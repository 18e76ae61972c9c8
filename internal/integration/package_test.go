//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// packageFile is the package of a format.
func packageFile(t *testing.T, format string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(world.root, "packages", "*."+format))
	if err != nil || len(names) != 1 {
		t.Fatal(format, names, err)
	}
	return names[0]
}

// Two builds give the same octets, in another directory and with other times of
// the files too.
func TestPackagesReproducible(t *testing.T) {
	for _, format := range []string{"deb", "rpm", "apk"} {
		one := packageFile(t, format)
		a, err := os.ReadFile(one)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(world.root, "again", filepath.Base(one)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from build to build", format)
		}
	}
}

// lintian finds nothing that is not explained in packaging/lintian-overrides.
func TestLintian(t *testing.T) {
	got := run(t, "", "lintian", "--allow-root", "--fail-on", "error,warning", packageFile(t, "deb"))
	if got.status != 0 || got.stdout != "" {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
}

// debianRoot is this machine's Debian as a root of its own, without its mail
// transport.
func debianRoot(t *testing.T) string {
	t.Helper()
	root := overlayRoot(t)
	debian(root).ok(t, "dpkg", "--force-depends", "--purge", "postfix")
	return root
}

// overlayRoot is this machine's Debian as a root of its own: what is written to it
// goes to memory.
func overlayRoot(t *testing.T) string {
	t.Helper()
	base := filepath.Join(world.root, "debian")
	root := filepath.Join(base, "root")
	for _, dir := range []string{base, root} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount := func(what, where, kind string, flags uintptr, data string) {
		t.Helper()
		if err := unix.Mount(what, where, kind, flags, data); err != nil {
			t.Fatalf("mounting %s: %v", where, err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(where, unix.MNT_DETACH); err != nil {
				t.Error(where, err)
			}
		})
	}
	mount("tmpfs", base, "tmpfs", 0, "mode=755")
	for _, dir := range []string{root, base + "/upper", base + "/work"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount("overlay", root, "overlay", 0, "lowerdir=/,upperdir="+base+"/upper,workdir="+base+"/work")
	mount("proc", root+"/proc", "proc", 0, "")
	mount("/dev", root+"/dev", "", unix.MS_BIND|unix.MS_REC, "")
	mount("tmpfs", root+"/run", "tmpfs", 0, "mode=755")
	mount("tmpfs", root+"/tmp", "tmpfs", 0, "mode=1777")
	d := debian(root)
	// Nobody looks up manual pages here.
	d.ok(t, "sh", "-c", "rm -rf /var/lib/man-db/auto-update /etc/postern /var/spool/postern; printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d")
	d.ok(t, "useradd", "--create-home", "--shell", "/bin/sh", "alice")
	return root
}

// debian is such a root.
type debian string

// as runs a program as a user; "" is root.
func (d debian) as(t *testing.T, user, stdin string, arg ...string) outcome {
	t.Helper()
	if user != "" {
		// chroot takes the groups of the user from the root's own files.
		arg = append([]string{"--userspec=" + user, string(d)}, arg...)
	} else {
		arg = append([]string{string(d)}, arg...)
	}
	return run(t, stdin, "chroot", arg...)
}

// ok runs a program as root; it must succeed.
func (d debian) ok(t *testing.T, arg ...string) string {
	t.Helper()
	got := d.as(t, "", "", arg...)
	if got.status != 0 {
		t.Fatalf("%v: status %d\n%s%s", arg, got.status, got.stdout, got.stderr)
	}
	return got.stdout + got.stderr
}

// is fails the test unless a command of the shell prints want.
func (d debian) is(t *testing.T, script, want string) {
	t.Helper()
	if got := d.ok(t, "sh", "-c", script); strings.TrimSpace(got) != want {
		t.Errorf("%s: %q, want %q", script, strings.TrimSpace(got), want)
	}
}

// write puts a file into the root.
func (d debian) write(t *testing.T, name, text string, perm os.FileMode) {
	t.Helper()
	if err := put(filepath.Join(string(d), name), text, perm); err != nil {
		t.Fatal(err)
	}
}

// install puts the package into a new root, with a password for the submission
// port that only the service's group can read.
func install(t *testing.T) debian {
	t.Helper()
	d := debian(debianRoot(t))
	deb, err := os.ReadFile(packageFile(t, "deb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(string(d)+"/tmp/postern.deb", deb, 0o644); err != nil {
		t.Fatal(err)
	}
	d.ok(t, "dpkg", "--install", "/tmp/postern.deb")
	return d
}

// configure fills in smarthost.toml as an administrator would: the file keeps its
// owner and mode.
func (d debian) configure(t *testing.T) {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(world.root, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "/etc/postern/ca.pem", string(ca), 0o644)
	d.write(t, "/etc/postern/password", accountPassword+"\n", 0o640)
	d.ok(t, "chown", "root:postern", "/etc/postern/password")
	text := fmt.Sprintf("domain = \"client.example\"\n[log]\nto = \"none\"\n[smarthost]\nhost = \"127.0.0.1\"\nport = %d\ntls = \"starttls\"\n"+
		"server_name = \"smarthost.test\"\nca_file = \"ca.pem\"\nusername = %q\npassword_file = \"password\"\n[spool]\ndir = \"/var/spool/postern\"\n",
		portSubmission, accountName)
	d.write(t, "/etc/postern/smarthost.toml", text, 0o640)
}

// dpkg: what install, a second install, remove and purge leave.
func TestPackageLife(t *testing.T) {
	d := install(t)
	d.is(t, "stat -c '%U:%G %a' /etc/postern/smarthost.toml /var/spool/postern /var/spool/postern/queue /usr/sbin/sendmail",
		"root:postern 640\npostern:postern 2770\npostern:postern 2770\nroot:root 755")
	d.is(t, "readlink -f /usr/lib/sendmail /usr/bin/mailq /usr/bin/newaliases", "/usr/sbin/sendmail\n/usr/sbin/sendmail\n/usr/sbin/sendmail")
	d.is(t, "dpkg-query -W -f '${Status} ${Provides}' postern", "install ok installed mail-transport-agent")
	d.is(t, "dpkg --audit", "")
	has(t, "version", d.ok(t, "sendmail", "--version"), "postern 0", "commit ", "go1.")

	// Before it is filled in, it says what to do.
	got := d.as(t, "", "x\n", "sendmail", "-i", "a@dest.example")
	if got.status != 78 {
		t.Errorf("status %d", got.status)
	}
	has(t, "stderr", got.stderr, "smarthost.toml", `add host = "smtp.example.com" below [smarthost]`)

	d.configure(t)
	d.ok(t, "sendmail", "--check")
	d.ok(t, "sh", "-c", "echo kept | sendmail -odq -i later@dest.example; sendmail --health >/dev/null")
	// What belongs to the service and is not mail; purge must know each.
	d.is(t, "ls /var/spool/postern", "active\nfailed\nhealth.json\nhealth.log\nhold\nlive\nqueue\ntmp")
	before := d.ok(t, "mailq", "--json")
	d.ok(t, "dpkg", "--install", "/tmp/postern.deb")
	d.is(t, "grep -c submission.test /etc/postern/smarthost.toml; stat -c '%U:%G %a' /etc/postern/smarthost.toml", "0\nroot:postern 640")
	has(t, "config", d.ok(t, "cat", "/etc/postern/smarthost.toml"), "smarthost.test")
	if after := d.ok(t, "mailq", "--json"); after != before {
		t.Errorf("the queue changed: %s, was %s", after, before)
	}

	d.ok(t, "dpkg", "--force-depends", "--remove", "postern")
	d.is(t, "ls /usr/sbin/sendmail /usr/lib/sendmail /usr/bin/mailq 2>/dev/null; stat -c %a /etc/postern/smarthost.toml; ls /var/spool/postern/queue | wc -l", "640\n1")
	has(t, "purge", d.ok(t, "dpkg", "--force-depends", "--purge", "postern"), "mail was left in /var/spool/postern", "files of yours were left in /etc/postern")
	d.is(t, "ls /var/spool/postern/queue | wc -l; ls /etc/postern", "1\nca.pem\npassword")

	// Again, and with nothing left behind purge takes everything.
	d.ok(t, "sh", "-c", "rm -r /etc/postern /var/spool/postern/queue/*")
	d.ok(t, "dpkg", "--install", "/tmp/postern.deb")
	d.is(t, "stat -c '%U:%G %a' /etc/postern/smarthost.toml", "root:postern 640")
	d.ok(t, "dpkg", "--force-depends", "--purge", "postern")
	d.is(t, "ls -d /etc/postern /var/spool/postern /usr/share/doc/postern /usr/lib/systemd/system/postern* 2>/dev/null || true", "")
}

// The units say what systemd understands, name programs that are there, and stay
// as closed as they are.
func TestUnits(t *testing.T) {
	d := install(t)
	for _, unit := range []string{"postern.socket", "postern.service", "postern-queue.service", "postern-queue.timer"} {
		got := run(t, "", "systemd-analyze", "--root="+string(d), "--man=no", "verify", unit)
		if got.status != 0 || strings.Contains(got.stderr, "postern") {
			t.Errorf("%s: %+v", unit, got)
		}
	}
	for _, unit := range []string{"postern.service", "postern-queue.service"} {
		got := run(t, "", "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=16", filepath.Join(string(d), "usr/lib/systemd/system", unit))
		if got.status != 0 {
			t.Errorf("%s: more exposed than 1.6: %s", unit, tail([]byte(got.stdout), 200))
		}
	}
}

// The AppArmor profile is one that its parser takes, with what it includes.
func TestAppArmorProfile(t *testing.T) {
	const profile = "/usr/share/doc/postern/examples/apparmor/usr.sbin.sendmail"
	d := install(t)
	got := d.as(t, "", "", "apparmor_parser", "--skip-kernel-load", "--skip-cache", "--names", profile)
	if got.status != 0 || got.stdout != "postern\n" {
		t.Errorf("%+v", got)
	}
}
