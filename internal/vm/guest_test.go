//go:build vm

package vm

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/smtptest"
)

const (
	account  = "app@guest.example"
	password = "p\"ä ss"
)

// TestGuest is the part in the guest: mail goes every way under the profile, the
// kernel has refused nothing, and what the profile is there to refuse it does.
func TestGuest(t *testing.T) {
	if os.Getenv(guestVar) == "" {
		t.Skip("it runs in the guest of TestAppArmor")
	}
	// As the profile says.
	sh(t, "/", "sysctl -q kernel.printk_ratelimit=0; mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security; cp /usr/share/doc/postern/examples/apparmor/usr.sbin.sendmail /etc/apparmor.d/usr.sbin.sendmail; "+
		"apparmor_parser -r /etc/apparmor.d/usr.sbin.sendmail; grep -q '^postern (enforce)$' /sys/kernel/security/apparmor/profiles")
	sink := smarthost(t)
	sh(t, "/", "systemctl enable --now postern.socket postern.service")
	if got := sh(t, "/", "cat /proc/$(systemctl show -p MainPID --value postern.service)/attr/current"); got != "postern (enforce)" {
		t.Fatalf("the service is %q", got)
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) { sent(t, sink, way.script) })
	}
	if text := denied(t); text != "" {
		t.Errorf("the kernel has refused:\n%s", text)
	}
	for _, c := range forbidden {
		if out, err := exec.Command("sh", "-ec", c.script).CombinedOutput(); err == nil {
			t.Errorf("%s: works: %s", c.script, out)
		}
		if text := denied(t); !strings.Contains(text, c.denied) {
			t.Errorf("%s: %q is missing in\n%s", c.script, c.denied, text)
		}
	}
}

// smarthost is a sink with TLS and a login, and the configuration for it.
func smarthost(t *testing.T) *smtptest.Sink {
	ca, err := smtptest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Server("smarthost.test")
	if err != nil {
		t.Fatal(err)
	}
	sink := smtptest.NewSink(t, smtptest.SinkOptions{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Accounts: map[string]string{account: password}})
	text := fmt.Sprintf("domain = \"guest.example\"\naliases = \"/etc/aliases\"\n[smarthost]\nhost = \"smarthost.test\"\nport = %d\ntls = \"starttls\"\nca_file = \"ca.pem\"\n"+
		"username = %q\npassword_file = \"password\"\n[spool]\ndir = \"/var/spool/postern\"\n", sink.Port(), account)
	for name, text := range map[string]string{"/etc/postern/ca.pem": string(ca.PEM()), "/etc/postern/password": password + "\n", "/etc/postern/smarthost.toml": text,
		"/etc/aliases": "ops: ops@dest.example\n"} {
		if err := os.WriteFile(name, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	sh(t, "/", "chgrp postern /etc/postern/*; chmod 644 /etc/aliases /etc/postern/ca.pem")
	return sink
}

const as = "setpriv --reuid=alice --regid=alice --init-groups "
const message = "printf 'Subject: x\\n\\nbody\\n' | "
const large = "(echo; yes 0123456789 | head -n 300000) | "

// ways are how mail goes; @@ stands for the recipient.
var ways = []struct{ name, script string }{
	{"root", message + "sendmail -i @@"},
	{"verbose", message + "sendmail -v -i @@"},
	{"root, large", large + "sendmail -i @@"},
	{"user", message + as + "sendmail -i @@"},
	{"user, large", large + as + "sendmail -i @@"},
	{"user, in detail", message + as + "sendmail -i -v @@"},
	{"user, SMTP", "printf 'EHLO x\\r\\nMAIL FROM:<alice>\\r\\nRCPT TO:<@@>\\r\\nDATA\\r\\n\\r\\nx\\r\\n.\\r\\nQUIT\\r\\n' | " + as + "sendmail -bs"},
	{"SMTP", "printf 'EHLO x\\r\\nMAIL FROM:<root>\\r\\nRCPT TO:<@@>\\r\\nDATA\\r\\n\\r\\nx\\r\\n.\\r\\nQUIT\\r\\n' | sendmail -bs"},
	{"background", message + "sendmail -odb -i @@"},
	{"queue run", message + "sendmail -odq -i @@; sendmail -q"},
	{"queue unit", "systemctl stop postern.service; " + message + "sendmail -odq -i @@; systemctl start postern-queue.service"},
	{"from a file", "printf '\\nx\\n' >/root/letter; sendmail -i @@ </root/letter; rm /root/letter"},
	{"user's file", "printf '\\nx\\n' >/home/alice/letter; cd /home/alice; " + as + "sh -c 'sendmail -i @@ <letter >/tmp/said 2>&1'; rm letter"},
	{"reload", "systemctl restart postern.service; systemctl reload postern.service; " + message + as + "sendmail -i @@"},
	{"PHP", "setpriv --reuid=www-data --regid=www-data --init-groups php -r 'exit(mail(\"@@\", \"x\", \"y\") ? 0 : 9);'"},
	{"without rights", message + "systemd-run --quiet --wait --pipe -p NoNewPrivileges=yes -p DynamicUser=yes -p PrivateNetwork=yes sendmail -i @@"},
	{"digest", "echo x | sendmail --digest=1h @@"},
	{"the rest", "sendmail --check @@; " + as + "sendmail --check @@; sendmail --server-info; sendmail --dry-run -i @@ </dev/null; sendmail --health || true; mailq; mailq -v; mailq --json; " +
		as + "sendmail -bv root; newaliases; sendmail --version; sendmail -bp; sendmail --import /etc/postern/none || true; " + message + "sendmail -i @@"},
	{"journal", "sed -i '1i [log]\\nto = \"journal\"' /etc/postern/smarthost.toml; sed -i '/^domain/d; /^aliases/d' /etc/postern/smarthost.toml; systemctl restart postern.service; " + message + as + "sendmail -i @@; " + message + "sendmail -i other@dest.example"},
}

// forbidden is what the profile is for.
var forbidden = []struct{ script, denied string }{
	{"sendmail -C /etc/shadow -bv x@dest.example", `name="/etc/shadow"`},
	{"sendmail -X /etc/cron.d/x --check", `name="/etc/cron.d/x"`},
	{"printf '[smarthost]\\nconnect_command = [\"/bin/sh\", \"-c\", \"cat\"]\\n' >/etc/postern/other.toml; sendmail --config /etc/postern/other.toml --check", `operation="exec" profile="postern" name="/usr/bin/dash"`},
}

// sent has a script send a message and waits until it is at the smarthost.
func sent(t *testing.T, sink *smtptest.Sink, script string) {
	to := regexp.MustCompile(`[^a-z]+`).ReplaceAllString(strings.ToLower(t.Name()), "-") + "@dest.example"
	out := sh(t, "/", strings.ReplaceAll(script, "@@", to))
	for range 600 {
		for _, d := range sink.Deliveries() {
			if d.To[0] == to {
				if !d.TLS || d.User != account {
					t.Errorf("TLS %v, user %q", d.TLS, d.User)
				}
				if text := denied(t); text != "" {
					t.Errorf("the kernel has refused:\n%s", text)
				}
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("nothing has arrived after 30 s\n%s\n%s\n%s", out, denied(t), sh(t, "/", "journalctl -q -n 20"))
}

// denied is what the kernel has refused to the profile since the last time.
func denied(t *testing.T) string {
	t.Helper()
	return sh(t, "/", `dmesg --read-clear | grep 'apparmor="DENIED"' | grep 'profile="postern"' || true`)
}
