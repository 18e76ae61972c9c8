//go:build integration

package integration

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// edit changes smarthost.toml as an editor does, owner and mode staying.
func (m *machine) edit(t *testing.T, expression string) {
	t.Helper()
	m.sh(t, "cp -p /etc/postern/smarthost.toml /tmp/before; sed -E -i '"+expression+"' /etc/postern/smarthost.toml; ! cmp -s /tmp/before /etc/postern/smarthost.toml")
}

// logged waits for a line about a recipient in the journal, from the service.
func (m *machine) logged(t *testing.T, to, transport string) {
	t.Helper()
	m.until(t, "journalctl -q -o cat _SYSTEMD_UNIT=postern.service _UID=$(id -u postern) _TRANSPORT="+transport+
		" SYSLOG_IDENTIFIER=postern/sendmail SYSLOG_FACILITY=2 | grep -c 'to=<"+to+">, relay=smarthost.test.*, status=sent '", "1")
}

// Each delivery is a line in the journal, by way of /dev/log or straight.
func systemdJournal(t *testing.T, m *machine) {
	m.logged(t, m.send(t, "alice", "syslog").recipient, "syslog")
	m.sh(t, "printf '[log]\nto = \"journal\"\n' >>/etc/postern/smarthost.toml; systemctl reload postern.service")
	m.until(t, "journalctl -q -o cat -u postern.service | grep -c 'log.: what has changed there comes into force when the service is restarted'", "1")
	m.sh(t, "systemctl restart postern.service")
	m.logged(t, m.send(t, "alice", "journal").recipient, "journal")
}

// systemctl reload takes what is right into force, and nothing that is wrong.
func systemdReload(t *testing.T, m *machine) {
	pid := m.sh(t, "systemctl show -p MainPID --value postern.service")
	m.edit(t, `s/^host .*/&\nhots = 1/`)
	m.sh(t, "systemctl reload postern.service")
	m.until(t, "journalctl -q -o cat -u postern.service | grep -c 'the old configuration stays in force: .*hots'", "1")
	m.send(t, "alice", "wrong")
	m.edit(t, "/^hots/d; s/^from .*/from = \"other@client.example\"/")
	m.sh(t, "systemctl reload postern.service")
	if got := m.send(t, "alice", "right"); got.sender != "other@client.example" {
		t.Errorf("sender %q", got.sender)
	}
	m.until(t, "systemctl show -p MainPID --value postern.service", pid)
}

// The service is heard from in time; one that hangs is replaced.
func systemdWatchdog(t *testing.T, m *machine) {
	m.sh(t, "mkdir -p /run/systemd/system/postern.service.d; printf '[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\nRestartSec=0\n' >/run/systemd/system/postern.service.d/test.conf; "+
		"systemctl daemon-reload; systemctl restart postern.service")
	const show = "systemctl show --value -p %s postern.service"
	last := ""
	for range 3 { // it lives longer than it may be silent
		now := m.sh(t, "t0='"+last+"'; for i in $(seq 100); do t=$("+fmt.Sprintf(show, "WatchdogTimestampMonotonic")+"); [ \"$t\" != \"$t0\" ] && break; sleep .1; done; echo $t")
		if now == last {
			t.Fatalf("not heard from since %s", now)
		}
		last = now
	}
	m.until(t, fmt.Sprintf(show, "NRestarts"), "0")
	m.sh(t, "kill -STOP $("+fmt.Sprintf(show, "MainPID")+")")
	m.until(t, fmt.Sprintf(show, "NRestarts -p ActiveState"), "1\nactive")
	m.send(t, "alice", "after")
	m.sh(t, "rm -r /run/systemd/system/postern.service.d; systemctl daemon-reload; systemctl restart postern.service")
}

