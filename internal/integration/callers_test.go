//go:build integration

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// PHP's mail() runs "sh -c '/usr/sbin/sendmail -t -i ARGS'"; its header has CRLF
// line ends, its body has those of the script, Bcc is in the header.
func TestPHPMail(t *testing.T) {
	plainSmarthost(t)
	to, cc, bcc := mailbox(t, "to"), mailbox(t, "cc"), mailbox(t, "bcc")
	script := `
		$ok = mail('` + to + `', 'Grüße', "first line\n.\n..dots\nlast", "From: Shop <shop@client.example>\r\nCc: ` + cc + `\r\nBcc: ` + bcc + `", '-fbounce@client.example');
		exit($ok ? 0 : 9);`
	run(t, "", "php", "-r", script).must(t)
	for _, recipient := range []string{to, cc, bcc} {
		got := waitFor(t, recipient)
		if got.sender != "bounce@client.example" {
			t.Errorf("%s: envelope sender %q", recipient, got.sender)
		}
		if want := "first line\n.\n..dots\nlast\n"; got.body() != want {
			t.Errorf("%s: body %q, want %q", recipient, got.body(), want)
		}
		has(t, recipient, got.header(), "To: "+to+"\n", "Cc: "+cc+"\n", "From: Shop <shop@client.example>\n", "Subject: Grüße\n", "Date: ", "Message-I")
		hasNot(t, recipient, got.header(), "bcc")
	}
}

// PHP tells the script when the smarthost refuses.
func TestPHPMailRefused(t *testing.T) {
	plainSmarthost(t)
	got := run(t, "", "php", "-r", `exit(mail('refused@dest.example', 's', 'b') ? 0 : 9);`)
	if got.status != 9 {
		t.Errorf("mail() said yes: %+v", got)
	}
	has(t, "stderr", got.stderr, "refused@dest.example", "No such mailbox here")
}

// bsd-mailx: "sendmail -i -t", recipients only in the header.
func TestBSDMailx(t *testing.T) {
	plainSmarthost(t)
	to, bcc := mailbox(t, "to"), mailbox(t, "bcc")
	run(t, "hello\n.\nend\n", "bsd-mailx", "-s", "from mailx", "-b", bcc, to).must(t)
	for _, recipient := range []string{to, bcc} {
		got := waitFor(t, recipient)
		if got.sender != "root@client.example" {
			t.Errorf("%s: envelope sender %q", recipient, got.sender)
		}
		has(t, recipient, got.header(), "Subject: from mailx\n", "To: "+to+"\n")
		hasNot(t, recipient, got.header(), "bcc")
		has(t, recipient, got.body(), "hello\n")
	}
}

// bsd-mailx reports the status of sendmail to the person.
func TestBSDMailxRefused(t *testing.T) {
	plainSmarthost(t)
	got := run(t, "hello\n", "bsd-mailx", "-s", "x", "refused@dest.example")
	has(t, "stderr", got.stderr, "No such mailbox here")
}

// s-nail: "sendmail -i -- address…".
func TestSNail(t *testing.T) {
	plainSmarthost(t)
	to, bcc := mailbox(t, "to"), mailbox(t, "bcc")
	run(t, "grüße\n", "s-nail", "-n", "-s", "from s-nail", "-b", bcc, "-r", "web@client.example", to).must(t)
	for _, recipient := range []string{to, bcc} {
		got := waitFor(t, recipient)
		if got.sender != "web@client.example" {
			t.Errorf("%s: envelope sender %q", recipient, got.sender)
		}
		has(t, recipient, got.header(), "From: web@client.example\n")
		hasNot(t, recipient, got.header(), "bcc")
	}
}

