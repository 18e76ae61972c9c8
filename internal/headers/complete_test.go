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

func TestFold(t *testing.T) {
	word := strings.Repeat("x", 400) + " "
	tests := []struct{ why, value string }{
		{"at blanks", strings.Repeat(word, 20)},
		{"by force", strings.Repeat("x", 5000)},
		{"characters stay whole", strings.Repeat("ü", 2000)},
		{"a run of blanks makes no blank line", "a" + strings.Repeat(" ", 3000) + "b"},
		{"blanks at the end", strings.Repeat("x", 990) + strings.Repeat(" ", 2000)},
	}
	for _, test := range tests {
		b, _, err := Read(strings.NewReader("Subject: "+test.value+"\n"), DefaultLimit)
		if err != nil {
			t.Fatal(err)
		}
		b.Complete(submission())
		wire := strings.TrimSuffix(string(b.Bytes()), "\r\n")
		for line := range strings.Lines(wire) {
			line = strings.TrimSuffix(line, "\r\n")
			if len(line) > maxLine || strings.TrimSpace(line) == "" {
				t.Errorf("%s: a line of %d octets: %.20q", test.why, len(line), line)
			}
			if !strings.ContainsRune(test.value, 'ü') {
				continue
			}
			if strings.ContainsRune(line, '\uFFFD') {
				t.Errorf("%s: a character was cut", test.why)
			}
		}
		got, _ := b.Get("Subject")
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if squeeze(got) != squeeze(test.value) {
			t.Errorf("%s: text was lost", test.why)
		}
	}
}

func TestPrepend(t *testing.T) {
	for _, bad := range [][2]string{{"A", "x\r\nBcc: y"}, {"A\r\n", "x"}, {"A B", "x"}, {"", "x"}, {"A", "a\x00"}, {"A:", "x"}} {
		b := &Block{}
		if err := b.Prepend(bad[0], bad[1]); err != ErrBadField {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestRecipients(t *testing.T) {
	tests := []struct {
		why, in, want string
		bad           int
		resent        bool
	}{
		{"all three, repeated, any case", "To: a@x\nCC: b@x\nbcc: c@x\nTo: d@x\n", "a@x b@x c@x d@x", 0, false},
		{"each once", "To: a@x, A@x\nCc: a@X\n", "a@x A@x", 0, false},
		{"nobody else", "From: f@x, g@x\nSender: s@x\nReply-To: r@x\nApparently-To: p@x\nX-Bcc: b@x\nErrors-To: e@x\n", "", 0, false},
		{"blank before the colon", "To : a@x\nBcc\t: b@x\n", "a@x b@x", 0, false},
		{"folded everywhere", "To: a@x,\n b@x\nBcc:\n\tc@x,\n d@x\n", "a@x b@x c@x d@x", 0, false},
		{"only the empty group and a Bcc", "To: undisclosed-recipients:;\nBcc: b@x\n", "b@x", 0, false},
		{"bare names", "To: root\n", "root@client.example", 0, false},
		{"a bad one does not stop the others", "To: a@, b@x\n", "b@x", 1, false},
		{"resent: only these, of all blocks", "Resent-To: r@x\nTo: a@x\nBcc: b@x\nResent-Cc: s@x\nResent-Bcc: t@x\nResent-To: u@x\n", "r@x s@x t@x u@x", 0, true},
		{"resent without recipients: nobody", "Resent-From: r@x\nTo: a@x\n", "", 0, true},
	}
	for _, test := range tests {
		b, _, err := Read(strings.NewReader(test.in), DefaultLimit)
		if err != nil {
			t.Fatal(err)
		}
		r := b.Recipients("client.example")
		var got []string
		for _, a := range r.Addresses {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != test.want || len(r.Bad) != test.bad || r.Resent != test.resent {
			t.Errorf("%s: got %q, %v, %v", test.why, got, r.Bad, r.Resent)
		}
	}
}

func TestParseSender(t *testing.T) {
	tests := []struct {
		why, in, want string
		null, bad     bool
	}{
		{"plain", "a@b", "a@b", false, false},
		{"brackets", "<a@b>", "a@b", false, false},
		{"name", "N <a@b>", "a@b", false, false},
		{"bare", "joe", "joe@client.example", false, false},
		{"null", "<>", "", true, false},
		{"empty", "", "", true, false},
		{"two", "a@b, c@d", "", false, true},
		{"a line end would be a command", "a@b\r\nRCPT TO:<c@d>", "", false, true},
		{"none", "a@", "", false, true},
		{"an empty list", ",", "", false, true},
	}
	for _, test := range tests {
		a, null, err := ParseSender(test.in, "client.example")
		if (err != nil) != test.bad || null != test.null || err == nil && !null && a.String() != test.want {
			t.Errorf("%s: %q: got %v %v %v", test.why, test.in, a, null, err)
		}
	}
}

// An address that was read can be written and read again, and what is written
// cannot end a command.
func FuzzParseList(f *testing.F) {
	for _, seed := range []string{"a@x, b@x", `"a b"@x`, "g: a;", "<@r:a@x>", "a (c) @ x", "\\a@x", "jürgen@münchen.example", "a@[IPv6:::1]", "=?utf-8?Q?a=2C?= <a@x>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		addrs, bad := ParseList(in, "client.example")
		for _, a := range addrs {
			s := a.String()
			if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				t.Fatalf("%q: control characters in %q", in, s)
			}
			again, nope := ParseList(s, "client.example")
			if len(again) != 1 || len(nope) != 0 || again[0] != a {
				t.Fatalf("%q: %q is read as %q, %v", in, s, again, nope)
			}
		}
		for _, b := range bad {
			if strings.ContainsFunc(b.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Fatalf("%q: control characters in %q", in, b.Error())
			}
		}
	})
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
