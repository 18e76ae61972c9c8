//go:build integration

package integration

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const sendmail = "/usr/sbin/sendmail"

// login is the [smarthost] part for Postfix with TLS and a login.
func login(port int, tls, more string) string {
	return fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\ntls = %q\nserver_name = \"smarthost.test\"\nca_file = %q\nusername = %q\npassword = %q\n%s\n",
		port, tls, filepath.Join(world.root, "ca.pem"), accountName, accountPassword, more)
}

// Every mechanism that Dovecot has, over both kinds of TLS.
func TestLogin(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"} {
		for port, tls := range map[int]string{portSubmission: "starttls", portImplicit: "implicit"} {
			t.Run(mechanism+"/"+tls, func(t *testing.T) {
				configure(t, login(port, tls, fmt.Sprintf("auth = [%q]", mechanism)))
				to := mailbox(t, "to")
				run(t, "Subject: x\n\nbody\n", sendmail, "-i", to).must(t)
				has(t, "trace", waitFor(t, to).trace, "TLSv1.3", "Authenticated sender: "+accountName)
			})
		}
	}
}

// Without "auth" the strongest that both know is taken, and it works.
func TestLoginByItself(t *testing.T) {
	configure(t, login(portSubmission, "starttls", ""))
	to := mailbox(t, "to")
	got := run(t, "Subject: x\n\nbody\n", sendmail, "-v", "-i", to)
	if got.status != 0 {
		t.Fatalf("%+v", got)
	}
	has(t, "dialogue", got.stderr, "AUTH SCRAM-SHA-256", "STARTTLS")
	hasNot(t, "dialogue", got.stderr, accountPassword)
	waitFor(t, to)
}

// A wrong password is for good (77), says so, and no mail is sent.
func TestWrongPassword(t *testing.T) {
	wrong := strings.Replace(login(portSubmission, "starttls", ""), fmt.Sprintf("password = %q", accountPassword), `password = "not-the-one"`, 1)
	configure(t, wrong)
	got := run(t, "Subject: x\n\nbody\n", sendmail, "-i", mailbox(t, "to"))
	if got.status != 77 {
		t.Errorf("status %d, want 77", got.status)
	}
	has(t, "stderr", got.stderr, "535", "authentication")
	hasNot(t, "stderr", got.stderr, "not-the-one")
}

// A certificate of an unknown authority is refused before the login (69).
func TestUnknownAuthority(t *testing.T) {
	without := strings.Replace(login(portSubmission, "starttls", ""), "ca_file", "# ca_file", 1)
	configure(t, without)
	got := run(t, "Subject: x\n\nbody\n", sendmail, "-i", mailbox(t, "to"))
	if got.status != 69 {
		t.Errorf("status %d, want 69", got.status)
	}
	has(t, "stderr", got.stderr, "certificate")
}

// A certificate for another name is refused too (69).
func TestWrongName(t *testing.T) {
	configure(t, strings.Replace(login(portImplicit, "implicit", ""), "smarthost.test", "other.test", 1))
	got := run(t, "Subject: x\n\nbody\n", sendmail, "-i", mailbox(t, "to"))
	if got.status != 69 {
		t.Errorf("status %d, want 69", got.status)
	}
	has(t, "stderr", got.stderr, "other.test")
}

// A client certificate is our login at port 588.
func TestClientCertificate(t *testing.T) {
	base := fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\ntls = \"starttls\"\nserver_name = \"smarthost.test\"\nca_file = %q\n", portClientCert, filepath.Join(world.root, "ca.pem"))
	to := mailbox(t, "to")
	configure(t, base+fmt.Sprintf("client_cert = %q\n", filepath.Join(world.root, "client.pem")))
	run(t, "Subject: x\n\nbody\n", sendmail, "-i", to).must(t)
	has(t, "trace", waitFor(t, to).trace, "Client CN")

	configure(t, base)
	if got := run(t, "Subject: x\n\nbody\n", sendmail, "-i", mailbox(t, "none")); got.status == 0 {
		t.Errorf("sent without the certificate: %+v", got)
	}
}

