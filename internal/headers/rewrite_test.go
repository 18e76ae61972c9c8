package headers

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// toApp stands for every address but those at own.example.
func toApp(a Address) (Address, string) {
	if a.Domain == "own.example" {
		return a, ""
	}
	return Address{"app", "own.example"}, "fixed"
}

// plus keeps the local part.
func plus(a Address) (Address, string) {
	return Address{"app+" + a.Local, "own.example"}, "map"
}

func never(Address) bool  { return false }
func always(Address) bool { return true }

var rewriteTests = []struct {
	why, in string
	w       Rewriting
	want    string
}{
	{"an address without a name tells what it was", "From: root@web1.lan\n", Rewriting{Author: toApp},
		"From: \"root on web1.lan\" <app@own.example>\r\n"},
	{"in brackets too", "From:<root@web1>\n", Rewriting{Author: toApp}, "From:root on web1 <app@own.example>\r\n"},
	{"a name is kept, octet for octet", "FROM:\t=?utf-8?q?J=C3=B6?= \"the, cook\"\n <jo@web1.lan>\n", Rewriting{Author: toApp},
		"FROM:\t=?utf-8?q?J=C3=B6?= \"the, cook\"\r\n <app@own.example>\r\n"},
	{"a comment is a name", "From: root@web1.lan (Cron Daemon)\n", Rewriting{Author: toApp}, "From: app@own.example (Cron Daemon)\r\n"},
	{"what is owned stays, not an octet changes", "from :joe@own.example  (x)\nSender: Joe <joe@own.example>\n", Rewriting{Author: toApp},
		"from:joe@own.example  (x)\r\nSender: Joe <joe@own.example>\r\n"},
	{"Sender and the Resent forms", "Sender: root@a\nResent-Sender: b@a\nResent-From: B <b@a>\nFrom: c@own.example\n", Rewriting{Author: toApp},
		"Sender: app@own.example\r\nResent-Sender: app@own.example\r\nResent-From: B <app@own.example>\r\nFrom: c@own.example\r\n"},
	{"others are not authors", "To: root@a\nCc: b@a\nReply-To: d@a\nX-From: root@a\nErrors-To: e@a\nFrom: c@own.example\n", Rewriting{Author: toApp},
		"To: root@a\r\nCc: b@a\r\nReply-To: d@a\r\nX-From: root@a\r\nErrors-To: e@a\r\nFrom: c@own.example\r\n"},
	{"recipients by their own rule", "To: A <a@a>, b@a\nCc: c@a\nBcc: d@a\nFrom: c@own.example\n", Rewriting{Author: toApp, Recipient: plus},
		"To: A <app+a@own.example>, app+b@own.example\r\nCc: app+c@own.example\r\nBcc: d@a\r\nFrom: c@own.example\r\n"},
	{"several authors that stay apart", "From: A <a@a>, b@a\n", Rewriting{Author: plus}, "From: A <app+a@own.example>, app+b@own.example\r\n"},
	{"several that become one are named once", "From: A <a@a>, b@a\n", Rewriting{Author: toApp}, "From: a on a <app@own.example>\r\n"},
	{"also with one that stays", "From: app@own.example, b@a\n", Rewriting{Author: toApp}, "From: app@own.example\r\n"},
	{"a route goes with the address", "From: <@gw,@gw2:root@a>\n", Rewriting{Author: toApp}, "From: root on a <app@own.example>\r\n"},
	{"blanks and comments within", "From: Jo < root . x (a) @ a >\n", Rewriting{Author: toApp}, "From: Jo <app@own.example>\r\n"},
	{"a local part that needs quotes gets them", "From: \"a b\"@a\n", Rewriting{Author: plus}, "From: a b on a <\"app+a b\"@own.example>\r\n"},
	{"nothing in it becomes an address", "From: \"x> <evil@e,\"@a\n", Rewriting{Author: plus},
		"From: \"x> <evil@e, on a\" <\"app+x> <evil@e,\"@own.example>\r\n"},
	{"a folded address", "From: Jo\n <root\n @a>\n", Rewriting{Author: toApp}, "From: Jo\r\n <app@own.example>\r\n"},
	{"a new name", "From: Jo <root@a>\n", Rewriting{Author: toApp, Name: "Alerts, x", FallbackRule: "fixed"}, "From: \"Alerts, x\" <app@own.example>\r\n"},
	{"not for what is owned", "From: Jo <joe@own.example>\n", Rewriting{Author: toApp, Name: "Alerts", FallbackRule: "fixed"}, "From: Jo <joe@own.example>\r\n"},
	{"nor for what another rule changes", "From: Jo <jo@a>\n", Rewriting{Author: plus, Name: "Alerts", FallbackRule: "fixed"}, "From: Jo <app+jo@own.example>\r\n"},
	{"nor does anybody lose his place by it", "From: \"Joe\" <joe@own.example>, bob@x\n", Rewriting{Author: toApp, Name: "Alerts", FallbackRule: "fixed"},
		"From: \"Joe\" <joe@own.example>, app@own.example\r\n"},
	{"in whatever order", "From: bob@x, Joe <joe@own.example>\n", Rewriting{Author: toApp, Name: "Alerts", FallbackRule: "fixed"},
		"From: app@own.example, Joe <joe@own.example>\r\n"},
	{"several that become one have the name", "From: A <a@x>, b@x\n", Rewriting{Author: toApp, Name: "Alerts", FallbackRule: "fixed"},
		"From: Alerts <app@own.example>\r\n"},
	{"no address without a fallback", "From: John Smith\nFrom:\n", Rewriting{Author: toApp}, "From: John Smith\r\nFrom:\r\n"},
	{"no address", "From: John Q. Smith\n", Rewriting{Author: toApp, Fallback: Address{"app", "own.example"}, FallbackRule: "fixed"},
		"From: \"John Q. Smith\" <app@own.example>\r\n"},
	{"empty", "From:\n", Rewriting{Author: toApp, Fallback: Address{"app", "own.example"}}, "From: app@own.example\r\n"},
	{"null", "From: <>\n", Rewriting{Author: toApp, Fallback: Address{"app", "own.example"}}, "From: app@own.example\r\n"},
	{"a group without members", "From: nobody:;\n", Rewriting{Author: toApp, Fallback: Address{"app", "own.example"}}, "From: \"nobody:\" <app@own.example>\r\n"},
	{"bad beside good", "From: root@a, <b@\n", Rewriting{Author: toApp, Fallback: Address{"app", "own.example"}}, "From: root on a <app@own.example>\r\n"},
	{"a bare word behind an owned one", "From: joe@own.example, x\n", Rewriting{Author: toApp, Fallback: Address{"app", "own.example"}}, "From: joe@own.example\r\n"},
	{"which nobody minds without a fallback", "From: joe@own.example, x\n", Rewriting{Author: toApp}, "From: joe@own.example, x\r\n"},
	{"the author becomes Reply-To", "Subject: x\nFrom: Jo <jo@a.example>\n", Rewriting{Author: toApp, Real: always},
		"Reply-To: jo@a.example\r\nSubject: x\r\nFrom: Jo <app@own.example>\r\n"},
	{"all of them, quoted if need be", "From: \"a b\"@a.example, c@own.example\n", Rewriting{Author: toApp, Real: always},
		"Reply-To: \"a b\"@a.example, c@own.example\r\nFrom: app@own.example, c@own.example\r\n"},
	{"unless there is one", "Reply-To:\nFrom: Jo <jo@a>\n", Rewriting{Author: toApp, Real: always}, "Reply-To:\r\nFrom: Jo <app@own.example>\r\n"},
	{"or nobody reads answers there", "From: Jo <jo@a>\n", Rewriting{Author: toApp, Real: never}, "From: Jo <app@own.example>\r\n"},
	{"or the author stays", "From: Jo <jo@own.example>\n", Rewriting{Author: toApp, Real: always}, "From: Jo <jo@own.example>\r\n"},
	{"or only the one who resends changes", "Resent-From: Jo <jo@a>\nFrom: x@own.example\n", Rewriting{Author: toApp, Real: always},
		"Resent-From: Jo <app@own.example>\r\nFrom: x@own.example\r\n"},
	{"a fixed Reply-To", "From: Jo <jo@a>\n", Rewriting{Author: toApp, Real: always, ReplyTo: "ops@own.example"},
		"Reply-To: ops@own.example\r\nFrom: Jo <app@own.example>\r\n"},
	{"also when nothing changes", "From: Jo <jo@own.example>\n", Rewriting{Author: toApp, ReplyTo: "ops@own.example"},
		"Reply-To: ops@own.example\r\nFrom: Jo <jo@own.example>\r\n"},
	{"To is missing", "Received: x\nFrom: a@own.example\n", Rewriting{Author: toApp, AddTo: true},
		"Received: x\r\nTo: undisclosed-recipients:;\r\nFrom: a@own.example\r\n"},
	{"Cc is enough", "Cc: x@y\nFrom: a@own.example\n", Rewriting{Author: toApp, AddTo: true}, "Cc: x@y\r\nFrom: a@own.example\r\n"},
	{"a good id stays", "Message-ID:  <a.b@c>\nFrom: a@own.example\n", Rewriting{Author: toApp, MessageID: "new@h"},
		"Message-ID:  <a.b@c>\r\nFrom: a@own.example\r\n"},
	{"what is none is replaced", "message-id: 12345\nFrom: a@own.example\n", Rewriting{Author: toApp, MessageID: "new@h"},
		"message-id: <new@h>\r\nFrom: a@own.example\r\n"},
	{"such as an empty one", "Message-ID:\nFrom: a@own.example\n", Rewriting{Author: toApp, MessageID: "new@h"},
		"Message-ID: <new@h>\r\nFrom: a@own.example\r\n"},
	{"one in two pieces", "Message-ID: <a\n b@c>\nFrom: a@own.example\n", Rewriting{Author: toApp, MessageID: "new@h"},
		"Message-ID: <new@h>\r\nFrom: a@own.example\r\n"},
	{"two in one", "Message-ID: <a@b> <c@d>\nFrom: a@own.example\n", Rewriting{Author: toApp, MessageID: "new@h"},
		"Message-ID: <new@h>\r\nFrom: a@own.example\r\n"},
	{"without brackets", "Message-ID: a@b\nFrom: a@own.example\n", Rewriting{Author: toApp, MessageID: "new@h"},
		"Message-ID: <new@h>\r\nFrom: a@own.example\r\n"},
	{"and a missing one is added", "From: a@own.example\n", Rewriting{Author: toApp, MessageID: "new@h"},
		"Message-ID: <new@h>\r\nFrom: a@own.example\r\n"},
	{"recipients that were", "From: a@own.example\n", Rewriting{Author: toApp, Original: []string{"a@x", "b@x"}},
		"X-Original-To: a@x\r\nX-Original-To: b@x\r\nFrom: a@own.example\r\n"},
	{"one that could be a line of its own is left out", "From: a@own.example\n", Rewriting{Author: toApp, Original: []string{"a@x\r\nBcc: b@x"}},
		"From: a@own.example\r\n"},
}

