//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aliased is a smarthost with an alias file: mail for local names, which is what
// the system's own programs send, goes to addresses of the test.
func aliased(t *testing.T, aliases string) {
	t.Helper()
	plainSmarthost(t)
	text, err := os.ReadFile("/etc/postern/smarthost.toml")
	if err != nil {
		t.Fatal(err)
	}
	writeConfiguration(t, "aliases = \"/etc/aliases\"\n"+string(text))
	if err := os.WriteFile("/etc/aliases", []byte("# /etc/aliases\nmailer-daemon: postmaster\npostmaster: root\nnobody: root\n"+aliases), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "", "newaliases").must(t)
}

// daemon starts a program that ends with the test.
func daemon(t *testing.T, name string, arg ...string) {
	t.Helper()
	cmd := exec.Command(name, arg...)
	if err := cmd.Start(); err != nil {
		t.Fatal("starting ", name, " (is it installed?): ", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // killed on purpose
	})
}

// anacron: "sendmail -FAnacron -odi T" without -i, From: "Anacron <root>".
func TestAnacron(t *testing.T) {
	to := mailbox(t, "to")
	aliased(t, "root: "+to+"\n")
	dir := t.TempDir()
	table := filepath.Join(dir, "anacrontab")
	if err := os.WriteFile(table, []byte("SHELL=/bin/sh\nMAILTO=root\n1 0 daily echo ran; echo 'putfen: ä'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "", "/usr/sbin/anacron", "-f", "-n", "-d", "-q", "-t", table, "-S", dir)
	got := waitFor(t, to)
	if got.sender != "root@client.example" {
		t.Errorf("envelope sender %q", got.sender)
	}
	has(t, "header", got.header(), "From: Anacron <root@client.example>\n", "To: root@client.example\n", "Subject: Anacron job 'daily' on ")
	has(t, "body", got.body(), "ran\nputfen: ä\n")
}

// at: atd runs "sendmail -i USER" as the user whose job it is; the address is a
// bare name.
func TestAt(t *testing.T) {
	to := mailbox(t, "to")
	aliased(t, "root: "+to+"\n")
	daemon(t, "/usr/sbin/atd", "-f", "-l", "1000", "-b", "1")
	queued := run(t, "printf 'ran by at\\n.\\nend\\n'\n", "at", "-m", "now")
	if queued.status != 0 {
		t.Fatalf("%+v", queued)
	}
	got := waitFor(t, to)
	has(t, "header", got.header(), "To: root@client.example\n", "Subject: Output from your job ")
	if want := "ran by at\n.\nend\n"; got.body() != want {
		t.Errorf("body %q, want %q", got.body(), want)
	}
}

// mail of GNU mailutils.
func TestMailutils(t *testing.T) {
	plainSmarthost(t)
	to, cc, bcc := mailbox(t, "to"), mailbox(t, "cc"), mailbox(t, "bcc")
	run(t, "hello\nend\n", "mail.mailutils", "-s", "from mailutils", "-r", "app@client.example",
		"-a", "Cc: "+cc, "-a", "Bcc: "+bcc, to).must(t)
	for _, recipient := range []string{to, cc, bcc} {
		got := waitFor(t, recipient)
		if got.sender != "app@client.example" {
			t.Errorf("%s: envelope sender %q", recipient, got.sender)
		}
		has(t, recipient, got.header(), "Subject: from mailutils\n", "To: <"+to+">\n")
		hasNot(t, recipient, got.header(), "bcc")
		if got.body() != "hello\nend\n" {
			t.Errorf("%s: body %q", recipient, got.body())
		}
	}
}

// fail2ban itself, with the action that Debian ships: printf … | sendmail -f "X" "T",
// no -i, one From field with a name.
func TestFail2ban(t *testing.T) {
	plainSmarthost(t)
	to := mailbox(t, "to")
	dir := t.TempDir()
	log := filepath.Join(dir, "auth.log")
	if err := os.WriteFile(log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"/etc/fail2ban/jail.local": fmt.Sprintf("[DEFAULT]\n[sshd]\nenabled = false\n[test]\nenabled = true\nbackend = polling\nfilter =\nfailregex = refused <HOST>$\n"+
			"logpath = %s\nmaxretry = 1\nusedns = no\naction = sendmail[name=test, dest=%q, sender=\"fail2ban@client.example\", sendername=\"Fail 2 Ban\"]\n", log, to),
		"/etc/fail2ban/fail2ban.local": fmt.Sprintf("[Definition]\ndbfile = :memory:\nlogtarget = %s/fail2ban.log\nsocket = %s/sock\npidfile = %s/pid\n", dir, dir, dir),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	daemon(t, "/usr/bin/fail2ban-server", "-f", "start")
	line := time.Now().Format("Jan _2 15:04:05") + " web1 sshd[1]: refused 192.0.2.77\n"
	waitForOne(t, to, "jail test has been started")
	if err := appendTo(log, line); err != nil {
		t.Fatal(err)
	}
	got := waitForOne(t, to, "banned 192.0.2.77")
	if got.sender != "fail2ban@client.example" {
		t.Errorf("envelope sender %q", got.sender)
	}
	has(t, "header", got.header(), "From: Fail 2 Ban <fail2ban@client.example>\n", "To: "+to+"\n", "Subject: [Fail2Ban] test: banned 192.0.2.77 from ")
	has(t, "body", got.body(), "The IP 192.0.2.77 has just been banned by Fail2Ban after\n")
}

// waitForOne waits for that message of several to a recipient that has a text.
func waitForOne(t *testing.T, recipient, text string) stored {
	t.Helper()
	for range 200 {
		for _, got := range lookIn(t, filepath.Join(world.mail, "inbox/new"), recipient) {
			if strings.Contains(got.raw, text) {
				return got
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no message for %s with %q after 10 s\n%s", recipient, text, world.logs())
	return stored{}
}

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// sudo: "sendmail -t" with few variables in its environment, as the user who calls
// it, who must be able to read smarthost.toml; no Date.
func TestSudo(t *testing.T) {
	to := mailbox(t, "to")
	aliased(t, "security: "+to+"\n")
	if err := os.Chmod("/etc/postern/smarthost.toml", 0o644); err != nil {
		t.Fatal(err)
	}
	rules := "Defaults mail_always, mailto=\"security\"\nnobody ALL=(ALL) NOPASSWD: ALL\n"
	if err := os.WriteFile("/etc/sudoers", []byte(rules), 0o440); err != nil {
		t.Fatal(err)
	}
	if got := run(t, "", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sudo", "-n", "/bin/true"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	found := waitForOne(t, to, "COMMAND=")
	has(t, "header", found.header(), "To: security@client.example\n", "Subject: *** SECURITY information for web1", "Date: ", "Auto-Submitted: auto-generated\n")
	has(t, "body", found.body(), "nobody : ", "COMMAND=/bin/true")
}

// logwatch: "sendmail -t", a report of some length.
func TestLogwatch(t *testing.T) {
	plainSmarthost(t)
	to := mailbox(t, "to")
	if err := os.WriteFile("/var/log/dpkg.log", []byte("2026-11-24 10:00:00 install hello:amd64 <none> 2.10-3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := run(t, "", "/usr/sbin/logwatch", "--output", "mail", "--format", "text", "--service", "dpkg", "--range", "all", "--mailto", to)
	if got.status != 0 {
		t.Fatalf("%+v", got)
	}
	mail := waitFor(t, to)
	has(t, "header", mail.header(), "To: "+to+"\n", "From: root@client.example\n", "Subject: Logwatch for web1")
	has(t, "body", mail.body(), "dpkg status changes Begin", "hello:amd64 2.10-3", "Logwatch End")
}

// What people write into scripts: a program's whole output, error output
// included, into sendmail, of which the first line looks like a header.
func TestBashLogPipe(t *testing.T) {
	plainSmarthost(t)
	to := mailbox(t, "to")
	got := run(t, "", "bash", "-c", `
		set -o pipefail
		{ echo 'ERROR: cannot open'; echo 'Bcc: evil@dest.example' >&2; printf '\033[1mbold\033[0m\r\n10%%\r99%%\n.\n'; head -c 300000 /dev/zero | tr '\0' x; printf '\0\377\n'; } 2>&1 |
		sendmail --subject='{lines} lines: {first}' '`+to+`'`)
	got.must(t)
	mail := waitFor(t, to)
	has(t, "header", mail.header(), "Subject: 7 lines: ERROR: cannot open\n")
	decoded := run(t, mail.raw, "perl", "-MMIME::QuotedPrint", "-0777", "-ne", `s/^.*?\n\n//s; print decode_qp($_)`)
	if want := "ERROR: cannot open\nBcc: evil@dest.example\nbold\n10%\n99%\n.\n" + strings.Repeat("x", 300000) + "\\xff\n"; decoded.stdout != want {
		t.Errorf("body %.200q, want %.200q (%d, %d octets)", decoded.stdout, want, len(decoded.stdout), len(want))
	}
}
