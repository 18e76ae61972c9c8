package smtp

import (
	"errors"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// saslprep brings a name or password into the form that both sides compute with
// (RFC 4013; code points that Unicode has got since are allowed, as RFC 5802 5.1
// wants of a client). Printable ASCII is that form. That a string mixes directions
// of writing is left to the server to refuse: it would change no octet.
func saslprep(s string) (string, error) {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s, nil
	}
	s = norm.NFKC.String(strings.Map(prepared, s))
	if strings.ContainsFunc(s, prohibited) {
		return "", errors.New("a character that SASLprep forbids")
	}
	return s, nil
}

// prepared maps a character (RFC 3454 B.1, C.1.2).
func prepared(r rune) rune {
	switch {
	case r == 0xad, r == 0x34f, r == 0x1806, 0x180b <= r && r <= 0x180d, 0x200b <= r && r <= 0x200d,
		r == 0x2060, 0xfe00 <= r && r <= 0xfe0f, r == 0xfeff:
		return -1
	case r == 0xa0, r == 0x1680, 0x2000 <= r && r <= 0x200a, r == 0x202f, r == 0x205f, r == 0x3000:
		return ' '
	}
	return r
}

// prohibited reports what must not be there after that (RFC 3454 C.2 to C.9).
func prohibited(r rune) bool {
	switch {
	case r < ' ', 0x7f <= r && r <= 0x9f, r == 0x6dd, r == 0x70f, r == 0x180e, 0x200c <= r && r <= 0x200d,
		0x2028 <= r && r <= 0x2029, 0x2060 <= r && r <= 0x2063, 0x206a <= r && r <= 0x206f, r == 0xfeff,
		0xfff9 <= r && r <= 0xfffd, 0x1d173 <= r && r <= 0x1d17a: // controls, and what is no plain text
	case 0xe000 <= r && r <= 0xf8ff, r >= 0xf0000: // private use
	case 0xfdd0 <= r && r <= 0xfdef, r&0xfffe == 0xfffe: // no characters
	case 0x2ff0 <= r && r <= 0x2ffb, r == 0x340, r == 0x341, 0x200e <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e,
		r == 0xe0001, 0xe0020 <= r && r <= 0xe007f: // not for plain text, changes of display, tags
	default:
		return false
	}
	return true
}