// mutt: "-oem -oi -f sender -- address…", and -N and -R when dsn_notify is set.
func TestMutt(t *testing.T) {
	plainSmarthost(t)
	to := mailbox(t, "to")
	attachment := filepath.Join(t.TempDir(), "data.bin")
	if err := os.WriteFile(attachment, []byte(strings.Repeat("\x00\xff\r\n.", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "see the attachment\n", "mutt", "-n", "-F", "/dev/null",
		"-e", "set copy=no", "-e", "set from=app@client.example", "-e", "set use_envelope_from=yes",
		"-e", "set dsn_notify=failure,delay", "-e", "set dsn_return=hdrs",
		"-s", "from mutt", "-a", attachment, "--", to).must(t)
	got := waitFor(t, to)
	if got.sender != "app@client.example" {
		t.Errorf("envelope sender %q", got.sender)
	}
	has(t, "header", got.header(), "Content-Type: multipart/mixed", "To: "+to)
	has(t, "body", got.body(), "Content-Transfer-Encoding: base64")
}

// git send-email: "-i address…", the patch must arrive byte for byte.
func TestGitSendEmail(t *testing.T) {
	plainSmarthost(t)
	to := mailbox(t, "to")
	dir := t.TempDir()
	script := `
		git init -q . && git config user.name 'A U Thor' && git config user.email author@client.example
		printf 'eins\r\n.\nzwei\n' >file && git add file && git commit -q -m 'file: begin' 
		git format-patch -q --root -o out
		git send-email --quiet --confirm=never --suppress-cc=all --to '` + to + `' out/*.patch >sent.log 2>&1 || { cat sent.log; exit 1; }`
	run := runIn(t, dir, "", "sh", "-ec", script)
	if run.status != 0 {
		t.Fatalf("%+v", run)
	}
	got := waitFor(t, to)
	has(t, "header", got.header(), "From: A U Thor <author@client.example>\n", "X-Mailer: git-send-email")
	patches, err := filepath.Glob(filepath.Join(dir, "out/*.patch"))
	if err != nil || len(patches) != 1 {
		t.Fatal(patches, err)
	}
	// The message must still be the patch: a foreign tool applies it.
	mail := filepath.Join(dir, "mail")
	if err := os.WriteFile(mail, []byte(got.raw), 0o600); err != nil {
		t.Fatal(err)
	}
	apply := runIn(t, dir, "", "sh", "-ec", "git init -q again && cd again && git config user.name x && git config user.email x@x && git am -q --keep-cr ../mail && cmp file ../file")
	if apply.status != 0 {
		t.Errorf("the patch no longer applies: %+v\n%s", apply, got.raw)
	}
}

// Debian's cron: "sh -c '/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem  list'",
// run by cron itself. From has no domain, there is no Date.
func TestCron(t *testing.T) {
	plainSmarthost(t)
	one, two := mailbox(t, "one"), mailbox(t, "two")
	table := "MAILTO=" + one + "," + two + "\nPATH=/usr/bin:/bin\n@reboot root printf 'out\\n.\\nputfen: \\303\\244\\n'\n"
	if err := os.WriteFile("/etc/crontab", []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll("/etc/cron.d"); err != nil {
		t.Fatal(err)
	}
	os.Remove("/run/crond.reboot") //nolint:errcheck // absent on a fresh machine
	cron := exec.Command("/usr/sbin/cron", "-f")
	if err := cron.Start(); err != nil {
		t.Fatal("starting cron (is it installed?): ", err)
	}
	defer func() {
		cron.Process.Kill() //nolint:errcheck // it may have ended
		cron.Wait()         //nolint:errcheck // killed on purpose
	}()
	for _, recipient := range []string{one, two} {
		got := waitFor(t, recipient)
		if got.sender != "root@client.example" {
			t.Errorf("%s: envelope sender %q", recipient, got.sender)
		}
		has(t, recipient, got.header(), "From: root@client.example (Cron Daemon)\n", "Subject: Cron <root@", "Date: ")
		if want := "out\n.\nputfen: ä\n"; got.body() != want {
			t.Errorf("%s: body %q, want %q", recipient, got.body(), want)
		}
	}
}

// A container's log with all that terminals are told, through the body bit for bit.
func TestLogPipe(t *testing.T) {
	plainSmarthost(t)
	to := mailbox(t, "to")
	log := "\x1b[31mERROR\x1b[0m no such file\n10%\r50%\r100%\n" + strings.Repeat("x", 200) + "\n.\nend\n"
	run(t, log, "/usr/sbin/sendmail", "-i", to).must(t)
	got := waitFor(t, to)
	if want := strings.ReplaceAll(log, "\r", "\n"); got.body() != want {
		t.Errorf("body %q, want %q", got.body(), want)
	}
	has(t, "header", got.header(), "From: root <root@client.example>\n", "Date: "+time.Now().Format("Mon, "))
}
