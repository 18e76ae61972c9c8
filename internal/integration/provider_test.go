//go:build integration

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/smtptest"
)

// What callers of Debian send is refused by the rules of each provider, and goes
// with its profile, for callers that name no sender and such that make one up.
func TestProviders(t *testing.T) {
	const account, password = "app@own.example", "swordfish"
	callers := map[string]func(t *testing.T) outcome{
		"cron": func(t *testing.T) outcome { // as cron writes it
			return run(t, "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web1> x\n\nbody\n",
				sendmail, "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "ops@x.example")
		},
		"PHP": func(t *testing.T) outcome {
			return run(t, "", "php", "-r", `exit(mail('ops@x.example', 'form', 'b', "From: Jane <jane@visitor.example>\r\nBcc: two@x.example") ? 0 : 9);`)
		},
		"mailx": func(t *testing.T) outcome { return run(t, "body\n", "bsd-mailx", "-s", "x", "ops@x.example") },
		"s-nail": func(t *testing.T) outcome {
			return run(t, "body\n", "s-nail", "-n", "-s", "x", "-r", "web@web1.lan", "ops@x.example")
		},
		"mutt": func(t *testing.T) outcome {
			return run(t, "body\n", "mutt", "-n", "-F", "/dev/null", "-e", "set copy=no", "-e", "set from=me@web1.lan", "-s", "x", "--", "ops@x.example")
		},
	}
	judges := map[string]func(smtptest.Delivery) error{
		"ses": smtptest.SES("own.example"), "microsoft365": smtptest.Microsoft365(), "gmail": smtptest.Gmail(),
	}
	for profile, judge := range judges {
		s := smtptest.NewSink(t, smtptest.SinkOptions{Judge: judge, Accounts: map[string]string{account: password}})
		file := fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\ntls = \"none\"\nusername = %q\npassword = %q\n", s.Port(), account, password)
		for name, call := range callers {
			t.Run(profile+"/"+name, func(t *testing.T) {
				configure(t, file)
				before := len(s.Deliveries())
				call(t) // some callers hide how it ended
				if n := len(s.Deliveries()); n != before {
					t.Fatalf("taken without the profile: %s", s.Deliveries()[before].Data)
				}
				configure(t, file+fmt.Sprintf("profile = %q\n", profile))
				if got := call(t); got.status != 0 {
					t.Fatalf("%+v", got)
				}
				all := s.Deliveries()
				if len(all) != before+1 {
					t.Fatalf("%d messages taken", len(all)-before)
				}
				header, _, _ := strings.Cut(string(all[before].Data), "\r\n\r\n")
				has(t, "header", header, account)
				hasNot(t, "header", header, "\nbcc:", "two@x.example")
				if all[before].From != account {
					t.Errorf("envelope sender %q", all[before].From)
				}
			})
		}
	}
}

// Two Postfix servers: recipients by domain, one refused by its server, one that no
// server takes, and a Maildir for the rest.
func TestSeveralSmarthosts(t *testing.T) {
	plain, bare := mailbox(t, "plain"), mailbox(t, "bare")
	dir := filepath.Join(t.TempDir(), "Maildir")
	text := fmt.Sprintf(`domain = "client.example"
[log]
to = %q
[[smarthost]]
name = "first"
recipients = ["plain.*@dest.example", "refused@*"]
host = "127.0.0.1"
port = %d
[[smarthost]]
name = "second"
recipients = "bare.*@dest.example"
host = "127.0.0.1"
port = %d
`, logFile(), portPlain, portBare)
	write := func(more string) {
		writeConfiguration(t, text+more)
	}
	write("")
	got := run(t, "Subject: x\n\nbody\n", sendmail, "-i", plain, bare, "refused@dest.example", "nobody@else.example")
	if got.status != 69 && got.status != 67 {
		t.Errorf("%+v", got)
	}
	has(t, "stderr", got.stderr, "refused@dest.example: 5", "nobody@else.example: /etc/postern/smarthost.toml: no smarthost takes mail")
	hasNot(t, "stderr", got.stderr, plain, bare)
	for _, to := range []string{plain, bare} {
		if got := waitFor(t, to); got.body() != "body\n" {
			t.Errorf("%s: %q", to, got.body())
		}
	}
	write(fmt.Sprintf("[[smarthost]]\ncapture = %q\n", dir))
	run(t, "Subject: x\n\nbody\n", sendmail, "-i", "nobody@else.example").must(t)
	files, err := filepath.Glob(dir + "/new/*")
	if err != nil || len(files) != 1 {
		t.Fatalf("captured %q, %v", files, err)
	}
	captured, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	has(t, "captured", string(captured), "X-Envelope-To: <nobody@else.example>\n", "X-Envelope-From: <root@client.example>\n", "\n\nbody\n")
}
