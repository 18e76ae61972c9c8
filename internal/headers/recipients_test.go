package headers

import (
	"strings"
	"testing"
)

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
