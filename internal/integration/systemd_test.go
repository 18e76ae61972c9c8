//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The package as README.md has it installed, under systemd: each step goes on
// from where the one before it left the machine.
func TestSystemd(t *testing.T) {
	d := debian(overlayRoot(t))
	d.bare(t)
	m := d.boot(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *machine)
	}{
		{"Install", systemdInstall},
		{"Configure", systemdConfigure},
		{"Socket", systemdSocket},
		{"Journal", systemdJournal},
		{"Reload", systemdReload},
		{"Watchdog", systemdWatchdog},
		{"Stop", systemdStop},
		{"Load", systemdLoad},
		{"Sandbox", systemdSandbox},
		{"Cron", systemdCron},
		{"Timer", systemdTimer},
		{"Hardened", systemdHardened},
		{"SFTP", systemdSFTP},
		{"Reboot", systemdReboot},
		{"Upgrade", systemdUpgrade},
		{"Downgrade", systemdDowngrade},
		{"UpgradeWrong", systemdUpgradeWrong},
		{"Remove", systemdRemove},
		{"Purge", systemdPurge},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, m) }) {
			return // the steps after it would tell nothing
		}
	}
}

// readme gives what stands in a section of README.md: the commands, which are
// indented, or its fenced blocks of a language.
func readme(t *testing.T, section, fence string) string {
	t.Helper()
	_, part, _ := strings.Cut(read(t, "../../README.md"), "\n## "+section+"\n")
	part, _, _ = strings.Cut(part, "\n## ")
	var found strings.Builder
	inside := ""
	for l := range strings.Lines(part) {
		switch {
		case strings.HasPrefix(l, "```") && inside == "":
			inside = strings.TrimSpace(l)
		case strings.HasPrefix(l, "```"):
			inside = ""
		case inside != "" && inside == fence, inside == "" && fence == "" && strings.HasPrefix(l, "    "):
			found.WriteString(l)
		}
	}
	if found.Len() == 0 {
		t.Fatalf("README.md has nothing of %q below %q", fence, section)
	}
	return found.String()
}

// line is the line of text that contains part.
func line(t *testing.T, text, part string) string {
	t.Helper()
	for l := range strings.Lines(text) {
		if strings.Contains(l, part) {
			return strings.TrimSpace(l)
		}
	}
	t.Fatalf("no line with %q in\n%s", part, text)
	return ""
}

// own puts into an example of README.md what is true here.
var own = strings.NewReplacer("smtp.example.com", "smarthost.test", "web1@example.com", accountName, "web1.example.com", "client.example")

// put copies a package built here to where README.md finds it.
func (m *machine) put(t *testing.T, dist string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(world.root, dist, "*.deb"))
	if err != nil || len(names) != 1 {
		t.Fatal(dist, names, err)
	}
	deb, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	m.sh(t, "rm -rf /root/dist; mkdir /root/dist")
	if err := os.WriteFile(filepath.Join(string(m.debian), "root/dist", filepath.Base(names[0])), deb, 0o644); err != nil {
		t.Fatal(err)
	}
}

// README.md, "Install": apt takes another mail transport away, and nothing starts.
func systemdInstall(t *testing.T, m *machine) {
	m.put(t, "older")
	apt := line(t, readme(t, "Install", ""), "apt install")
	if got := m.as(t, "", "y\n", "sh", "-ec", "cd /root; "+apt); got.status != 0 {
		t.Fatalf("%s: %+v", apt, got)
	}
	m.until(t, "dpkg-query -W -f '${Package} ${Status}\n' postern postfix", "postern install ok installed\npostfix deinstall ok config-files")
	for _, unit := range []string{"postern.socket", "postern.service", "postern-queue.timer"} {
		if got := m.as(t, "", "", "systemctl", "is-active", unit).stdout + m.as(t, "", "", "systemctl", "is-enabled", unit).stdout; got != "inactive\ndisabled\n" {
			t.Errorf("%s: %q", unit, got)
		}
	}
}

// README.md, "Configure", line by line.
func systemdConfigure(t *testing.T, m *machine) {
	ca, err := os.ReadFile(filepath.Join(world.root, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	m.write(t, "/usr/local/share/ca-certificates/test.crt", string(ca), 0o644)
	m.sh(t, "cat /usr/local/share/ca-certificates/test.crt >>/etc/ssl/certs/ca-certificates.crt")
	m.write(t, "/etc/postern/smarthost.toml", own.Replace(readme(t, "Configure", "```toml")), 0o640)
	to := mailbox(t, "to")
	for command := range strings.Lines(readme(t, "Configure", "")) {
		if strings.Contains(command, "--import") {
			continue // it is for those who come from another program
		}
		command = strings.ReplaceAll(command, "you@example.com", to)
		if got := m.as(t, "", accountPassword+"\n", "sh", "-ec", command); got.status != 0 {
			t.Fatalf("%s: %+v", command, got)
		}
	}
	has(t, "trace", waitFor(t, to).trace, "Authenticated sender: "+accountName)
	m.until(t, "systemctl is-active postern.socket postern.service; systemctl is-enabled postern.socket postern.service", "active\nactive\nenabled\nenabled")
	m.until(t, "stat -c '%U:%G %a' /etc/postern/smarthost.toml /etc/postern/password /run/postern/submit.sock", "root:postern 640\nroot:postern 640\npostern:postern 666")
}

// send sends a message as a user and waits until it has arrived.
func (m *machine) send(t *testing.T, user, name string) stored {
	t.Helper()
	to := mailbox(t, name)
	if got := m.as(t, user, "Subject: x\n\nbody\n", "sendmail", "-i", to); got.status != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	return waitFor(t, to)
}

// The mail of a user who cannot read the password starts the service.
func systemdSocket(t *testing.T, m *machine) {
	m.sh(t, "systemctl stop postern.service")
	m.until(t, "systemctl is-active postern.service postern.socket", "inactive\nactive")
	if got := m.as(t, "alice", "", "cat", "/etc/postern/smarthost.toml"); got.status == 0 {
		t.Fatal("alice reads smarthost.toml")
	}
	got := m.send(t, "alice", "to")
	has(t, "mail", got.trace+got.raw, "Authenticated sender: "+accountName, "from user alice, uid ")
	m.until(t, "systemctl is-active postern.service", "active")
}
