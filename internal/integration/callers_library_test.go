//go:build integration

package integration

import (
	"strings"
	"testing"
)

// The libraries that programs send mail with. Each is asked to send to three
// recipients, one of them hidden, a body with lone dots and non-ASCII text.

// libraryMail checks what all of them must have achieved.
func libraryMail(t *testing.T, sender, to, cc, bcc, subject string) stored {
	t.Helper()
	var first stored
	for _, recipient := range []string{to, cc, bcc} {
		got := waitFor(t, recipient)
		if got.sender != sender {
			t.Errorf("%s: envelope sender %q, want %q", recipient, got.sender, sender)
		}
		hasNot(t, recipient, got.header(), "bcc", bcc)
		has(t, recipient, got.header(), "To: "+to+"\n", subject+"\n", "Date: ", "Message-I")
		if first.raw == "" {
			first = got
		} else if got.raw != first.raw {
			t.Errorf("%s got another message:\n%s\n%s", recipient, got.raw, first.raw)
		}
	}
	return first
}

// PHPMailer: "sendmail -t -i -oi -fX -t"; the header names everybody.
func TestPHPMailer(t *testing.T) {
	plainSmarthost(t)
	to, cc, bcc := mailbox(t, "to"), mailbox(t, "cc"), mailbox(t, "bcc")
	run(t, "", "php", "-d", "sendmail_path=/usr/sbin/sendmail -t -i", "-r", `
		require '/usr/share/php/libphp-phpmailer/autoload.php';
		$m = new PHPMailer\PHPMailer\PHPMailer(true);
		$m->isSendmail();
		$m->CharSet = 'UTF-8'; $m->Encoding = '8bit';
		$m->setFrom('shop@client.example', 'Shop'); $m->Sender = 'bounce@client.example';
		$m->addAddress('`+to+`'); $m->addCC('`+cc+`'); $m->addBCC('`+bcc+`');
		$m->Subject = 'from PHPMailer'; $m->Body = "Grüße\n.\n..dots\nend";
		$m->send();`).must(t)
	got := libraryMail(t, "bounce@client.example", to, cc, bcc, "Subject: from PHPMailer")
	has(t, "header", got.header(), "From: Shop <shop@client.example>\n", "Cc: "+cc+"\n")
	if want := "Grüße\n.\n..dots\nend\n"; strings.TrimRight(got.body(), "\n")+"\n" != want {
		t.Errorf("body %q, want %q", got.body(), want)
	}
}

// PHPMailer tells the script who was refused, and why.
func TestPHPMailerRefused(t *testing.T) {
	plainSmarthost(t)
	got := run(t, "", "php", "-d", "sendmail_path=/usr/sbin/sendmail -t -i", "-r", `
		require '/usr/share/php/libphp-phpmailer/autoload.php';
		$m = new PHPMailer\PHPMailer\PHPMailer(true);
		$m->isSendmail(); $m->setFrom('shop@client.example');
		$m->addAddress('refused@dest.example'); $m->Body = 'x';
		try { $m->send(); exit(1); } catch (Exception $e) { exit(9); }`)
	if got.status != 9 {
		t.Errorf("PHPMailer believes that it was sent: %+v", got)
	}
	has(t, "stderr", got.stderr, "refused@dest.example", "No such mailbox here")
}

// Symfony Mailer with a "-t -i" command: it takes -t out and passes addresses,
// "sendmail -i -fX -- T…".
func TestSymfonyCommand(t *testing.T) {
	plainSmarthost(t)
	to, cc, bcc := mailbox(t, "to"), mailbox(t, "cc"), mailbox(t, "bcc")
	script := `
		require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
		require '/usr/share/php/Symfony/Component/Mime/autoload.php';
		$m = (new Symfony\Component\Mime\Email())->from('Shop <shop@client.example>')->sender('bounce@client.example')
			->to('` + to + `')->cc('` + cc + `')->bcc('` + bcc + `')->subject('from Symfony')->text("Grüße\n.\n..dots\nend");
		(new Symfony\Component\Mailer\Transport\SendmailTransport('/usr/sbin/sendmail -t COMMAND'))->send($m);`
	run(t, "", "php", "-r", strings.Replace(script, "COMMAND", "-i", 1)).must(t)
	got := libraryMail(t, "bounce@client.example", to, cc, bcc, "Subject: from Symfony")
	decoded := run(t, got.raw, "perl", "-MMIME::QuotedPrint", "-0777", "-ne", `s/^.*?\n\n//s; print decode_qp($_)`)
	if want := "Grüße\n.\n..dots\nend\n"; decoded.stdout != want {
		t.Errorf("body %q, want %q", decoded.stdout, want)
	}
}

