//go:build integration

package integration

import "testing"

// What a Red Hat system has and the package asks for, under Debian's names: its
// update-alternatives takes what the scripts say to Red Hat's.
const rpmBase = `
	Name: base
	Version: 1
	Release: 1
	Summary: What the package asks of the system
	License: MIT
	BuildArch: noarch
	Provides: /usr/sbin/update-alternatives shadow-utils
	%description
	None.
	%files
`

// installRPM puts the rpm into a new root that has an rpm database of its own. The
// later version is there as /tmp/newer.rpm.
func installRPM(t *testing.T) debian {
	t.Helper()
	d := debian(debianRoot(t))
	d.bring(t, "packages", "rpm", "/tmp/postern.rpm")
	d.bring(t, "newer", "rpm", "/tmp/newer.rpm")
	d.write(t, "/tmp/base.spec", rpmBase, 0o644)
	d.ok(t, "sh", "-ec", "rm -rf /var/lib/rpm; rpmbuild --quiet -bb --define '_rpmdir /tmp' /tmp/base.spec")
	d.rpm(t, "--install", "/tmp/noarch/base-1-1.noarch.rpm")
	d.rpm(t, "--install", "/tmp/postern.rpm")
	return d
}

// rpm runs rpm, which must succeed and give no warning.
func (d debian) rpm(t *testing.T, arg ...string) {
	t.Helper()
	got := d.as(t, "", "", append([]string{"rpm", "--force-debian"}, arg...)...)
	if got.status != 0 || got.stderr != "" {
		t.Fatalf("rpm %v: %+v", arg, got)
	}
}

// rpm: the package is what others depend on, everybody sends, and upgrade and erase
// leave no surprise.
func TestRPM(t *testing.T) {
	d := installRPM(t)
	d.is(t, "rpm --verify postern", "")
	d.is(t, "rpm -q --provides postern | grep -v ^postern", "MTA\nsmtpdaemon\nserver(smtp)\n/usr/sbin/sendmail\n/usr/lib/sendmail\n/usr/bin/mailq\n/usr/bin/newaliases")
	d.is(t, "rpm -q --requires postern | grep -v ^rpmlib", "/usr/sbin/update-alternatives\nshadow-utils")
	d.is(t, "rpm -q --docfiles postern | grep -c -e /man/ -e README -e changelog -e copyright", "7")
	d.is(t, "id -gn postern; getent passwd postern | cut -d: -f6-", "postern\n/var/spool/postern:/sbin/nologin")
	d.is(t, "stat -c '%U:%G %a' /etc/postern /etc/postern/smarthost.toml /var/spool/postern /var/spool/postern/queue /usr/sbin/sendmail.postern",
		"root:root 755\nroot:postern 640\npostern:postern 2770\npostern:postern 2770\nroot:root 755")
	d.is(t, rpmLinks, rpmLinksOurs)
	for _, unit := range []string{"postern.socket", "postern.service", "postern-queue.service", "postern-queue.timer"} {
		if got := run(t, "", "systemd-analyze", "--root="+string(d), "--man=no", "verify", unit); got.status != 0 {
			t.Errorf("%s: %+v", unit, got)
		}
	}
	d.configure(t)
	d.serve(t)
	to := mailbox(t, "rpm")
	if got := d.as(t, "alice", "Subject: x\n\nbody\n", "sendmail", "-i", to); got.status != 0 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	if got := waitFor(t, to); got.sender != "alice@client.example" {
		t.Errorf("sender %q", got.sender)
	}
	t.Run("Upgrade", func(t *testing.T) { rpmUpgrade(t, d) })
	t.Run("Beside", func(t *testing.T) { rpmBeside(t, d) })
	t.Run("Erase", func(t *testing.T) { rpmErase(t, d) })
}

