//go:build integration

package integration

import (
	"path/filepath"
	"testing"
)

// mailer runs another program with the files of a fixture, which lie where they
// belong. It gives back what the program said.
type mailer func(t *testing.T, a *away, file, sender string, to ...string) outcome

const (
	fromCron   = "From: root (Cron Daemon)\nTo: ops@dest.example\nSubject: x\n\nbody\n"
	fromNobody = "To: ops@dest.example\nSubject: x\n\nbody\n"
)

// options are -f, where the caller gives a sender, and the recipients.
func mailerOptions(sender string, to []string, before ...string) []string {
	if sender != "" {
		before = append(before, "-f", sender)
	}
	return append(before, to...)
}

func msmtp(t *testing.T, a *away, file, sender string, to ...string) outcome {
	return a.run(t, a.message, "", "/usr/bin/msmtp", mailerOptions(sender, to, "-C", a.file(file))...)
}

func esmtp(t *testing.T, a *away, file, sender string, to ...string) outcome {
	return a.run(t, a.message, "", "/usr/bin/esmtp", mailerOptions(sender, to, "-C", a.file(file))...)
}

// ssmtp finds revaliases at its place only.
func ssmtp(t *testing.T, a *away, file, sender string, to ...string) outcome {
	return a.run(t, a.message, "", "/usr/sbin/ssmtp", mailerOptions(sender, to, "-C"+a.file(file))...)
}

// dma gives its rights up, and then must be able to read its files as "mail".
func dma(t *testing.T, a *away, file, sender string, to ...string) outcome {
	if err := shell("cd " + filepath.Dir(a.file(file)) + "; for f in *.conf; do [ -e /etc/dma/$f ] || cp $f /etc/dma/$f; done; chgrp -R mail /etc/dma; chmod -R g+rX /etc/dma"); err != nil {
		t.Fatal(err)
	}
	got := a.run(t, a.message, "", "/usr/sbin/dma", mailerOptions(sender, to, "-D", "-i")...)
	if got.status == 0 { // what it was told to defer
		return a.run(t, "", "", "/usr/sbin/dma", "-q", "-D")
	}
	return got
}

// nullmailer queues, and a daemon sends.
func nullmailer(t *testing.T, a *away, _, sender string, to ...string) outcome {
	if err := shell("chown -R mail /etc/nullmailer"); err != nil {
		t.Fatal(err)
	}
	if got := a.run(t, a.message, "", "/usr/bin/nullmailer-inject", mailerOptions(sender, to, "-a")...); got.status != 0 {
		return got
	}
	return a.run(t, "", "", "sh", "-c", `nullmailer-send >/home/said 2>&1 & pid=$!
		for i in $(seq 100); do [ -z "$(ls /var/spool/nullmailer/queue)" ] && break; sleep 0.1; done
		kill $pid; wait $pid; cat /home/said >&2; [ -z "$(ls /var/spool/nullmailer/queue)" ]`)
}

// postfix runs as the system's, without a server of its own on port 25.
func postfix(t *testing.T, a *away, file, sender string, to ...string) outcome {
	a.put(t, "/etc/postfix/generic", "nobody@nowhere.example nobody@else.example\n")
	if err := shell("[ " + a.file(file) + " = /etc/postfix/main.cf ] || cp " + a.file(file) + ` /etc/postfix/main.cf
		cat >>/etc/postfix/main.cf <<-'end'
		maillog_file = /var/log/postfix.log
		end
		awk '$2 != "inet" && $1 != "-o"' /etc/postfix/master.cf >/etc/postfix/m && mv /etc/postfix/m /etc/postfix/master.cf
		chmod 644 /etc/postfix/*.cf
		postmap hash:/etc/postfix/generic
		postalias hash:/etc/aliases
		[ ! -e /etc/postfix/sasl_passwd ] || postmap hash:/etc/postfix/sasl_passwd
		postfix start`); err != nil {
		t.Fatal(err)
	}
	defer shell("postfix stop") //nolint:errcheck // the test's end ends it too
	return a.run(t, a.message, "", "sh", append([]string{"-c", `/usr/sbin/sendmail "$@" || exit
		for i in $(seq 100); do grep -qs 'qmgr.*removed' /var/log/postfix.log && exit 0; sleep 0.1; done
		cat /var/log/postfix.log >&2; exit 1`, "sh"}, mailerOptions(sender, to, "-i")...)...)
}