// MIME::Lite: "sendmail -t -oi -oem", from Perl by a pipe.
func TestMIMELite(t *testing.T) {
	plainSmarthost(t)
	to, cc, bcc := mailbox(t, "to"), mailbox(t, "cc"), mailbox(t, "bcc")
	run(t, "", "perl", "-MMIME::Lite", "-e", `
		my $m = MIME::Lite->new(From => 'lite@client.example', To => '`+to+`', Cc => '`+cc+`', Bcc => '`+bcc+`',
			Subject => 'from MIME::Lite', Type => 'multipart/mixed');
		$m->attach(Type => 'TEXT', Data => "see below\n.\nend\n");
		$m->attach(Type => 'application/octet-stream', Encoding => 'base64', Filename => 'x.bin', Data => join('', map { chr } 0..255));
		$m->send('sendmail', FromSender => 'bounce@client.example') or die;`).must(t)
	got := libraryMail(t, "bounce@client.example", to, cc, bcc, "Subject: from MIME::Lite")
	has(t, "header", got.header(), "Content-Type: multipart/mixed; boundary=")
	has(t, "body", got.body(), "see below\n.\nend\n", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4")
}

// Email::Sender: "sendmail -i -f X -- T…", and leaves Bcc in the header to us.
func TestEmailSender(t *testing.T) {
	plainSmarthost(t)
	to, cc, bcc := mailbox(t, "to"), mailbox(t, "cc"), mailbox(t, "bcc")
	run(t, "", "perl", "-MEmail::Sender::Simple=sendmail", "-MEmail::Sender::Transport::Sendmail", "-MEmail::Simple", "-e", `
		my $m = Email::Simple->create(header => [From => 'app@client.example', To => '`+to+`', Cc => '`+cc+`', Bcc => '`+bcc+`',
			Subject => 'from Email::Sender'], body => "one\n.\n..two\n");
		sendmail($m, { from => 'bounce@client.example', transport => Email::Sender::Transport::Sendmail->new,
			to => ['`+to+`', '`+cc+`', '`+bcc+`'] });`).must(t)
	if got := libraryMail(t, "bounce@client.example", to, cc, bcc, "Subject: from Email::Sender"); got.body() != "one\n.\n..two\n" {
		t.Errorf("body %q", got.body())
	}
}

// Nodemailer: "sendmail -i -f X T…", with LF or CRLF, and leaves Bcc in the
// header too.
func TestNodemailer(t *testing.T) {
	for _, newline := range []string{"unix", "windows"} {
		t.Run(newline, func(t *testing.T) {
			plainSmarthost(t)
			to, cc, bcc := mailbox(t, "to"), mailbox(t, "cc"), mailbox(t, "bcc")
			run(t, "", "node", "-e", `
				const t = require('/usr/share/nodejs/nodemailer').createTransport({sendmail: true, newline: '`+newline+`'});
				t.sendMail({from: 'Shop <shop@client.example>', to: '`+to+`', cc: '`+cc+`', bcc: '`+bcc+`',
					subject: 'from nodemailer', text: 'one\n.\n..two\nend\n'},
					err => { if (err) { console.error(err); process.exit(9); } });`).must(t)
			got := libraryMail(t, "shop@client.example", to, cc, bcc, "Subject: from nodemailer")
			has(t, "body", got.body(), "one\n.\n..two\nend\n")
		})
	}
}

// Nodemailer gives the application the error.
func TestNodemailerRefused(t *testing.T) {
	plainSmarthost(t)
	got := run(t, "", "node", "-e", `
		require('/usr/share/nodejs/nodemailer').createTransport({sendmail: true})
			.sendMail({from: 'a@client.example', to: 'refused@dest.example', text: 'x'}, err => process.exit(err ? 9 : 1));`)
	if got.status != 9 {
		t.Errorf("nodemailer believes that it was sent: %+v", got)
	}
}
