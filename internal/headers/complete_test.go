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

const resentAdded = "Resent-Date: Tue, 24 Nov 2026 12:00:00 +0100\r\nResent-From: Joe User <joe@client.example>\r\nResent-Message-ID: <id@client.example>\r\n"

const allThere = "Date: x\nFrom: a@x\nMessage-ID: <1>\n"
const allKept = "Date: x\r\nFrom: a@x\r\nMessage-ID: <1>\r\n"

var completeTests = []struct{ why, in, want string }{
	{"nothing there: three fields, no To", "", added},
	{"they come in front", "Subject: x\n", added + "Subject: x\r\n"},
	{"but after trace fields", "Received: by a\nDKIM-Signature: v=1\nSubject: x\n", "Received: by a\r\nDKIM-Signature: v=1\r\n" + added + "Subject: x\r\n"},
	{"all there: not an octet changes", "DATE:  x\nfrom:\ta@x (c)\nMessage-Id:<1>\nX:y\n z\n", "DATE:  x\r\nfrom:\ta@x (c)\r\nMessage-Id:<1>\r\nX:y\r\n z\r\n"},
	{"empty ones stay", "Date:\nFrom:\nMessage-ID:\n", "Date:\r\nFrom:\r\nMessage-ID:\r\n"},
	{"doubled ones stay", allThere + "Date: y\nFrom: b@x\n", allKept + "Date: y\r\nFrom: b@x\r\n"},
	{"Bcc goes in every form", allThere + "Bcc: a\nBCC: b,\n c,\n\td\nbcc :e\nBcc:\nTo: x@y\n", allKept + "To: x@y\r\n"},
	{"X-Bcc stays", allThere + "X-Bcc: a\n", allKept + "X-Bcc: a\r\n"},
	{"Return-Path and Content-Length go", allThere + "Return-Path: <a@x>\nContent-Length: 5\n", allKept},
	{"others stay", allThere + "Delivered-To: a\nErrors-To: b\nReturn-Receipt-To: root\nLines: 3\n", allKept + "Delivered-To: a\r\nErrors-To: b\r\nReturn-Receipt-To: root\r\nLines: 3\r\n"},

	{"one there, two added", "From: a@x\n", "Date: Tue, 24 Nov 2026 12:00:00 +0100\r\nMessage-ID: <id@client.example>\r\nFrom: a@x\r\n"},
	{"trace fields further down do not move", "Subject: x\nReceived: by a\n", added + "Subject: x\r\nReceived: by a\r\n"},
	{"Bcc as the last line without an end", allThere + "Bcc: x", allKept},
	{"Bcc with blank-only continuation", allThere + "Bcc: x\n \n\ty\nX: z\n", allKept + "X: z\r\n"},
	{"Return-Path on top goes before fields are added", "Return-Path: <a@x>\nReceived: a\nSubject: x\n", "Received: a\r\n" + added + "Subject: x\r\n"},
	{"Full-Name, Apparently-To, Precedence stay", allThere + "Full-Name: F\nApparently-To: joe\nPrecedence: bulk\n", allKept + "Full-Name: F\r\nApparently-To: joe\r\nPrecedence: bulk\r\n"},
	{"cron's From", "Date: x\nMessage-ID: <1>\nFrom: root (Cron Daemon)\n", "Date: x\r\nMessage-ID: <1>\r\nFrom: root@client.example (Cron Daemon)\r\n"},
	{"names, comments and folds stay", allThere + "To: \"Doe, Jane\" <jane>,\n\troot (c), x@y\n", allKept + "To: \"Doe, Jane\" <jane@client.example>,\r\n\troot@client.example (c), x@y\r\n"},
	{"groups", allThere + "Cc: g: a, b@y;\n", allKept + "Cc: g: a@client.example, b@y;\r\n"},
	{"Sender, Reply-To", allThere + "Sender: s\nReply-To: r\n", allKept + "Sender: s@client.example\r\nReply-To: r@client.example\r\n"},
	{"no other field", allThere + "X-To: joe\nErrors-To: joe\n", allKept + "X-To: joe\r\nErrors-To: joe\r\n"},
	{"a quoted bare name", allThere + "To: \"a b\"\n", allKept + "To: \"a b\"@client.example\r\n"},
	{"what is bad is left alone", allThere + "To: a@, b\n", allKept + "To: a@, b@client.example\r\n"},
	{"two words are a name, not two users", allThere + "To: Jane Doe\n", allKept + "To: Jane Doe\r\n"},
	{"null address", allThere + "To: <>\n", allKept + "To: <>\r\n"},

	{"resent: its own fields, in front of the block; not the author's", "Subject: x\nResent-To: a@x\nResent-Bcc: b@x\n",
		"Subject: x\r\n" + resentAdded + "Resent-To: a@x\r\n"},
	{"resent below trace fields", "Received: a\nResent-To: a@x\nSubject: x\n",
		"Received: a\r\n" + resentAdded + "Resent-To: a@x\r\nSubject: x\r\n"},
	{"resent: two blocks, only what is missing, before the first", allThere + "Resent-To: a@x\nResent-Date: y\nResent-To: b@x\n",
		allKept + "Resent-From: Joe User <joe@client.example>\r\nResent-Message-ID: <id@client.example>\r\nResent-To: a@x\r\nResent-Date: y\r\nResent-To: b@x\r\n"},
	{"resent: the old Bcc goes too", allThere + "Bcc: a\nresent-bcc : b\nRESENT-TO: c@x\n", allKept + resentAdded + "RESENT-TO: c@x\r\n"},
	{"resent with nothing but a Resent-Bcc", allThere + "Resent-Bcc: b@x\n", resentAdded + allKept},
	{"resent with all of them", "Resent-Date: x\nResent-From: joe\nResent-Message-ID: <1>\n", "Resent-Date: x\r\nResent-From: joe@client.example\r\nResent-Message-ID: <1>\r\n"},
}

