//go:build integration

package integration

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Callers that speak SMTP to sendmail -bs.

// Symfony Mailer's default.
func TestSymfonyDialogue(t *testing.T) {
	plainSmarthost(t)
	to, cc, bcc := mailbox(t, "to"), mailbox(t, "cc"), mailbox(t, "bcc")
	run(t, "", "php", "-r", `
		require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
		require '/usr/share/php/Symfony/Component/Mime/autoload.php';
		$m = (new Symfony\Component\Mime\Email())->from('Shop <shop@client.example>')->sender('bounce@client.example')
			->to('`+to+`')->cc('`+cc+`')->bcc('`+bcc+`')->subject('from Symfony')->text("Grüße\n.\n..dots\nend");
		(new Symfony\Component\Mailer\Transport\SendmailTransport())->send($m);`).must(t)
	libraryMail(t, "bounce@client.example", to, cc, bcc, "Subject: from Symfony")
}

// What the smarthost refuses is an exception in its words, and nobody gets the
// message: that is Symfony's choice.
func TestSymfonyDialogueRefused(t *testing.T) {
	plainSmarthost(t)
	got := run(t, "", "php", "-r", `
		require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
		require '/usr/share/php/Symfony/Component/Mime/autoload.php';
		$m = (new Symfony\Component\Mime\Email())->from('shop@client.example')->to('refused@dest.example')->subject('x')->text("x");
		try { (new Symfony\Component\Mailer\Transport\SendmailTransport())->send($m); echo "sent"; }
		catch (Exception $e) { echo $e->getMessage(); }`)
	has(t, "exception", got.stdout, `got code "550"`, "No such mailbox here")
}

// SwiftMailer: several messages in one process, one recipient refused.
func TestSwiftMailer(t *testing.T) {
	plainSmarthost(t)
	one, two := mailbox(t, "one"), mailbox(t, "two")
	got := run(t, "", "php", "-d", "error_reporting=0", "-r", `
		require '/usr/share/php/Swift/autoload.php';
		$mailer = new Swift_Mailer(new Swift_SendmailTransport('/usr/sbin/sendmail -bs'));
		foreach (['`+one+`', '`+two+`'] as $to) {
			$m = (new Swift_Message('from Swift'))->setFrom('shop@client.example')->setTo([$to, 'refused@dest.example'])->setBody("text\n.\nend\n");
			echo $mailer->send($m, $failed), ' ', join(',', $failed), "\n";
		}`)
	if want := "1 refused@dest.example\n1 refused@dest.example,refused@dest.example\n"; got.stdout != want {
		t.Fatalf("%+v, want %q", got, want)
	}
	for _, to := range []string{one, two} {
		if m := waitFor(t, to); !strings.HasPrefix(m.body(), "text\n.\nend\n") || m.sender != "shop@client.example" {
			t.Errorf("%s: %+v", to, m)
		}
	}
}

// swaks by a pipe, with and without PIPELINING.
func TestSwaks(t *testing.T) {
	plainSmarthost(t)
	for _, more := range [][]string{nil, {"--pipeline"}} {
		to := mailbox(t, "to"+strings.Join(more, ""))
		got := run(t, "", "swaks", append([]string{"--pipe", "/usr/sbin/sendmail -bs", "--from", "s@client.example", "--to", to,
			"--header", "Subject: from swaks", "--body", "text"}, more...)...)
		if got.status != 0 {
			t.Errorf("%v: %+v", more, got)
		}
		has(t, to, waitFor(t, to).header(), "Subject: from swaks\n")
	}
}

// nmh's post with mts sendmail/smtp, which is "sendmail -bs".
func TestNmh(t *testing.T) {
	plainSmarthost(t)
	to, bcc := mailbox(t, "to"), mailbox(t, "dcc")
	home := t.TempDir()
	if err := errors.Join(os.WriteFile(home+"/.mh_profile", []byte("Path: Mail\n"), 0o600), os.WriteFile(home+"/draft", []byte("From: root@client.example\nTo: "+to+"\nDcc: "+bcc+"\nSubject: from nmh\n\n.text\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	got := run(t, "", "env", "HOME="+home, "MHMTSCONF=/dev/null", "/usr/lib/mh/post", "-mts", "sendmail/smtp", "-sendmail", "/usr/sbin/sendmail", home+"/draft")
	if got.status != 0 {
		t.Fatalf("%+v", got)
	}
	for _, recipient := range []string{to, bcc} {
		m := waitFor(t, recipient)
		has(t, recipient, m.header(), "Subject: from nmh\n")
		hasNot(t, recipient, m.header(), "dcc")
	}
}
