package headers

import (
	"strings"
	"testing"
	"time"
)

func submission() Submission {
	return Submission{
		Domain: "client.example", Sender: Address{"joe", "client.example"}, FullName: "Joe User",
		Date:      time.Date(2026, 11, 24, 12, 0, 0, 0, time.FixedZone("", 3600)),
		MessageID: "id@client.example",
	}
}

const added = "Date: Tue, 24 Nov 2026 12:00:00 +0100\r\nFrom: Joe User <joe@client.example>\r\nMessage-ID: <id@client.example>\r\n"

func TestComplete(t *testing.T) {
	const all = "Date: x\nFrom: a@x\nMessage-ID: <1>\n"
	const kept = "Date: x\r\nFrom: a@x\r\nMessage-ID: <1>\r\n"
	tests := []struct{ why, in, want string }{
		{"nothing there: three fields, no To", "", added},
		{"they come in front", "Subject: x\n", added + "Subject: x\r\n"},
		{"but after trace fields", "Received: by a\nDKIM-Signature: v=1\nSubject: x\n", "Received: by a\r\nDKIM-Signature: v=1\r\n" + added + "Subject: x\r\n"},
		{"all there: not an octet changes", "DATE:  x\nfrom:\ta@x (c)\nMessage-Id:<1>\nX:y\n z\n", "DATE:  x\r\nfrom:\ta@x (c)\r\nMessage-Id:<1>\r\nX:y\r\n z\r\n"},
		{"empty ones stay", "Date:\nFrom:\nMessage-ID:\n", "Date:\r\nFrom:\r\nMessage-ID:\r\n"},
		{"doubled ones stay", all + "Date: y\nFrom: b@x\n", kept + "Date: y\r\nFrom: b@x\r\n"},
		{"Bcc goes in every form", all + "Bcc: a\nBCC: b,\n c,\n\td\nbcc :e\nBcc:\nTo: x@y\n", kept + "To: x@y\r\n"},
		{"X-Bcc stays", all + "X-Bcc: a\n", kept + "X-Bcc: a\r\n"},
		{"Return-Path and Content-Length go", all + "Return-Path: <a@x>\nContent-Length: 5\n", kept},
		{"others stay", all + "Delivered-To: a\nErrors-To: b\nReturn-Receipt-To: root\nLines: 3\n", kept + "Delivered-To: a\r\nErrors-To: b\r\nReturn-Receipt-To: root\r\nLines: 3\r\n"},

		{"cron's From", "Date: x\nMessage-ID: <1>\nFrom: root (Cron Daemon)\n", "Date: x\r\nMessage-ID: <1>\r\nFrom: root@client.example (Cron Daemon)\r\n"},
		{"names, comments and folds stay", all + "To: \"Doe, Jane\" <jane>,\n\troot (c), x@y\n", kept + "To: \"Doe, Jane\" <jane@client.example>,\r\n\troot@client.example (c), x@y\r\n"},
		{"groups", all + "Cc: g: a, b@y;\n", kept + "Cc: g: a@client.example, b@y;\r\n"},
		{"Sender, Reply-To", all + "Sender: s\nReply-To: r\n", kept + "Sender: s@client.example\r\nReply-To: r@client.example\r\n"},
		{"no other field", all + "X-To: joe\nErrors-To: joe\n", kept + "X-To: joe\r\nErrors-To: joe\r\n"},
		{"a quoted bare name", all + "To: \"a b\"\n", kept + "To: \"a b\"@client.example\r\n"},
		{"what is bad is left alone", all + "To: a@, b\n", kept + "To: a@, b@client.example\r\n"},
		{"two words are a name, not two users", all + "To: Jane Doe\n", kept + "To: Jane Doe\r\n"},
		{"null address", all + "To: <>\n", kept + "To: <>\r\n"},

		{"resent: its own fields, in front of the block; not the author's", "Subject: x\nResent-To: a@x\nResent-Bcc: b@x\n",
			"Subject: x\r\n" + strings.NewReplacer("Date", "Resent-Date", "From", "Resent-From", "Message-ID", "Resent-Message-ID").Replace(added) + "Resent-To: a@x\r\n"},
		{"resent with all of them", "Resent-Date: x\nResent-From: joe\nResent-Message-ID: <1>\n", "Resent-Date: x\r\nResent-From: joe@client.example\r\nResent-Message-ID: <1>\r\n"},
	}
	for _, test := range tests {
		b, _, err := Read(strings.NewReader(test.in), DefaultLimit)
		if err != nil {
			t.Fatal(err)
		}
		b.Complete(submission())
		if got := strings.TrimSuffix(string(b.Bytes()), "\r\n"); got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.why, got, test.want)
		}
	}
}

func TestCompleteFrom(t *testing.T) {
	tests := []struct {
		why    string
		change func(*Submission)
		want   string
	}{
		{"no name", func(s *Submission) { s.FullName = "" }, "joe@client.example"},
		{"null sender", func(s *Submission) { s.SenderNull = true }, "MAILER-DAEMON@client.example"},
		{"specials", func(s *Submission) { s.FullName = `Joe (X), "Q" \` }, `"Joe (X), \"Q\" \\" <joe@client.example>`},
		{"dots", func(s *Submission) { s.FullName = "J. User" }, `"J. User" <joe@client.example>`},
		{"UTF-8", func(s *Submission) { s.FullName = "Jürgen" }, "=?utf-8?q?J=C3=BCrgen?= <joe@client.example>"},
		{"a line end cannot begin a field", func(s *Submission) { s.FullName = "a\r\nBcc: x" }, `"aBcc: x" <joe@client.example>`},
		{"a quoted local part", func(s *Submission) { s.Sender.Local = "a b" }, `Joe User <"a b"@client.example>`},
	}
	for _, test := range tests {
		s := submission()
		test.change(&s)
		b := &Block{}
		b.Complete(s)
		if got, _ := b.Get("From"); got != test.want {
			t.Errorf("%s: got %q, want %q", test.why, got, test.want)
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	const in = "From: Nightly Backup <backup@web1.example.com>\nTo: Ops <ops@example.com>, root,\n\t\"Doe, Jane\" <jane@example.com>\nCc: a@example.net\nBcc: b@example.org\nSubject: hello\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nbody\n"
	b.ReportAllocs()
	for b.Loop() {
		block, _, err := Read(strings.NewReader(in), DefaultLimit)
		if err != nil {
			b.Fatal(err)
		}
		if r := block.Recipients("client.example"); len(r.Addresses) != 5 {
			b.Fatal(r)
		}
		block.Complete(submission())
	}
}
