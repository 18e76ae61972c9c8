package smtpd

import (
	"fmt"
	"strings"

	gosmtp "github.com/emersion/go-smtp"
)

// Reply is what a caller gets to hear. It is an error so that go-smtp takes it;
// after a message one with code 250 is the good answer.
type Reply struct {
	Code     int    // 250, 4yz or 5yz
	Enhanced [3]int // RFC 3463; zero for X.0.0
	Text     string // anything; it is made fit for one line
}

// Error is the reply as it is sent.
func (r *Reply) Error() string {
	return fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], oneLine(r.Text))
}

// Replyf makes a reply.
func Replyf(code int, enhanced [3]int, format string, args ...any) *Reply {
	return &Reply{code, enhanced, fmt.Sprintf(format, args...)}
}

// tooLarge is for a message over the limit (RFC 1870 6.1).
var errTooLarge = &Reply{552, [3]int{5, 3, 4}, "The message is too large"}

// forWire makes go-smtp's error of one of ours. What is not known is temporary.
func forWire(err error) error {
	if err == nil {
		return nil
	}
	r, ok := err.(*Reply)
	if !ok {
		r = &Reply{451, [3]int{4, 3, 0}, err.Error()}
	}
	return &gosmtp.SMTPError{Code: r.Code, EnhancedCode: gosmtp.EnhancedCode(r.Enhanced), Message: oneLine(r.Text)}
}

// maxText keeps a reply line within 512 octets (RFC 5321 4.5.3.1.5).
const maxText = 480

// oneLine makes a text fit for a reply: no control characters, not too long.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "..."
	}
	return s
}
