//go:build integration

package integration

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// apkEntry is a member of a package.
type apkEntry struct {
	*tar.Header
	text []byte
}

// apkStream takes the first gzip stream off a package; an apk is several, one
// after the other. It gives the members by name and the octets of the stream.
func apkStream(t *testing.T, packed *bytes.Reader) (map[string]apkEntry, []byte) {
	t.Helper()
	begin := packed.Size() - int64(packed.Len())
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	entries := map[string]apkEntry{}
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		entries[h.Name] = apkEntry{h, text}
	}
	if _, err := io.Copy(io.Discard, z); err != nil {
		t.Fatal(err)
	}
	octets := make([]byte, packed.Size()-int64(packed.Len())-begin)
	if _, err := packed.ReadAt(octets, begin); err != nil {
		t.Fatal(err)
	}
	return entries, octets
}

// apkFile is the apk in a directory of packages: its control and its data members.
func apkFile(t *testing.T, dir string) (control, data map[string]apkEntry) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(world.root, dir, "*.apk"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	packed := bytes.NewReader(text)
	control, _ = apkStream(t, packed)
	data, octets := apkStream(t, packed)
	if packed.Len() != 0 {
		t.Errorf("%d octets after the data", packed.Len())
	}
	sum := sha256.Sum256(octets)
	has(t, ".PKGINFO", string(control[".PKGINFO"].text), "\ndatahash = "+hex.EncodeToString(sum[:])+"\n")
	return control, data
}

// What apk reads: what the package is and asks for, and each file with its sum,
// its owner and its mode.
func TestAPKFormat(t *testing.T) {
	control, data := apkFile(t, "packages")
	if got := slices.Sorted(maps.Keys(control)); !slices.Equal(got, []string{".PKGINFO", ".post-install", ".pre-deinstall", ".pre-install"}) {
		t.Errorf("control: %q", got)
	}
	has(t, ".PKGINFO", string(control[".PKGINFO"].text), "pkgname = postern\n", "\npkgver = 0.0.0_git", "-r1\n", "\nlicense = MIT\n",
		"\ndepend = /bin/sh\n", "\ndepend = ca-certificates-bundle\n", "\ndepend = !postfix\n", "\ndepend = !ssmtp\n")
	for line := range strings.Lines(string(control[".PKGINFO"].text)) {
		if !strings.Contains(line, " = ") && line != "\n" {
			t.Errorf(".PKGINFO: no field: %q", line)
		}
	}
	for name, e := range data {
		if sum := sha1.Sum(e.text); e.Typeflag == tar.TypeReg && e.PAXRecords["APK-TOOLS.checksum.SHA1"] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: checksum %q", name, e.PAXRecords["APK-TOOLS.checksum.SHA1"])
		}
	}
	for name, want := range map[string]string{
		"usr/sbin/sendmail":          "root:root 755 ",
		"usr/bin/mailq":              "../sbin/sendmail",
		"usr/bin/newaliases":         "../sbin/sendmail",
		"usr/lib/sendmail":           "../sbin/sendmail",
		"etc/postern/smarthost.toml": "root:postern 640 ",
		"etc/init.d/postern":         "root:root 755 ",

		"usr/share/man/man8/sendmail.8.gz":             "root:root 644 ",
		"usr/share/doc/postern/README.md":              "root:root 644 ",
		"usr/share/doc/postern/examples/postmark.toml": "root:root 644 ",
	} {
		e, found := data[name]
		if !found {
			t.Errorf("%s is missing", name)
			continue
		}
		got := e.Linkname
		if e.Typeflag == tar.TypeReg {
			got = fmt.Sprintf("%s:%s %o ", e.Uname, e.Gname, e.Mode)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	has(t, "smarthost.toml", string(data["etc/postern/smarthost.toml"].text), "rc-service postern start")
}

// busyboxRoot has nothing but busybox. Debian's is without adduser and addgroup, so
// the user of the package is there already.
func busyboxRoot(t *testing.T) debian {
	t.Helper()
	root := filepath.Join(world.root, "alpine")
	_, err := script("/", `mkdir -p "$1"/bin "$1"/sbin "$1"/usr/bin "$1"/usr/sbin "$1"/etc "$1"/tmp "$1"/run "$1"/dev "$1"/proc "$1"/home/alice
		chmod 1777 "$1"/tmp; cp /bin/busybox "$1"/bin/
		for name in $(busybox --list); do ln -s busybox "$1"/bin/$name 2>/dev/null || :; done
		mknod -m 666 "$1"/dev/null c 1 3
		printf 'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\npostern:x:100:101::/var/spool/postern:/sbin/nologin\n' >"$1"/etc/passwd
		printf 'root:x:0:\nalice:x:1000:\npostern:x:101:\n' >"$1"/etc/group
		mount -t proc proc "$1"/proc`, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := script("/", `umount "$1"/proc`, root); err != nil {
			t.Error(err)
		}
	})
	return debian(root)
}

