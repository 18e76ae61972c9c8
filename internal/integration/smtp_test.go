//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/smtp"
)

// keywords are the extensions that one service of Postfix each does without, the
// first without none; the services are on the ports from portWithout on.
func keywords() []string {
	return []string{"none", "pipelining", "chunking", "size", "8bitmime,smtputf8", "dsn", "smtputf8", "enhancedstatuscodes", "starttls"}
}

const portWithout = 2540

// withoutServices are lines of master.cf for them.
func withoutServices() (lines string) {
	for i, k := range keywords() {
		lines += fmt.Sprintf("\n%d inet n - n - - smtpd\n  -o smtpd_tls_security_level=may\n  -o smtpd_discard_ehlo_keywords=%s", portWithout+i, strings.TrimPrefix(k, "none"))
	}
	return lines
}

// Where Dovecot asks whether a token is good, and the one that is.
const (
	portTokens = 8090
	goodToken  = "ya29.the-good-token_with.dots~and-more"
)

// startTokens answers what Dovecot asks about tokens (RFC 7662), on loopback.
func startTokens() error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", portTokens))
	if err != nil {
		return err
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("token") == goodToken {
			fmt.Fprintf(w, `{"active":true,"username":%q}`, accountName)
			return
		}
		fmt.Fprint(w, `{"active":false}`)
	}
	go http.Serve(l, http.HandlerFunc(answer)) //nolint:errcheck // it ends with the process
	return put("/etc/dovecot/oauth2.conf", fmt.Sprintf(`
	introspection_mode = post
	introspection_url = http://127.0.0.1:%d/
	username_attribute = username
	active_attribute = active
	active_value = true
	`, portTokens), 0o644)
}

// withToken is the [smarthost] part for a login by token.
func withToken(mechanism, source string) string {
	text := login(portSubmission, "starttls", fmt.Sprintf("auth = [%q]\n%s", mechanism, source))
	return strings.Replace(text, "password =", "# password =", 1)
}

// Both mechanisms for tokens, from a file and from a program.
func TestTokenLogin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(goodToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mechanism := range []string{"XOAUTH2", "OAUTHBEARER"} {
		for name, source := range map[string]string{
			"file":    fmt.Sprintf("token_file = %q", file),
			"command": fmt.Sprintf(`token_command = ["/bin/cat", %q]`, file),
		} {
			t.Run(mechanism+"/"+name, func(t *testing.T) {
				configure(t, withToken(mechanism, source))
				to := mailbox(t, "to")
				got := run(t, "Subject: x\n\nbody\n", sendmail, "-v", "-i", to)
				if got.status != 0 {
					t.Fatalf("%+v", got)
				}
				has(t, "dialogue", got.stderr, "> AUTH "+mechanism+" [secret]")
				hasNot(t, "dialogue", got.stderr, goodToken)
				has(t, "trace", waitFor(t, to).trace, "Authenticated sender: "+accountName)
			})
		}
		t.Run(mechanism+"/expired", func(t *testing.T) {
			configure(t, withToken(mechanism, `token_command = ["/bin/echo", "an-old-token"]`))
			got := run(t, "Subject: x\n\nbody\n", sendmail, "-i", mailbox(t, "to"))
			if got.status != 77 {
				t.Errorf("status %d, want 77", got.status)
			}
			has(t, "stderr", got.stderr, "535")
			hasNot(t, "stderr", got.stderr, "an-old-token")
		})
	}
}

