package smtp

import (
	"errors"
	"strings"
	"testing"
)

// Rows 64 to 68: sender and recipients from the header, Resent, Bcc.
func TestHeaderEnvelope(t *testing.T) {
	null := ""
	tests := []struct {
		why, in string
		given   HeaderEnvelope
		want    string // "sender: recipients"
		kept    string
		kind    error
	}{
		{"From and To", "From: a@x\nTo: b@x\n\nbody", HeaderEnvelope{}, "a@x: b@x", "From: a@x\r\nTo: b@x\r\n\r\nbody\r\n", nil},
		{"Sender goes before From", "From: a@x, b@x\nSender: S <s@x>\nTo: c@x\n\n", HeaderEnvelope{}, "s@x: c@x", "From: a@x, b@x\r\nSender: S <s@x>\r\nTo: c@x\r\n\r\n", nil},
		{"the first author", "From: A <a@x>, b@x\nTo: c@x\n\n", HeaderEnvelope{}, "a@x: c@x", "From: A <a@x>, b@x\r\nTo: c@x\r\n\r\n", nil},
		{"all of To, Cc, Bcc, repeated and folded; Bcc goes", "From: a@x\nTo: b@x,\n c@x\nCC: d@x\nBcc: e@x,\n f@x\nto: g@x\n\nBcc: body@x\n", HeaderEnvelope{}, "a@x: b@x c@x g@x d@x e@x f@x", "From: a@x\r\nTo: b@x,\r\n c@x\r\nCC: d@x\r\nto: g@x\r\n\r\nBcc: body@x\r\n", nil},
		{"a blank before the colon hides no Bcc", "From: a@x\nBcc : e@x\n\n", HeaderEnvelope{}, "a@x: e@x", "From: a@x\r\n\r\n", nil},
		{"Bcc goes also when recipients are given", "From: a@x\nBcc: e@x\nTo: b@x\n\n", HeaderEnvelope{Recipients: []string{"r@x"}}, "a@x: r@x", "From: a@x\r\nTo: b@x\r\n\r\n", nil},
		{"a sender that is given", "From: a@x\nTo: b@x\n\n", HeaderEnvelope{Sender: &null}, ": b@x", "From: a@x\r\nTo: b@x\r\n\r\n", nil},
		{"resent", "Resent-Date: now\nResent-From: ra@x\nResent-Sender: rs@x\nResent-To: rb@x\nResent-Bcc: rc@x\nFrom: a@x\nTo: b@x\n\n", HeaderEnvelope{}, "rs@x: rb@x rc@x", "Resent-Date: now\r\nResent-From: ra@x\r\nResent-Sender: rs@x\r\nResent-To: rb@x\r\nFrom: a@x\r\nTo: b@x\r\n\r\n", nil},
		{"a quoted local part keeps its quotes", "From: \"a b\"@x\nTo: b@x\n\n", HeaderEnvelope{}, `"a b"@x: b@x`, "From: \"a b\"@x\r\nTo: b@x\r\n\r\n", nil},
		{"resent twice: nobody can tell", "Resent-Date: 1\nResent-Date: 2\nFrom: a@x\nTo: b@x\n\n", HeaderEnvelope{}, "", "", ErrInvalid},
		{"no sender", "To: b@x\n\n", HeaderEnvelope{}, "", "", ErrNoSender},
		{"no recipients", "From: a@x\n\n", HeaderEnvelope{}, "", "", ErrNoRecipients},
		{"an address list that is none", "From: a@x\nTo: <b@x\n\n", HeaderEnvelope{}, "", "", ErrInvalid},
	}
	for _, test := range tests {
		e, m, err := test.given.of([]byte(test.in))
		if test.kind != nil {
			if !errors.Is(err, test.kind) || Temporary(err) {
				t.Errorf("%s: got %v, want %v", test.why, err, test.kind)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.why, err)
			continue
		}
		var to []string
		for _, r := range e.Recipients {
			to = append(to, r.Address)
		}
		if got := e.Sender + ": " + strings.Join(to, " "); got != test.want {
			t.Errorf("%s: got %q, want %q", test.why, got, test.want)
		}
		if got := string(m.(bytesMessage)); got != test.kept {
			t.Errorf("%s: got %q, want %q", test.why, got, test.kept)
		}
	}
}
