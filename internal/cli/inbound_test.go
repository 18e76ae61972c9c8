package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/maillog"
	"postern/internal/message"
	"postern/internal/smtpd"
)

// taker remembers what would be sent of the messages of a dialogue.
type taker struct {
	inbound
	sent []string // recipients, a blank line, and the text as it goes out
}

func (k *taker) Mail(context.Context, *smtpd.Transaction) error                  { return nil }
func (k *taker) Rcpt(context.Context, *smtpd.Transaction, smtpd.Recipient) error { return nil }
func (k *taker) Reset()                                                          {}
func (k *taker) Close()                                                          {}

func (k *taker) Message(_ context.Context, t *smtpd.Transaction, content io.Reader) error {
	s, err := k.take(t, content)
	if err != nil {
		return err
	}
	defer s.close()
	m, err := s.msg.For(message.Wire{EightBitMIME: true, UTF8: true})
	if err != nil {
		return err
	}
	defer m.Close()
	r, err := m.Open()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	to := ""
	for _, r := range s.env.Recipients {
		to += r.Address + "\n"
	}
	k.sent = append(k.sent, to+"\n"+string(text))
	return smtpd.Replyf(250, [3]int{2, 0, 0}, "Ok")
}

// What is not taken is logged with the status that the reply stands for: one that
// broke off can come again, a loop cannot.
func TestInboundRefused(t *testing.T) {
	cfg, err := config.Parse("[smarthost]\nhost = \"127.0.0.1\"\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, in, reply, status string }{
		{"a loop", dialogue(strings.Repeat("Received: x\n", maxReceived+1), false, 0), "554 5.6.0 ", "status=65"},
		{"a header too large", dialogue("X: "+strings.Repeat("x", 2<<20)+"\n", false, 0), "554 5.6.0 ", "status=65"},
		{"half a message", strings.TrimSuffix(dialogue("X: y\n\nhalf", true, 0), "\r\n.\r\nQUIT\r\n"), "451 4.4.2 ", "status=74"},
	} {
		path := filepath.Join(t.TempDir(), "log")
		a := &app{name: "sendmail", now: time.Now, host: func() string { return "client.example" },
			log: maillog.Open(maillog.Options{To: path, Tag: "x", Now: time.Now, Stderr: io.Discard})}
		k := &taker{inbound: inbound{a: a, cfg: cfg, domain: "client.example", headerLimit: 1 << 20}}
		out := talk(t, k, c.in)
		a.log.Close()
		log, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(k.sent) > 0 || !strings.Contains(out, c.reply) || strings.Count(string(log), "reject: ") != 1 || !strings.Contains(string(log), c.status) {
			t.Errorf("%s: %q %s%s", c.name, k.sent, out, log)
		}
	}
}

// talk has a whole dialogue with a handler.
func talk(t *testing.T, h smtpd.Handler, in string) string {
	t.Helper()
	s := smtpd.New(t.Context(), smtpd.Options{Host: "client.example", Domain: "client.example", Now: time.Now, MaxRecipients: 100,
		Open: func(smtpd.Peer) (smtpd.Handler, error) { return h, nil }, Warn: func(text string) { t.Error(text) }})
	defer s.Close()
	var out strings.Builder
	s.Handle(smtpd.Stdio(strings.NewReader(in), &out), smtpd.Peer{UID: 1})
	return out.String()
}

// Over SMTP as well a Bcc never goes out, however the caller writes it, breaks
// lines or cuts the message into chunks, and it names no recipient: those are
// RCPT's. What is refused is not sent, and everything else is sent once.
func FuzzInboundBcc(f *testing.F) {
	for _, seed := range []string{
		"To: a@x\nBcc: secret@x\n\nbody\n",
		"bcc : secret@x\r\n\tother@x\r\nSubject: x\r\n\r\nBcc: this is text\r\n",
		"RESENT-BCC: secret@x\rBcc: b@x\n\r\nbody",
		"From u Thu Jan  1 00:00:00 1970\nBcc:\n secret@x\nX: y\nBCC:c@x",
		"\nBcc: text\n",
		".Bcc: secret@x\n.\n..\nBcc: secret@x\n",
		"B\x00cc: secret@x\n\n",
	} {
		f.Add(seed, false, uint8(3))
		f.Add(seed, true, uint8(0))
	}
	cfg, err := config.Parse("domain = \"client.example\"\n[smarthost]\nhost = \"127.0.0.1\"\n")
	if err != nil {
		f.Fatal(err)
	}
	bcc := regexp.MustCompile(`(?i)^(resent-)?bcc[ \t]*:`)
	f.Fuzz(func(t *testing.T, text string, lf bool, chunk uint8) {
		a := &app{name: "sendmail", err: io.Discard, now: time.Now, getenv: func(string) string { return "" }, host: func() string { return "client.example" }}
		k := &taker{inbound: inbound{a: a, cfg: cfg, domain: "client.example", who: person{login: "joe"}, headerLimit: headers.DefaultLimit}}
		out := talk(t, k, dialogue(text, lf, int(chunk)))
		if good := strings.Count(out, "250 2.0.0 Ok\r\n"); good != len(k.sent) || good > 1 {
			t.Fatalf("%d sent, %d good answers\n%s", len(k.sent), good, out)
		}
		for _, sent := range k.sent {
			to, text, _ := strings.Cut(sent, "\n\n")
			header, _, _ := strings.Cut(text, "\r\n\r\n")
			for line := range strings.SplitSeq(header, "\r\n") {
				if bcc.MatchString(line) {
					t.Errorf("%q went out", line)
				}
			}
			if to != "rcpt@x.example" {
				t.Errorf("recipients %q", to)
			}
		}
	})
}

// dialogue wraps a text in SMTP: in chunks of that size, or after DATA.
func dialogue(text string, lf bool, chunk int) string {
	const mail = "EHLO x\r\nMAIL FROM:<joe>\r\nRCPT TO:<rcpt@x.example>\r\n"
	if chunk == 0 {
		end := "\r\n"
		if lf {
			end = "\n"
		}
		if strings.HasPrefix(text, ".") {
			text = "." + text
		}
		return mail + "DATA" + end + strings.ReplaceAll(text, "\n.", "\n..") + "\r\n.\r\nQUIT\r\n"
	}
	var b strings.Builder
	b.WriteString(mail)
	for ; len(text) > chunk; text = text[chunk:] {
		b.WriteString("BDAT " + strconv.Itoa(chunk) + "\r\n" + text[:chunk])
	}
	b.WriteString("BDAT " + strconv.Itoa(len(text)) + " LAST\r\n" + text + "QUIT\r\n")
	return b.String()
}
