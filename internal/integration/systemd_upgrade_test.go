//go:build integration

package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// queueOf gives the ids of all that waits.
func (m *machine) queueOf(t *testing.T) string {
	t.Helper()
	return m.sh(t, "mailq --json | sed -E 's/.*\"id\":\"([a-z0-9]+)\".*/\\1/' | sort")
}

// fresh fails the test unless the service that runs is the program that is
// installed, and of the version.
func (m *machine) fresh(t *testing.T, version string) {
	t.Helper()
	has(t, "--version", m.sh(t, "sendmail --version"), "postern "+version)
	m.until(t, "systemctl is-active postern.socket postern.service; cmp /proc/$(systemctl show -p MainPID --value postern.service)/exe /usr/sbin/sendmail && echo same", "active\nactive\nsame")
}

// Mail waits, callers come, and the package is upgraded: nobody notices, the
// administrator is asked nothing, and the new program answers from then on.
func systemdUpgrade(t *testing.T, m *machine) {
	m.fresh(t, olderVersion)
	m.edit(t, `s/^host .*/# mine\n&\nport = 1/`)
	m.sh(t, "systemctl reload postern.service")
	var waiting []string
	for _, user := range []string{"alice", ""} {
		to := mailbox(t, "waiting"+user)
		if got := m.as(t, user, "Subject: x\n\nbody\n", "sendmail", "-i", to); got.status != 0 {
			t.Fatalf("%+v", got)
		}
		waiting = append(waiting, to)
	}
	const look = "sha256sum /etc/postern/*; stat -c '%n %U:%G %a' /etc/postern /etc/postern/* /var/spool/postern /var/spool/postern/*/"
	config, queue := m.sh(t, look), m.queueOf(t)

	m.put(t, "packages")
	to := mailbox(t, "n0")
	said := m.sh(t, fmt.Sprintf("cd /root; rm -f /tmp/done /tmp/wrong /tmp/sent; (n=0; until [ -e /tmp/done ] && [ $n -gt 20 ]; do n=$((n+1)); "+
		"printf 'Subject: x\n\nx\n' | setpriv --reuid=alice --regid=alice --init-groups sendmail -i %s || echo $n $? >>/tmp/wrong; echo $n >/tmp/sent; sleep .05; done)& "+
		"%s </dev/null 2>&1; touch /tmp/done; wait", strings.Replace(to, "n0.", "n$n.", 1), line(t, readme(t, "Install", ""), "apt install")))
	hasNot(t, "apt", said, "Configuration file", "conffile", "error", "fail")
	if wrong := m.sh(t, "cat /tmp/wrong 2>/dev/null || true"); wrong != "" {
		t.Errorf("callers had: %s", wrong)
	}
	version := m.sh(t, "dpkg-query -W -f '${Version}' postern")
	if strings.Contains(version, olderVersion) {
		t.Fatalf("%s\n%s", version, said)
	}
	m.fresh(t, strings.TrimSuffix(version, "-1"))
	if got := m.sh(t, look); got != config {
		t.Errorf("%s\nwas\n%s", got, config)
	}
	for id := range strings.Lines(queue) {
		has(t, "queue", m.queueOf(t), strings.TrimSpace(id))
	}
	m.edit(t, "/^port = 1$/d")
	m.sh(t, "systemctl reload postern.service; mailq --retry all")
	for n := range atoi(t, m.sh(t, "cat /tmp/sent")) {
		waiting = append(waiting, strings.Replace(to, "n0.", fmt.Sprint("n", n+1, "."), 1))
	}
	t.Logf("%d callers during the upgrade", len(waiting)-2)
	m.once(t, waiting)
}

// once waits, at most 30 s, until each has his message and nothing is left, and
// fails the test if one has two.
func (m *machine) once(t *testing.T, recipients []string) {
	t.Helper()
	for range 300 {
		copies := copiesOf(t)
		if !slices.ContainsFunc(recipients, func(to string) bool { return copies[to] == 0 }) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	m.until(t, "mailq", "Mail queue is empty")
	copies := copiesOf(t)
	for _, to := range recipients {
		if copies[to] != 1 {
			t.Errorf("%s has %d", to, copies[to])
		}
	}
}

// copiesOf counts the messages that each recipient has.
func copiesOf(t *testing.T) map[string]int {
	copies := map[string]int{}
	for _, s := range storedIn(t, world.mail+"/inbox/new") {
		copies[s.recipient]++
	}
	return copies
}

func atoi(t *testing.T, text string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(text, err)
	}
	return n
}