const (
	rpmLinks = "readlink -f /usr/sbin/sendmail /usr/lib/sendmail /usr/bin/mailq /usr/bin/newaliases " +
		"/usr/share/man/man8/sendmail.8.gz /usr/share/man/man1/mailq.1.gz /usr/share/man/man1/newaliases.1.gz"
	rpmLinksOurs = "/usr/sbin/sendmail.postern\n/usr/sbin/sendmail.postern\n/usr/sbin/sendmail.postern\n/usr/sbin/sendmail.postern\n" +
		"/usr/share/man/man8/sendmail.postern.8.gz\n/usr/share/man/man1/mailq.postern.1.gz\n/usr/share/man/man1/newaliases.postern.1.gz"
)

// A later version keeps the administrator's file beside its own, the links, and
// the mail that waits.
func rpmUpgrade(t *testing.T, d debian) {
	d.ok(t, "sh", "-c", "echo kept | sendmail -odq -i later@dest.example")
	before := d.ok(t, "mailq", "--json")
	got := d.as(t, "", "", "rpm", "--force-debian", "--upgrade", "/tmp/newer.rpm")
	if got.status != 0 {
		t.Fatalf("%+v", got)
	}
	has(t, "rpm", got.stdout+got.stderr, "/etc/postern/smarthost.toml.rpmnew")
	d.is(t, "rpm -q postern --qf '%{version}'; sendmail --version | cut -d' ' -f2", newerVersion+newerVersion)
	d.is(t, "grep -c smarthost.test /etc/postern/smarthost.toml; stat -c '%U:%G %a' /etc/postern/smarthost.toml*", "1\nroot:postern 640\nroot:postern 640")
	d.is(t, "rpm --verify postern || true", "S.5....T.  c /etc/postern/smarthost.toml")
	d.is(t, rpmLinks, rpmLinksOurs)
	if after := d.ok(t, "mailq", "--json"); after != before {
		t.Errorf("the queue changed: %s, was %s", after, before)
	}
}

// Beside Postfix, which Red Hat gives a higher priority, the administrator chooses,
// and an upgrade leaves the choice alone.
func rpmBeside(t *testing.T, d debian) {
	d.ok(t, "sh", "-ec", "cp /bin/true /usr/sbin/sendmail.postfix; cp /bin/true /usr/bin/mailq.postfix")
	d.ok(t, "update-alternatives", "--install", "/usr/sbin/sendmail", "mta", "/usr/sbin/sendmail.postfix", "60",
		"--slave", "/usr/bin/mailq", "mta-mailq", "/usr/bin/mailq.postfix")
	again := func() { t.Helper(); d.ok(t, "rpm", "--upgrade", "--replacepkgs", "/tmp/newer.rpm") }
	again()
	d.is(t, "readlink -f /usr/sbin/sendmail /usr/bin/mailq", "/usr/sbin/sendmail.postfix\n/usr/bin/mailq.postfix")
	d.ok(t, "update-alternatives", "--set", "mta", "/usr/sbin/sendmail.postern")
	again()
	d.is(t, rpmLinks, rpmLinksOurs)
}

// Erase takes everything but the mail, the administrator's file, and what is
// another's.
func rpmErase(t *testing.T, d debian) {
	got := d.as(t, "", "", "rpm", "--force-debian", "--erase", "postern")
	if got.status != 0 {
		t.Fatalf("%+v", got)
	}
	has(t, "rpm", got.stdout+got.stderr, "/etc/postern/smarthost.toml.rpmsave")
	d.is(t, "readlink -f /usr/sbin/sendmail /usr/bin/mailq; ls /usr/lib/sendmail /usr/sbin/*postern* /usr/share/man/man8/sendmail* 2>/dev/null || true", "/usr/sbin/sendmail.postfix\n/usr/bin/mailq.postfix")
	d.is(t, "ls /etc/postern; ls /var/spool/postern/queue | wc -l", "ca.pem\npassword\nsmarthost.toml.rpmnew\nsmarthost.toml.rpmsave\n1")
	d.is(t, "find /etc /usr /var/lib /var/spool -name '*postern*' | sort", "/etc/postern\n/var/spool/postern")
}