// Without any one extension the message arrives as well, and what belongs to the
// extension is not said; with all of them it is.
func TestWithoutExtension(t *testing.T) {
	said := map[string]string{"chunking": "BDAT ", "size": "SIZE=", "8bitmime,smtputf8": "BODY=8BITMIME", "dsn": "NOTIFY=SUCCESS", "starttls": "STARTTLS\n"}
	body := "Grüße\n.dot\n\n.\nend\n"
	send := func(t *testing.T, port int) (stored, string) {
		configure(t, fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\nserver_name = \"smarthost.test\"\nca_file = %q\n", port, filepath.Join(world.root, "ca.pem")))
		to := mailbox(t, "to")
		got := run(t, "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"+body, sendmail, "-v", "-N", "success", "-i", to)
		if got.status != 0 {
			t.Fatalf("%+v", got)
		}
		return waitFor(t, to), got.stderr
	}
	for i, keyword := range keywords() {
		t.Run(keyword, func(t *testing.T) {
			got, dialogue := send(t, portWithout+i)
			for other, word := range said {
				if there := strings.Contains(fromUs(dialogue), word); there == (other == keyword) && (other != "chunking" || keyword != "pipelining") {
					t.Errorf("%q: %v\n%s", word, there, dialogue)
				}
			}
			if keyword == "8bitmime,smtputf8" { // SMTPUTF8 asks for 8BITMIME (RFC 6531 3.1)
				has(t, "header", got.header(), "quoted-printable")
			} else if got.body() != body {
				t.Errorf("%q", got.body())
			}
		})
	}
}

// fromUs are our lines of a dialogue.
func fromUs(dialogue string) (lines string) {
	for line := range strings.Lines(dialogue) {
		if strings.HasPrefix(line, "> ") {
			lines += line
		}
	}
	return lines
}

// A drain with a window at servers of two makes: what was taken is there, once
// and from the right sender, and what was not is not. Exim may hang up on the way,
// when it has heard RSET too often.
func TestWindow(t *testing.T) {
	for name, where := range map[string]struct {
		port int
		dir  string
		all  bool // nothing is left over
	}{"postfix": {portPlain, world.mail, true}, "exim": {portExim, world.eximMail, false}} {
		t.Run(name, func(t *testing.T) {
			const n = 40
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c, err := smtp.Dial(ctx, smtp.Config{Hosts: []string{"127.0.0.1"}, Port: where.port, TLS: smtp.None, LocalName: hostName})
			if err != nil {
				t.Fatal(err)
			}
			sent := 0
			fates := map[string]smtp.Fate{}
			var first error
			err = c.Drain(ctx, smtp.DrainOptions{Window: 10}, func(context.Context) (*smtp.Transaction, error) {
				if sent == n {
					return nil, io.EOF
				}
				sent++
				to := mailbox(t, fmt.Sprintf("w%d", sent))
				return &smtp.Transaction{Envelope: smtp.Envelope{Sender: fmt.Sprintf("from%d@client.example", sent), Recipients: smtp.RecipientsOf(to)},
					Message: smtp.Bytes(fmt.Appendf(nil, "Subject: %d\n\n.body %d\n", sent, sent))}, nil
			}, func(tx *smtp.Transaction, r smtp.Result) {
				fates[tx.Envelope.Recipients[0].Address] = r.Recipients[0].Fate
				if first == nil {
					first = r.Recipients[0].Err
				}
			})
			if (err != nil || first != nil) && where.all {
				t.Errorf("%v, %v", err, first)
			}
			taken := 0
			for i := range sent {
				to := mailbox(t, fmt.Sprintf("w%d", i+1))
				if fates[to] != smtp.Taken {
					continue
				}
				taken++
				got := waitIn(t, filepath.Join(where.dir, "inbox/new"), to)
				if got.sender != fmt.Sprintf("from%d@client.example", i+1) || got.body() != fmt.Sprintf(".body %d\n", i+1) {
					t.Errorf("%+v", got)
				}
			}
			for to, fate := range fates {
				if found := lookIn(t, filepath.Join(where.dir, "inbox/new"), to); len(found) > 1 || fate == smtp.NotTaken && len(found) > 0 {
					t.Errorf("%s, %v: there %d times", to, fate, len(found))
				}
			}
			if taken < 5 || len(fates) != sent {
				t.Errorf("%d of %d taken, %d told: %v", taken, sent, len(fates), err)
			}
			t.Logf("%d of %d taken on one connection (%v, %v)", taken, sent, err, first)
		})
	}
}

// -bv asks the smarthost by VRFY.
func TestVerifyAddresses(t *testing.T) {
	plainSmarthost(t)
	got := run(t, "", sendmail, "-bv", "someone@dest.example", "refused@dest.example")
	if got.status != 67 {
		t.Errorf("%+v", got)
	}
	has(t, "stdout", got.stdout, "someone@dest.example ... relay 127.0.0.1: it does not say whether the address exists\n",
		"refused@dest.example ... relay 127.0.0.1: 550 5.1.1 <refused@dest.example>: Recipient address rejected: No such mailbox here\n")
}