func TestComplete(t *testing.T) {
	for _, test := range completeTests {
		b, _, err := Read(strings.NewReader(test.in), DefaultLimit)
		if err != nil {
			t.Fatal(err)
		}
		b.Complete(submission())
		if got := strings.TrimSuffix(string(b.Bytes()), "\r\n"); got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.why, got, test.want)
		}
		if changes := b.Complete(submission()); len(changes) > 0 {
			t.Errorf("%s: complete, and yet %v", test.why, changes)
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
		{"nothing but control characters is no name", func(s *Submission) { s.FullName = "\x00\t\x7f" }, "joe@client.example"},
		{"a null sender does not get the caller's name", func(s *Submission) { s.SenderNull, s.FullName = true, "Joe" }, "MAILER-DAEMON@client.example"},
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

func TestCompleteChanges(t *testing.T) {
	b := block(t, "Return-Path: x\nbcc: a\nCc: joe\nSubject: "+strings.Repeat("x ", 600)+"\nDate: x\nFrom: a@x\n")
	var got []string
	for _, c := range b.Complete(submission()) {
		got = append(got, c.Field)
		if c.Rule == "" {
			t.Errorf("no rule for %s", c.Field)
		}
	}
	if want := "Bcc Return-Path Cc Subject Message-ID"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFormatName(t *testing.T) {
	tests := []struct{ why, in, want string }{
		{"atoms", "Joe User", "Joe User"},
		{"atext is no special", "O'Neil & Co", "O'Neil & Co"},
		{"blanks around", " Joe ", "Joe"},
		{"dot", "J. User", `"J. User"`},
		{"brackets", "Joe <x@y>", `"Joe <x@y>"`},
		{"quote and backslash", `a"b\c`, `"a\"b\\c"`},
		{"UTF-8", "Jürgen Müller", "=?utf-8?q?J=C3=BCrgen_M=C3=BCller?="},
		{"UTF-8 and a comma, which would end the address", "Müller, J", "=?utf-8?b?TcO8bGxlciwgSg==?="},
		{"control characters, also C1", "a\x00\r\n\t\x1b\u009bb", "ab"},
		{"not UTF-8", "J\xfcrgen", "=?utf-8?q?J=EF=BF=BDrgen?="},
		{"nothing", "", ""},
	}
	for _, test := range tests {
		got := FormatName(test.in)
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.why, got, test.want)
		}
		if list, bad := ParseList(got+" <a@x>", "d"); len(list) != 1 || list[0].String() != "a@x" || len(bad) > 0 {
			t.Errorf("%s: %q is read as %v, %v", test.why, got, list, bad)
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
