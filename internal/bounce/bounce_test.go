package bounce

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const message = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@client.example>\r\nTo: a@x.example\r\n\r\nbody\r\n"

func report(change func(*Report)) Report {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	r := Report{
		Host: "web1.client.example", Domain: "client.example", To: "sender@client.example", Sender: "sender@client.example",
		EnvelopeID: "env1", Arrived: now.Add(-time.Hour), Now: now, Until: now.Add(24 * time.Hour), MessageID: "2@client.example",
		Boundary: "bound-0123456789abcdef0123",
		Recipients: []Recipient{{Address: "a@x.example", Status: "5.1.1", Reply: "550 5.1.1 no such user",
			Server: "mx.x.example", LastTry: now}},
	}
	if change != nil {
		change(&r)
	}
	return r
}

func write(t *testing.T, r Report, original string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, strings.NewReader(original), int64(len(original))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const failure = "From: Mail Delivery System <MAILER-DAEMON@client.example>\r\n" +
	"To: sender@client.example\r\n" +
	"Subject: =?utf-8?q?Undelivered_mail:_Gr=C3=BC=C3=9Fe?=\r\n" +
	"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n" +
	"Message-Id: <2@client.example>\r\n" +
	"In-Reply-To: <1@client.example>\r\n" +
	"References: <1@client.example>\r\n" +
	"Auto-Submitted: auto-replied\r\n" +
	"Mime-Version: 1.0\r\n" +
	"Content-Transfer-Encoding: 8bit\r\n" +
	"Content-Type: multipart/report; report-type=delivery-status;\r\n" +
	" boundary=\"bound-0123456789abcdef0123\"\r\n" +
	"\r\n" +
	"--bound-0123456789abcdef0123\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: 8bit\r\n" +
	"\r\n" +
	"This is the mail system at web1.client.example.\r\n" +
	"\r\n" +
	"Your message could not be delivered to the following recipients.\r\n" +
	"It will not be tried again.\r\n" +
	"\r\n" +
	"<a@x.example>: the server mx.x.example said: 550 5.1.1 no such user\r\n" +
	"\r\n" +
	"--bound-0123456789abcdef0123\r\n" +
	"Content-Type: message/delivery-status\r\n" +
	"Content-Transfer-Encoding: 7bit\r\n" +
	"\r\n" +
	"Reporting-MTA: dns; web1.client.example\r\n" +
	"Original-Envelope-Id: env1\r\n" +
	"Arrival-Date: Tue, 24 Nov 2026 11:00:00 +0000\r\n" +
	"\r\n" +
	"Final-Recipient: rfc822; a@x.example\r\n" +
	"Action: failed\r\n" +
	"Status: 5.1.1\r\n" +
	"Remote-MTA: dns; mx.x.example\r\n" +
	"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n" +
	"Last-Attempt-Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n" +
	"\r\n" +
	"--bound-0123456789abcdef0123\r\n" +
	"Content-Type: text/rfc822-headers\r\n" +
	"Content-Transfer-Encoding: 7bit\r\n" +
	"\r\n" +
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@client.example>\r\nTo: a@x.example\r\n" +
	"\r\n" +
	"--bound-0123456789abcdef0123--\r\n"

func TestFailure(t *testing.T) {
	if got := write(t, report(nil), message); got != failure {
		t.Errorf("got\n%s\nwant\n%s", got, failure)
	}
}

// parts parses a report with the standard library.
func parts(t *testing.T, text string) (header mail.Header, bodies []string, types []string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || media != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("%s %v %v", media, params, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return m.Header, bodies, types
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(body))
		types = append(types, p.Header.Get("Content-Type"))
	}
}

// status parses the fields about the message and about the first recipient.
func status(t *testing.T, part string) (perMessage, perRecipient textproto.MIMEHeader) {
	t.Helper()
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(part + "\r\n\r\n")))
	a, err := r.ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestKinds(t *testing.T) {
	tests := []struct {
		why                      string
		change                   func(*Report)
		subject, words, action   string
		statusCode, originalType string
	}{
		{"failure", nil, "Undelivered mail: Grüße", "could not be delivered", "failed", "5.1.1", "text/rfc822-headers"},
		{"the whole message if RET=FULL", func(r *Report) { r.Return = "FULL" }, "Undelivered mail: Grüße", "550 5.1.1 no such user", "failed", "5.1.1", "message/rfc822"},
		{"delay", func(r *Report) { r.Kind = Delay; r.Recipients[0].Status = "4.7.1" }, "Delayed mail: Grüße", "You need not send it again", "delayed", "4.7.1", "text/rfc822-headers"},
		{"postmaster", func(r *Report) { r.Kind = Postmaster }, "Undelivered mail: Grüße", "its sender cannot be told", "failed", "5.1.1", "text/rfc822-headers"},
		{"expired: a 4yz answer became a failure", func(r *Report) { r.Recipients[0].Status = "4.7.1" }, "Undelivered mail: Grüße", "said", "failed", "5.4.7", "text/rfc822-headers"},
		{"no answer at all", func(r *Report) {
			r.Recipients[0] = Recipient{Address: "a@x.example", Reason: "no server answered for 5 days"}
		}, "Undelivered mail: Grüße", "no server answered for 5 days", "failed", "5.0.0", "text/rfc822-headers"},
		{"maybe delivered", func(r *Report) { r.Recipients[0].Maybe = true }, "Undelivered mail: Grüße", "may have been delivered", "failed", "5.1.1", "text/rfc822-headers"},
	}
	for _, test := range tests {
		header, bodies, types := parts(t, write(t, report(test.change), message))
		if len(bodies) != 3 || types[2] != test.originalType {
			t.Fatalf("%s: %q", test.why, types)
		}
		subject, err := (&mime.WordDecoder{}).DecodeHeader(header.Get("Subject"))
		if err != nil || subject != test.subject {
			t.Errorf("%s: subject %q %v", test.why, subject, err)
		}
		if words := strings.ReplaceAll(bodies[0], "\r\n", " "); !strings.Contains(words, test.words) {
			t.Errorf("%s: %q is missing in %s", test.why, test.words, words)
		}
		_, r := status(t, bodies[1])
		if r.Get("Action") != test.action || r.Get("Status") != test.statusCode || r.Get("Final-Recipient") != "rfc822; a@x.example" {
			t.Errorf("%s: %v", test.why, r)
		}
	}
}