// The way back works as well.
func systemdDowngrade(t *testing.T, m *machine) {
	m.put(t, "older")
	m.sh(t, "dpkg --install /root/dist/*.deb")
	m.fresh(t, olderVersion)
	m.send(t, "alice", "older")
}

// A smarthost.toml that is wrong stops the service, not dpkg.
func systemdUpgradeWrong(t *testing.T, m *machine) {
	m.edit(t, `s/^host .*/&\nhots = 1/`)
	m.put(t, "packages")
	said := m.sh(t, "dpkg --install /root/dist/*.deb 2>&1")
	has(t, "dpkg", said, "postern.service")
	m.until(t, "dpkg-query -W -f '${Status}' postern; dpkg --audit", "install ok installed")
	m.edit(t, "/^hots/d")
	m.sh(t, line(t, readme(t, "Configure", ""), "systemctl enable"))
	m.send(t, "alice", "mended")
}

// remove keeps mail and configuration; what comes after it finds both again.
func systemdRemove(t *testing.T, m *machine) {
	m.edit(t, `s/^host .*/&\nport = 1/`)
	m.sh(t, "systemctl reload postern.service")
	to := mailbox(t, "kept")
	if got := m.as(t, "alice", "Subject: x\n\nbody\n", "sendmail", "-i", to); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	before := m.sh(t, "cat /etc/postern/smarthost.toml")
	m.sh(t, "dpkg --force-depends --remove postern")
	m.until(t, "pgrep -u postern | wc -l; ls /run/postern 2>/dev/null | wc -l; find /etc/systemd -name '*postern*' | wc -l; systemctl list-units --all --no-legend '*postern*' | wc -l", "0\n0\n0\n0")
	m.until(t, "find /var/spool/postern/queue /var/spool/postern/active -type f | wc -l; ls /etc/postern", "1\npassword\nsmarthost.toml")

	m.sh(t, "dpkg --install /root/dist/*.deb")
	if got := m.sh(t, "cat /etc/postern/smarthost.toml"); got != before {
		t.Errorf("%s\nwas\n%s", got, before)
	}
	m.until(t, "stat -c '%U:%G %a' /etc/postern/smarthost.toml; systemctl is-enabled postern.service postern.socket", "root:postern 640\ndisabled\ndisabled")
	m.edit(t, "/^port = 1$/d")
	m.sh(t, line(t, readme(t, "Configure", ""), "systemctl enable")+"\nmailq --retry all") // the line may end with a comment
	m.once(t, []string{to})
}

// purge takes all that is ours, says what is not, and never takes mail.
func systemdPurge(t *testing.T, m *machine) {
	to := mailbox(t, "kept")
	m.sh(t, "systemctl stop postern.service postern.socket; printf 'Subject: x\n\nbody\n' | sendmail -odq -i "+to)
	m.sh(t, "dpkg --listfiles postern >/tmp/files")
	said := m.sh(t, "dpkg --force-depends --purge postern 2>&1")
	has(t, "purge", said, "mail was left in /var/spool/postern", "files of yours were left in /etc/postern", "the user postern was left")
	m.until(t, "grep -l "+to+" /var/spool/postern/queue/* | wc -l; ls /etc/postern", "1\npassword")

	// With the mail gone and the password, nothing is left of another purge.
	m.sh(t, "rm /var/spool/postern/queue/* /etc/postern/password; dpkg --install /root/dist/*.deb; dpkg --force-depends --purge postern")
	m.until(t, "wc -l </tmp/files | grep -c '^[3-9].$'; for f in $(grep postern /tmp/files) /usr/sbin/sendmail /usr/lib/sendmail /usr/bin/mailq; do [ ! -e $f ] || echo $f; done; "+
		"find /etc /run /var/spool /var/lib /var/cache -xdev -name '*postern*'; systemctl list-units --all --no-legend '*postern*'", "1")
}