// dialogue is a caller of the service in the midst of a message.
func (m *machine) dialogue(t *testing.T, to string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("unix", fmt.Sprintf("/proc/%d/root/run/postern/submit.sock", m.pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for _, step := range [][2]string{{"", "220 "}, {"HELO x\r\n", "250 "}, {"MAIL FROM:<alice>\r\n", "250 "}, {"RCPT TO:<" + to + ">\r\n", "250 "}, {"DATA\r\n", "354 "}} {
		fmt.Fprint(c, step[0])
		if answer, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(answer, step[1]) {
			t.Fatalf("%q: %q %v", step[0], answer, err)
		}
	}
	return c, r
}

// systemctl stop waits for a message that is under way, takes no other, and
// leaves nothing behind: who calls after it starts the service again.
func systemdStop(t *testing.T, m *machine) {
	to := mailbox(t, "to")
	c, r := m.dialogue(t, to)
	fmt.Fprint(c, "Subject: x\r\n\r\nfirst\r\n")
	m.sh(t, "systemctl stop --no-block postern.service")
	m.until(t, "systemctl is-active postern.service", "deactivating")
	fmt.Fprint(c, "second\r\n.\r\n")
	if answer, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(answer, "250 ") {
		t.Fatalf("%q %v", answer, err)
	}
	m.until(t, "systemctl is-active postern.service", "inactive")
	m.until(t, "systemctl show -p Result -p ExecMainStatus --value postern.service", "success\n0")
	m.send(t, "alice", "next")
	if got := waitFor(t, to); got.body() != "first\nsecond\n" {
		t.Errorf("body %q", got.body())
	}
}

// Sixty callers while the service is restarted: each is served, and once.
func systemdLoad(t *testing.T, m *machine) {
	const callers = 60
	to := func(i int) string { return mailbox(t, fmt.Sprint("n", i)) }
	m.sh(t, fmt.Sprintf("systemctl reset-failed postern.service; rm -f /tmp/wrong; for i in $(seq %d); do (printf 'Subject: x\n\nx\n' | "+
		"setpriv --reuid=alice --regid=alice --init-groups sendmail -i %s || echo $i $? >>/tmp/wrong)& done; "+
		"for i in 1 2 3; do systemctl restart postern.service; done; wait; ! cat /tmp/wrong", callers, strings.Replace(to(0), "n0.", "n$i.", 1)))
	var all []string
	for i := range callers {
		all = append(all, to(i+1))
	}
	m.once(t, all)
}

// A unit with no rights, no name in /etc/passwd, no network and no file to write.
func systemdSandbox(t *testing.T, m *machine) {
	to := mailbox(t, "to")
	got := m.as(t, "", "Subject: x\n\nbody\n", "systemd-run", "--quiet", "--wait", "--pipe", "-p", "NoNewPrivileges=yes", "-p", "DynamicUser=yes",
		"-p", "PrivateNetwork=yes", "-p", "ProtectSystem=strict", "-p", "CapabilityBoundingSet=", "-p", "SystemCallFilter=@system-service",
		"-p", "RestrictAddressFamilies=AF_UNIX", "-p", "MemoryDenyWriteExecute=yes", "sendmail", "-i", to)
	if got.status != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	has(t, "mail", waitFor(t, to).raw, "(postern, from u")
}

// Debian's cron mails what a job of an ordinary user says.
func systemdCron(t *testing.T, m *machine) {
	to := mailbox(t, "to")
	m.write(t, "/etc/crontab", "MAILTO="+to+"\n@reboot alice echo from the job of $(id -un)\n", 0o644)
	m.sh(t, "rm -rf /etc/cron.d /var/spool/cron/crontabs/* /run/crond.reboot; systemctl start cron.service")
	has(t, "body", waitFor(t, to).body(), "from the job of alice")
	m.sh(t, "systemctl stop cron.service; : >/etc/crontab")
}

// Where only root sends there is the timer, in place of the service. Its minutes
// are seconds here.
func systemdTimer(t *testing.T, m *machine) {
	m.sh(t, "systemctl disable --now postern.socket postern.service; mkdir -p /run/systemd/system/postern-queue.timer.d; "+
		"sed -n 's/=1min/=1s/p; s/=15s/=100ms/p; s/^.Timer.$/&\\nOnBootSec=/p' /usr/lib/systemd/system/postern-queue.timer >/run/systemd/system/postern-queue.timer.d/test.conf; systemctl daemon-reload")
	unit := read(t, "../../packaging/systemd/postern-queue.service")
	m.sh(t, after(t, unit, "# For hosts without postern.service: "))
	for _, name := range []string{"one", "two"} { // and not only once
		to := mailbox(t, name)
		m.sh(t, "printf 'Subject: x\n\nbody\n' | sendmail -odq -i "+to)
		waitFor(t, to)
	}
	m.until(t, "mailq; systemctl is-active postern-queue.timer; systemctl show -p Result --value postern-queue.service", "Mail queue is empty\nactive\nsuccess")
	m.sh(t, "systemctl disable --now postern-queue.timer; rm -r /run/systemd/system/postern-queue.timer.d; systemctl daemon-reload")

	// A user is told what his mail needs, and that helps.
	got := m.as(t, "alice", "Subject: x\n\nbody\n", "sendmail", "-i", mailbox(t, "none"))
	if got.status != 77 {
		t.Errorf("%+v", got)
	}
	hint, _, _ := strings.Cut(after(t, got.stderr, "(/run/postern/submit.sock): "), ", or ") // where there is no systemd
	m.sh(t, hint)
	m.send(t, "alice", "hint")
	m.sh(t, line(t, readme(t, "Configure", ""), "systemctl enable"))
}

// after is what a line of text says after a part of it.
func after(t *testing.T, text, part string) string {
	t.Helper()
	_, rest, _ := strings.Cut(line(t, text, part), part)
	return rest
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