// --check tells each step that works, and for the first that does not what to
// change.
func TestCheckSteps(t *testing.T) {
	good := login(portSubmission, "starttls", "")
	swap := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	for name, test := range map[string]struct {
		config string
		status int
		steps  []string // at the beginning of a line, in order
		advice string
	}{
		"all is well":                         {good, 0, []string{"config:", "connection:", "TLS:", "login:", "certificate:", "sender:", "recipient:", "result:"}, ""},
		"no such name":                        {swap(`"127.0.0.1"`, `"nowhere.invalid"`), -1, []string{"config:", "name: FAILED"}, ""},
		"nobody there":                        {swap("port = 587", "port = 5877"), 75, []string{"config:", "connection: FAILED"}, "check host, port and tls"},
		"unknown authority":                   {swap("ca_file", "# ca_file"), 69, []string{"connection:", "TLS: FAILED"}, "set ca_file"},
		"another name":                        {swap("smarthost.test", "other.test"), 69, []string{"connection:", "TLS: FAILED"}, `set server_name = "smarthost.test"`},
		"implicit TLS at a port for STARTTLS": {swap("starttls", "implicit"), 69, []string{"TLS: FAILED"}, `set tls = "starttls"`},
		"the name of the host":                {swap(`"127.0.0.1"`, `"localhost"`), 0, []string{"name: localhost is ", "connection: localhost[", "result:"}, ""},
		"wrong password":                      {swap("password = ", "auth = [\"PLAIN\"]\npassword = \"x\" # "), 77, []string{"connection:", "TLS:", "login: FAILED"}, "check username and password"},
		"no login": {fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\nserver_name = \"smarthost.test\"\nca_file = %q\n", portSubmission, filepath.Join(world.root, "ca.pem")),
			-1, []string{"connection:", "TLS:", "login: none configured", "sender:"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			configure(t, test.config)
			got := run(t, "", sendmail, "--check", "someone@dest.example")
			if test.status >= 0 && got.status != test.status || test.status < 0 && got.status == 0 {
				t.Errorf("status %d, want %d", got.status, test.status)
			}
			lines := strings.Split(got.stdout, "\n")
			for _, step := range test.steps {
				i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(strings.Join(strings.Fields(l), " "), step) })
				if i < 0 {
					t.Fatalf("%q is missing, or too early, in\n%s%s", step, got.stdout, got.stderr)
				}
				lines = lines[i+1:]
			}
			has(t, "stderr", got.stderr, test.advice)
			hasNot(t, "output", got.stdout+got.stderr, accountPassword)
		})
	}
}

// --server-info --report=json is for scripts.
func TestServerInfo(t *testing.T) {
	info := func(t *testing.T, config string) (out map[string]any) {
		configure(t, config)
		got := run(t, "", sendmail, "--server-info", "--report=json")
		if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
			t.Fatalf("%v: %+v", err, got)
		}
		return out
	}
	postfix := info(t, login(portSubmission, "starttls", ""))
	for key, want := range map[string]string{"verified": "true", "tls": "TLS 1.3", "problem": "", "server": "127.0.0.1"} {
		if got := fmt.Sprint(postfix[key]); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	mechanisms := fmt.Sprint(postfix["mechanisms"])
	if want := "[OAUTHBEARER XOAUTH2 SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN]"; mechanisms != want {
		t.Errorf("mechanisms %s, want %s", mechanisms, want)
	}
	stranger := info(t, strings.Replace(login(portSubmission, "starttls", ""), "ca_file", "# ca_file", 1))
	if stranger["verified"] != false || !strings.Contains(fmt.Sprint(stranger["problem"]), "unknown authority") || len(stranger["certificates"].([]any)) == 0 {
		t.Errorf("%v", stranger)
	}
	exim := info(t, fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", portExim))
	if offers := exim["capabilities"].([]any); exim["tls"] != "" || !slices.Contains(offers, any("CHUNKING")) {
		t.Errorf("%v", exim)
	}
}