// A pinned certificate needs no authority.
func TestFingerprint(t *testing.T) {
	pin, err := os.ReadFile(filepath.Join(world.root, "server.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(login(portImplicit, "implicit", fmt.Sprintf("fingerprint = %q", pin)), "ca_file", "# ca_file", 1)
	configure(t, text)
	to := mailbox(t, "to")
	run(t, "Subject: x\n\nbody\n", sendmail, "-i", to).must(t)
	waitFor(t, to)
}

// One good and one refused recipient: the good one gets it, the other is named (67).
func TestPartlyRefused(t *testing.T) {
	plainSmarthost(t)
	to := mailbox(t, "to")
	got := run(t, "Subject: x\n\nbody\n", sendmail, "-i", "refused@dest.example", to)
	if got.status != 67 {
		t.Errorf("status %d, want 67: %s", got.status, got.stderr)
	}
	has(t, "stderr", got.stderr, "refused@dest.example", "5.1.1", "No such mailbox here")
	hasNot(t, "stderr", got.stderr, to)
	waitFor(t, to)
}

// Greylisting without a spool is 75 and nothing is kept.
func TestGreylisted(t *testing.T) {
	plainSmarthost(t)
	got := run(t, "Subject: x\n\nbody\n", sendmail, "-i", "later@dest.example")
	if got.status != 75 {
		t.Errorf("status %d, want 75", got.status)
	}
	has(t, "stderr", got.stderr, "later@dest.example", "Greylisted")
}

// bodies that must arrive byte for byte where the server can take them.
var bodies = map[string]string{
	"dots":     ".\n..\n.x\n\n.\n",
	"utf8":     "Grüße aus Köln\n",
	"latin1":   "Gr\xfc\xdfe\n",
	"crlf":     "one\r\ntwo\r\n",
	"no-end":   "no newline at the end",
	"long-998": strings.Repeat("y", 998) + "\n",
	"blank":    "\n\n\n",
	"from":     "From here on\n>From there\n",
}

// wanted is what a body is on the wire, in LF form.
func wanted(body string) string {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	if !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	return body
}

func TestBytes(t *testing.T) {
	servers := map[string]struct {
		port int
		wait func(*testing.T, string) stored
	}{
		"postfix": {portPlain, waitFor},
		"exim":    {portExim, waitForExim},
	}
	for server, where := range servers {
		for name, body := range bodies {
			t.Run(server+"/"+name, func(t *testing.T) {
				configure(t, fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", where.port))
				to := mailbox(t, "to")
				header := "From: a@client.example\nX-Odd:\ttab and  blanks \n continued\nDKIM-Signature: v=1; b=abc\n\tdef=\nTo:" + to + "\nDate: Tue, 24 Nov 2026 12:00:00 +0000\nMessage-ID: <1@client.example>\n"
				run(t, header+"\n"+body, sendmail, "-t", "-i").must(t)
				got := where.wait(t, to)
				if got.raw != header+"\n"+wanted(body) {
					t.Errorf("stored %q\nwant %q", got.raw, header+"\n"+wanted(body))
				}
			})
		}
	}
}

// A server that offers nothing gets 7-bit lines of at most 998 octets, and a
// foreign MIME parser reads from them what was sent.
func TestDownConversion(t *testing.T) {
	configure(t, fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", portBare))
	to := mailbox(t, "to")
	body := "Grüße\n" + strings.Repeat("long ", 1000) + "\nnul \x00 end\n"
	run(t, "Subject: x\n\n"+body, sendmail, "-i", to).must(t)
	got := waitFor(t, to)
	has(t, "header", got.header(), "Content-Transfer-Encoding: quoted-printable")
	for _, line := range strings.Split(got.raw, "\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r > 126 || r == 0 }) {
			t.Errorf("a line that no 7-bit server takes: %.80q (%d)", line, len(line))
		}
	}
	decoded := run(t, got.raw, "perl", "-MMIME::QuotedPrint", "-0777", "-ne", `s/^.*?\n\n//s; print decode_qp($_)`)
	if decoded.stdout != body {
		t.Errorf("decoded %q, want %q", decoded.stdout, body)
	}
}

// An address in UTF-8 goes by SMTPUTF8 where it is offered and is refused where not.
func TestSMTPUTF8(t *testing.T) {
	plainSmarthost(t)
	to := "jürgen." + mailbox(t, "to")
	run(t, "To: "+to+"\nSubject: x\n\nbody\n", sendmail, "-t", "-i").must(t)
	waitFor(t, to)

	configure(t, fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", portBare))
	got := run(t, "To: "+to+"\nSubject: x\n\nbody\n", sendmail, "-t", "-i")
	if got.status != 65 {
		t.Errorf("status %d, want 65", got.status)
	}
	has(t, "stderr", got.stderr, "SMTPUTF8")
}

// A big message over CHUNKING and DATA, byte for byte.
func TestBig(t *testing.T) {
	body := strings.Repeat(".line of a big message that is not short\n", 500_000)
	for name, where := range map[string]struct {
		port int
		wait func(*testing.T, string) stored
	}{"postfix": {portPlain, waitFor}, "bare": {portBare, waitFor}, "exim": {portExim, waitForExim}} {
		t.Run(name, func(t *testing.T) {
			configure(t, fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", where.port))
			to := mailbox(t, "to")
			run(t, "Subject: big\n\n"+body, sendmail, "-i", to).must(t)
			if got := where.wait(t, to); got.body() != body {
				t.Errorf("body of %d bytes, want %d", len(got.body()), len(body))
			}
		})
	}
}

// More recipients than fit one transaction, one of them refused: all others get it once.
func TestManyRecipients(t *testing.T) {
	plainSmarthost(t)
	var list []string
	for i := range 300 {
		list = append(list, mailbox(t, fmt.Sprintf("r%d", i)))
	}
	got := run(t, "To: "+strings.Join(list, ",\n ")+",\n refused@dest.example\nSubject: many\n\nbody\n", sendmail, "-t", "-i")
	if got.status != 67 {
		t.Fatalf("status %d, want 67: %s", got.status, got.stderr)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		copies := map[string]int{}
		for _, s := range storedIn(t, filepath.Join(world.mail, "inbox/new")) {
			copies[s.recipient]++
		}
		missing := 0
		for _, recipient := range list {
			if copies[recipient] > 1 {
				t.Fatalf("%s got it %d times", recipient, copies[recipient])
			}
			missing += 1 - copies[recipient]
		}
		if missing == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d recipients have nothing\n%s", missing, len(list), world.logs())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// --check and --server-info tell what these servers are.
func TestCheck(t *testing.T) {
	configure(t, login(portSubmission, "starttls", ""))
	got := run(t, "", sendmail, "--check")
	if got.status != 0 {
		t.Errorf("%+v", got)
	}
	got = run(t, "", sendmail, "--server-info")
	if got.status != 0 {
		t.Errorf("%+v", got)
	}
	has(t, "stdout", got.stdout, "TLS 1.3", "PIPELINING", "SCRAM-SHA-256", "smarthost.test")
}

// A message of 100 MB passes through in bounded memory, with and without TLS.
func TestMemory(t *testing.T) {
	const most = 32 << 10 // KiB
	for name, text := range map[string]string{
		"plain": fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", portPlain),
		"tls":   login(portSubmission, "starttls", ""),
		"bare":  fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", portBare), // 8-bit text has to be encoded
	} {
		t.Run(name, func(t *testing.T) {
			configure(t, text)
			line := strings.Repeat("text ", 13) + "ü\n"
			text := io.MultiReader(strings.NewReader("Subject: big\n\n"), &repeated{line: line, left: 100 << 20 / len(line)})
			if rss := measured(t, text, sendmail, "-i", mailbox(t, "to")); rss > most {
				t.Errorf("%d KiB of memory, want at most %d", rss, most)
			} else {
				t.Logf("%d KiB of memory", rss)
			}
		})
	}
}

// repeated yields a line many times.
type repeated struct {
	line string
	left int
	rest string
}

func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if r.rest == "" {
			if r.left == 0 {
				break
			}
			r.left--
			r.rest = r.line
		}
		k := copy(p[n:], r.rest)
		r.rest = r.rest[k:]
		n += k
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