func TestRewrite(t *testing.T) {
	for _, row := range rewriteTests {
		b, _, err := Read(strings.NewReader(row.in), DefaultLimit)
		if err != nil {
			t.Fatal(err)
		}
		before := string(b.Bytes())
		changes := b.Rewrite(row.w)
		got := strings.TrimSuffix(string(b.Bytes()), "\r\n")
		if got != row.want {
			t.Errorf("%s:\n got %q\nwant %q", row.why, got, row.want)
		}
		if (len(changes) > 0) != (string(b.Bytes()) != before) {
			t.Errorf("%s: changes told: %v", row.why, changes)
		}
	}
}

func TestRewriteTellsRules(t *testing.T) {
	b, _, _ := Read(strings.NewReader("From: root@a.example\nSender: joe@own.example\n"), DefaultLimit)
	want := []Change{
		{"From", "root@a.example becomes app@own.example, by fixed"},
		{"Reply-To", "added, it was the author"},
		{"To", "added, the smarthost wants one"},
	}
	if got := b.Rewrite(Rewriting{Author: toApp, Real: always, AddTo: true}); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestMark(t *testing.T) {
	for _, row := range []struct {
		why, in, received string
		lines             []Line
		want              string
	}{
		{"nothing", "Subject: x\n", "", nil, "Subject: x\r\n"},
		{"Received on top of all", "Received: old\nSubject: x\n", "by h; d", nil, "Received: by h; d\r\nReceived: old\r\nSubject: x\r\n"},
		{"in their order, behind trace fields", "Received: old\nSubject: x\n", "", []Line{{"X-A", "1"}, {"X-B", "2"}},
			"Received: old\r\nX-A: 1\r\nX-B: 2\r\nSubject: x\r\n"},
		{"nobody can claim it", "x-a: forged\n folded\nX-A: twice\nSubject: x\n", "", []Line{{"X-A", "1"}}, "X-A: 1\r\nSubject: x\r\n"},
		{"but other fields are the caller's", "auto-submitted: no\n", "", []Line{{"Auto-Submitted", "auto-generated"}}, "auto-submitted: no\r\n"},
		{"unless there is none", "Subject: x\n", "", []Line{{"Auto-Submitted", "auto-generated"}}, "Auto-Submitted: auto-generated\r\nSubject: x\r\n"},
		{"not ASCII", "Subject: x\n", "", []Line{{"X-A", "jö"}}, "X-A: =?utf-8?q?j=C3=B6?=\r\nSubject: x\r\n"},
		{"no line of its own", "Subject: x\n", "by h\r\nBcc: x", []Line{{"X-A", "a\nBcc: x"}}, "Subject: x\r\n"},
	} {
		b, _, _ := Read(strings.NewReader(row.in), DefaultLimit)
		b.Mark(row.received, row.lines)
		if got := strings.TrimSuffix(string(b.Bytes()), "\r\n"); got != row.want {
			t.Errorf("%s:\n got %q\nwant %q", row.why, got, row.want)
		}
	}
}

// Whatever the header is: fields that no rule speaks of keep their octets and
// their order, what is added is known, the result is read as it was written, no
// Bcc appears, and every author that can be read is one that the smarthost takes.
func FuzzRewrite(f *testing.F) {
	for _, row := range rewriteTests {
		f.Add([]byte(row.in), "x", false)
	}
	f.Add([]byte("From: a\n"), "a\r\nBcc: x", true)
	f.Add([]byte("From:0@own.example,0"), "0", true)
	names := []string{"From", "Sender", "Resent-From", "Resent-Sender", "To", "Cc", "Resent-To", "Resent-Cc"}
	f.Fuzz(func(t *testing.T, in []byte, local string, forced bool) {
		b, _, err := Read(bytes.NewReader(in), 1<<20)
		if err != nil {
			return
		}
		before, bcc := slices.Clone(b.fields), b.Count("Bcc")
		w := Rewriting{Recipient: plus, Real: always, AddTo: true, Original: []string{local},
			Author: func(a Address) (Address, string) { return Address{"app+" + a.Local, "own.example"}, "map" }}
		if forced {
			w.Author, w.Fallback, w.FallbackRule = toApp, Address{"app", "own.example"}, "fixed"
			w.Name = local
		}
		b.Rewrite(w)
		again, rest, err := Read(bytes.NewReader(b.Bytes()), 1<<21)
		if err != nil || !bytes.Equal(again.Bytes(), b.Bytes()) || len(again.fields) != len(b.fields) {
			t.Fatalf("%q is read as %q, %v", b.Bytes(), again.Bytes(), err)
		}
		if n, _ := rest.Read(make([]byte, 1)); n > 0 {
			t.Fatalf("the header ends early: %q", b.Bytes())
		}
		added := []string{"Reply-To", "To", "X-Original-To"}
		n := 0
		for _, g := range b.fields {
			same := n < len(before) && bytes.Equal(g.Raw(), before[n].Raw())
			switch {
			case n < len(before) && g.Is(before[n].Name()) && (same || g.isAny(names)):
				n++
			case g.isAny(added):
				added = slices.DeleteFunc(added, g.Is)
			default:
				t.Fatalf("%q is new, or another was lost", g.Raw())
			}
			if !same && tooLong(g.Raw()) {
				t.Fatalf("a long line: %q", g.Raw())
			}
			if forced && g.isAny([]string{"From", "Resent-From"}) {
				addrs, bad := ParseList(g.Value(), "")
				if len(bad) > 0 || len(addrs) == 0 || slices.ContainsFunc(addrs, func(a Address) bool { return a.Domain != "own.example" }) {
					t.Fatalf("author %q of %q: %v %v", g.Raw(), in, addrs, bad)
				}
			}
		}
		if n != len(before) || b.Count("Bcc") != bcc {
			t.Fatalf("%d of %d fields are left; %d Bcc of %d", n, len(before), b.Count("Bcc"), bcc)
		}
	})
}
