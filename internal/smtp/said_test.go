package smtp_test

import (
	"context"
	"fmt"
	"testing"

	"postern/internal/smtp"
)

// What stopped us is told in words for people.
func TestSaid(t *testing.T) {
	for _, test := range []struct {
		why  string
		err  smtp.Error
		want string
	}{
		{"a reply", smtp.Error{Stage: smtp.StageRcpt, Code: 550, Text: "no such user"}, "550 no such user"},
		{"a signal, or patience at its end", smtp.Error{Stage: smtp.StageData, Err: fmt.Errorf("read: %w", context.Canceled)}, "broken off before an answer came"},
		{"another cause", smtp.Error{Stage: smtp.StageConnect, Err: fmt.Errorf("smtp: refused\x1b")}, "refused\\u{1b}"},
	} {
		if got := test.err.Said(); got != test.want {
			t.Errorf("%s: %q, want %q", test.why, got, test.want)
		}
	}
}
