//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serve runs the submission service of the package as its own user, as the unit
// does, and gives its process id.
func (d debian) serve(t *testing.T) int {
	t.Helper()
	d.ok(t, "install", "-d", "-o", "postern", "-g", "postern", "/run/postern")
	cmd := exec.Command("chroot", string(d), "setpriv", "--reuid=postern", "--regid=postern", "--init-groups", "--no-new-privs",
		"--bounding-set=-all", "sh", "-c", "umask 007; exec /usr/sbin/sendmail -bD")
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // if it is gone, Wait says so
		if err := cmd.Wait(); err != nil || said.Len() > 0 {
			t.Errorf("the service: %v: %s", err, said.String())
		}
	})
	for range 200 {
		if _, err := os.Stat(string(d) + "/run/postern/submit.sock"); err == nil {
			return cmd.Process.Pid
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no socket: ", said.String())
	return 0
}

// The service of the package: everybody sends, whatever he runs in, and nobody
// can read the password.
func TestPackageService(t *testing.T) {
	d := install(t)
	d.configure(t)
	pid := d.serve(t)
	t.Run("Callers", func(t *testing.T) { serviceCallers(t, d) })
	t.Run("Cron", func(t *testing.T) { serviceCron(t, d) })
	t.Run("Secret", func(t *testing.T) { serviceSecret(t, d, pid) })
}

func serviceCallers(t *testing.T, d debian) {
	const message = "Subject: x\n\nbody\n"
	send := func(to string) string { return "printf 'Subject: x\\n\\nbody\\n' | /usr/sbin/sendmail -i " + to }
	for _, tt := range []struct {
		who    string
		user   string
		arg    func(to string) []string
		sender string
	}{
		{"an ordinary user", "alice", func(to string) []string { return []string{"sendmail", "-i", to} }, "alice@client.example"},
		{"PHP of the web server", "www-data", func(to string) []string {
			return []string{"php", "-r", "exit(mail('" + to + "', 'x', 'body') ? 0 : 9);"}
		}, "www-data@client.example"},
		{"without new privileges", "alice", func(to string) []string {
			return []string{"setpriv", "--no-new-privs", "sendmail", "-i", to}
		}, "alice@client.example"},
		{"a uid without a name", "1234567:1234567", func(to string) []string { return []string{"env", "-u", "LOGNAME", "USER=root", "sendmail", "-i", to} }, "uid1234567@client.example"},
		{"a root that cannot be written", "", func(to string) []string {
			return []string{"unshare", "-m", "sh", "-ec", "mount -o remount,bind,ro /; exec setpriv --reuid=alice --regid=alice --init-groups sh -c \"" +
				strings.ReplaceAll(send(to), `\`, `\\`) + "\""}
		}, "alice@client.example"},
		{"root, who relays by himself", "", func(to string) []string { return []string{"sendmail", "-i", to} }, "root@client.example"},
	} {
		to := mailbox(t, strings.Fields(tt.who)[1])
		got := d.as(t, tt.user, message, tt.arg(to)...)
		if got.status != 0 || got.stderr != "" {
			t.Errorf("%s: %+v", tt.who, got)
			continue
		}
		arrived := waitFor(t, to)
		if arrived.sender != tt.sender {
			t.Errorf("%s: sender %q, want %q", tt.who, arrived.sender, tt.sender)
		}
		has(t, tt.who, arrived.trace, "Authenticated sender: "+accountName)
	}
}

// cron runs a job of alice and mails what it says, as alice.
func serviceCron(t *testing.T, d debian) {
	to := mailbox(t, "cron")
	d.write(t, "/etc/crontab", "MAILTO="+to+"\n@reboot alice echo from the job of $(id -un)\n", 0o644)
	d.ok(t, "sh", "-c", "rm -rf /etc/cron.d /var/spool/cron/crontabs/*")
	cmd := exec.Command("chroot", string(d), "/usr/sbin/cron", "-f")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill() //nolint:errcheck // a process that has ended already is fine
		cmd.Wait()         //nolint:errcheck // killed on purpose
	}()
	got := waitFor(t, to)
	has(t, "body", got.body(), "from the job of alice")
	has(t, "trace", got.trace, "Authenticated sender: "+accountName)
}

// No user gets at the password: by no file, option, variable, or the service.
func serviceSecret(t *testing.T, d debian, pid int) {
	proc := filepath.Join("/proc", fmt.Sprint(pid))
	for _, user := range []string{"alice", "www-data", "nobody", "1234567:1234567"} {
		for _, script := range []string{
			"cat /etc/postern/password", "cat /etc/postern/smarthost.toml", "ls /var/spool/postern/queue",
			"sendmail -C /etc/postern/smarthost.toml --check",
			"sendmail --import /etc/postern", "mailq",
			"head -c1 " + proc + "/mem", "cat " + proc + "/environ", "cat " + proc + "/maps", "ls " + proc + "/fd/", "timeout 5 strace -p " + fmt.Sprint(pid),
			"kill -QUIT " + fmt.Sprint(pid),
		} {
			got := d.as(t, user, "", "sh", "-c", script)
			if got.status == 0 {
				t.Errorf("%s: %s: %+v", user, script, got)
			}
			secretOf(t, user+": "+script, got)
		}
		for _, script := range []string{"sendmail -v -i a@dest.example </dev/null", "sendmail --check", "POSTERN_CONFIG=/etc/postern/smarthost.toml sendmail --check", "sendmail --server-info", "sendmail -d99 --dry-run -i a@dest.example </dev/null"} {
			secretOf(t, user+": "+script, d.as(t, user, "", "sh", "-c", script))
		}
	}
}