// unpackAPK does what apk does with the package.
func (d debian) unpackAPK(t *testing.T) {
	t.Helper()
	control, data := apkFile(t, "packages")
	scriptlet := func(name string) {
		if err := os.WriteFile(filepath.Join(string(d), "tmp", name), control[name].text, 0o755); err != nil {
			t.Fatal(err)
		}
		if said := d.ok(t, "/tmp/"+name); said != "" {
			t.Errorf("%s: %s", name, said)
		}
	}
	scriptlet(".pre-install")
	for _, name := range slices.Sorted(maps.Keys(data)) {
		e, to := data[name], filepath.Join(string(d), name)
		var err error
		switch e.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(to, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(e.Linkname, to)
		default:
			err = os.WriteFile(to, e.text, e.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Typeflag == tar.TypeReg {
			d.ok(t, "chown", e.Uname+":"+e.Gname, "/"+name)
		}
	}
	scriptlet(".post-install")
	scriptlet(".post-install") // again: apk runs it at "apk fix" too
	scriptlet(".pre-deinstall")
}

// Where there is nothing but busybox: the package's scripts run, an ordinary user
// sends through the service, and mailq shows what waits.
func TestAPK(t *testing.T) {
	d := busyboxRoot(t)
	d.unpackAPK(t)
	d.is(t, "stat -c '%U:%G %a' /var/spool/postern /var/spool/postern/queue /etc/postern/smarthost.toml", "postern:postern 2770\npostern:postern 2770\nroot:postern 640")
	d.configure(t)
	d.ok(t, "sh", "-c", "mkdir /run/postern; chown postern:postern /run/postern; sendmail --check; newaliases")
	service := exec.Command("chroot", "--userspec=postern:postern", string(d), "sh", "-c", "umask 007; exec /usr/sbin/sendmail -bD")
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		service.Process.Kill() //nolint:errcheck // a process that has ended already is fine
		service.Wait()         //nolint:errcheck // killed on purpose
	})
	for range 200 {
		if _, err := os.Stat(string(d) + "/run/postern/submit.sock"); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	to := mailbox(t, "apk")
	got := d.as(t, "alice", "", "sh", "-ec", "! cat /etc/postern/password 2>/dev/null; printf 'Subject: x\\n\\nfrom busybox\\n' | /usr/sbin/sendmail -i "+to)
	if got.status != 0 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	arrived := waitFor(t, to)
	has(t, "message", arrived.trace+arrived.body(), "Authenticated sender: "+accountName, "from busybox")
	if arrived.sender != "alice@client.example" {
		t.Errorf("sender %q", arrived.sender)
	}
	d.ok(t, "sh", "-c", "echo later | /usr/lib/sendmail -odq -i later@dest.example")
	if said := d.ok(t, "mailq"); !strings.Contains(said, "later@dest.example") {
		t.Error(said)
	}
}
