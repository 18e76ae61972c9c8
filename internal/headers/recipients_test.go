package headers

import (
	"strings"
	"testing"
)

var recipientsTests = []struct {
	why, in, want string
	bad           int
	resent        bool
}{
	{"all three, repeated, any case", "To: a@x\nCC: b@x\nbcc: c@x\nTo: d@x\n", "a@x b@x c@x d@x", 0, false},
	{"each once", "To: a@x, A@x\nCc: a@X\n", "a@x A@x", 0, false},
	{"nobody else", "From: f@x, g@x\nSender: s@x\nReply-To: r@x\nApparently-To: p@x\nX-Bcc: b@x\nErrors-To: e@x\n", "", 0, false},
	{"blank before the colon", "To : a@x\nBcc\t: b@x\n", "a@x b@x", 0, false},
	{"each once across fields and forms", "To: root, a@x\nCc: <root@CLIENT.example>\nBcc: \"a\"@X\n", "root@client.example a@x", 0, false},
	{"empty fields", "To:\nCc: ,\nBcc: (none)\n", "", 0, false},
	{"null address beside another", "To: <>, a@x\n", "a@x", 0, false},
	{"no fields", "Subject: x\n", "", 0, false},
	{"below the header nothing counts", "Subject: x\njunk\nTo: a@x\n", "", 0, false},
	{"bad ones of all fields", "To: a@\nCc: @b\nBcc: c@x\n", "c@x", 2, false},
	{"bad ones of fields that do not count", "From: a@\nSubject: b@\n", "", 0, false},
	{"encoded-word that hides a recipient", "To: =?utf-8?Q?evil=40x=2C?= <a@x>\n", "a@x", 0, false},
	{"folded everywhere", "To: a@x,\n b@x\nBcc:\n\tc@x,\n d@x\n", "a@x b@x c@x d@x", 0, false},
	{"only the empty group and a Bcc", "To: undisclosed-recipients:;\nBcc: b@x\n", "b@x", 0, false},
	{"bare names", "To: root\n", "root@client.example", 0, false},
	{"a bad one does not stop the others", "To: a@, b@x\n", "b@x", 1, false},
	{"resent: only these, of all blocks", "Resent-To: r@x\nTo: a@x\nBcc: b@x\nResent-Cc: s@x\nResent-Bcc: t@x\nResent-To: u@x\n", "r@x s@x t@x u@x", 0, true},
	{"resent: any case, blank before the colon", "RESENT-to : r@x\nTo: a@x\n", "r@x", 0, true},
	{"resent: empty ones hold back the others", "Resent-To:\nResent-Bcc:\nTo: a@x\n", "", 0, true},
	{"resent: bad ones of the original do not count", "Resent-To: r@x\nTo: a@\n", "r@x", 0, true},
	{"resent by a field nobody knows", "Resent-Foo: r@x\nTo: a@x\n", "", 0, true},
	{"not resent", "X-Resent-To: r@x\nResent: r@x\nTo: a@x\n", "a@x", 0, false},
	{"resent without recipients: nobody", "Resent-From: r@x\nTo: a@x\n", "", 0, true},
}

func TestRecipients(t *testing.T) {
	for _, test := range recipientsTests {
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

// Reading the recipients changes nothing.
func TestRecipientsOnlyReads(t *testing.T) {
	b := block(t, "To: a,\n b\nBcc: c\n")
	before := string(b.Bytes())
	b.Recipients("client.example")
	if got := string(b.Bytes()); got != before {
		t.Errorf("got %q, was %q", got, before)
	}
}