// Nothing from outside becomes a field, a part or a control character.
func TestHostile(t *testing.T) {
	tests := []struct {
		why      string
		change   func(*Report)
		original string
	}{
		{"a reply with a line end", func(r *Report) { r.Recipients[0].Reply = "550 a\r\nAction: delivered\r\n\r\nx" }, message},
		{"a reply with an escape sequence", func(r *Report) { r.Recipients[0].Reply = "550 \x1b[2J" }, message},
		{"a reply of 10 kB", func(r *Report) { r.Recipients[0].Reply = "550 " + strings.Repeat("x", 10_000) }, message},
		{"a sender with a line end", func(r *Report) { r.Kind, r.Sender = Postmaster, "a@b\r\nBcc: c@d" }, message},
		{"an address in UTF-8", func(r *Report) { r.Recipients[0].Address = "jürgen@x.example" }, message},
		{"a subject with a hidden line end", nil, "Subject: =?utf-8?q?a=0D=0ABcc:_x@y?=\r\n\r\n"},
		{"a subject in an unknown charset", nil, "Subject: =?klingon?q?x?=\r\n\r\n"},
		{"a subject of 10 kB", nil, "Subject: " + strings.Repeat("x ", 450) + "\r\n " + strings.Repeat("y ", 450) + "\r\n\r\n"},
		{"a message id that is none", nil, "Message-ID: <a> <b\r\n c>\r\n\r\n"},
		{"8-bit in the header", nil, "Subject: Grüße\r\n\r\n"},
		{"octets that are not UTF-8", nil, "Subject: Gr\xfc\xdfe\r\n\r\n"},
		{"no end of the header", nil, "Subject: x\r\nTo: y"},
		{"no message", nil, ""},
		{"a header of 1 MB", nil, strings.Repeat("X-Field: 0123456789\r\n", 50_000) + "\r\n"},
	}
	for _, test := range tests {
		check(t, test.why, write(t, report(test.change), test.original))
	}
}

// check asserts what must hold of every report.
func check(t *testing.T, why, text string) {
	t.Helper()
	header, bodies, _ := parts(t, text)
	if len(bodies) != 3 {
		t.Fatalf("%s: %d parts", why, len(bodies))
	}
	if len(header) != 11 && len(header) != 9 {
		t.Errorf("%s: fields %v", why, header)
	}
	perMessage, r := status(t, bodies[1])
	if r.Get("Action") != "failed" || len(r) > 6 || len(perMessage) != 3 {
		t.Errorf("%s: %v %v", why, perMessage, r)
	}
	head, _, _ := strings.Cut(text, "--bound-")
	for line := range strings.Lines(head + bodies[0] + bodies[1]) {
		line = strings.TrimSuffix(line, "\r\n")
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			t.Errorf("%s: line %.100q", why, line)
		}
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	if err := Write(io.Discard, report(nil), iotest.ErrReader(broken), 1); !errors.Is(err, broken) {
		t.Errorf("a broken message: %v", err)
	}
	if err := Write(failing{broken}, report(nil), strings.NewReader(message), 1); !errors.Is(err, broken) {
		t.Errorf("a broken writer: %v", err)
	}
	if err := Write(io.Discard, report(nil), strings.NewReader("X: bound-0123456789abcdef0123\r\n"), 1); !errors.Is(err, ErrBoundary) {
		t.Errorf("a boundary in the message: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func FuzzWrite(f *testing.F) {
	f.Add("a@b", "550 no", "Subject: x\r\n\r\nbody")
	f.Add("ü@b", "\r\n\x00", "Message-ID: <\r\n")
	f.Fuzz(func(t *testing.T, address, reply, original string) {
		r := report(func(r *Report) { r.Recipients[0].Address, r.Recipients[0].Reply = address, reply })
		if strings.Contains(address+reply+original, "bound-") {
			return
		}
		check(t, "fuzz", write(t, r, original))
	})
}

// A sender who used another address, as of a list or an alias, finds it in the
// report (RFC 3464 2.3.1), right in front of the one that failed.
func TestOriginalRecipient(t *testing.T) {
	got := write(t, report(func(r *Report) { r.Recipients[0].Original = "rfc822;list@client.example" }), message)
	want := "\r\n\r\nOriginal-Recipient: rfc822;list@client.example\r\nFinal-Recipient: rfc822; a@x.example\r\n"
	if !strings.Contains(got, want) {
		t.Errorf("%q is missing in\n%s", want, got)
	}
}
