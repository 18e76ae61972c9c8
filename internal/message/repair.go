package message

import (
	"bytes"
	"unicode/utf8"
)

// These repairs change as little as the wire asks for, in content that is
// encoded already or that is no MIME. They work octet by octet, with a few
// octets of what follows in sight.

const hexDigits = "0123456789ABCDEF"

// escaped reports whether c may not travel as it is.
func (w Wire) escaped(c byte) bool { return c == 0 || c >= 0x80 && !w.EightBitMIME }

// lineEnd reports whether a line ends in front of p.
func lineEnd(p []byte) bool { return len(p) == 0 || p[0] == '\r' || p[0] == '\n' }

// armour writes s, which no encoding covers: text around the parts of a
// multipart, parts that are no MIME. Lines over 998 octets are broken with CRLF
// and a blank, as Postfix does; what may not travel is written as "=XX".
func (r *recoder) armour(s span) error {
	col := 0
	return r.rewrite(s, func(out, p []byte) ([]byte, int) {
		c := p[0]
		if c == '\r' || c == '\n' {
			col = 0
			return append(out, c), 1
		}
		used, size := 1, 1
		switch {
		case r.wire.escaped(c):
			size = 3
		case c >= 0x80:
			_, used = utf8.DecodeRune(p)
			size = used
		}
		if col+size > maxLine {
			out = append(out, "\r\n "...)
			col = 1
		}
		col += size
		if r.wire.escaped(c) {
			return append(out, '=', hexDigits[c>>4], hexDigits[c&15]), used
		}
		return append(out, p[:used]...), used
	})
}

// repairBase64 writes s, which is base64: what is outside its alphabet and may
// not travel is dropped, as every decoder does (RFC 2045 6.8); lines over 998
// octets are broken.
func (r *recoder) repairBase64(s span) error {
	col := 0
	return r.rewrite(s, func(out, p []byte) ([]byte, int) {
		c := p[0]
		switch {
		case c == '\r' || c == '\n':
			col = 0
			return append(out, c), 1
		case r.wire.escaped(c):
			return out, 1
		case col == maxLine && c == '-': // may look like a delimiter
			out = append(out, "\r\n "...)
			col = 1
		case col == maxLine:
			out = append(out, crlf...)
			col = 0
		}
		col++
		return append(out, c), 1
	})
}

// repairQP writes s, which is quoted-printable: what may not travel is encoded,
// lines over 998 octets get soft line breaks. Neither changes what is decoded.
func (r *recoder) repairQP(s span) error {
	col := 0
	return r.rewrite(s, func(out, p []byte) ([]byte, int) {
		c := p[0]
		if c == '\r' || c == '\n' {
			col = 0
			return append(out, c), 1
		}
		used, escape := 1, r.wire.escaped(c)
		if c == '=' && len(p) >= 3 && isHex(p[1]) && isHex(p[2]) {
			used = 3
		}
		size := used
		if escape {
			size = 3
		}
		room := maxLine - 1 // for the "=" of a soft line break
		if lineEnd(p[used:]) {
			room = maxLine
		}
		if col+size > room {
			if n := trailingBlanks(p); n > 0 {
				return out, n // at the end of a line they mean nothing
			}
			out = append(out, "=\r\n"...)
			col = 0
			escape = escape || c == '-' // the line may look like a delimiter
		}
		if escape {
			col += 3
			return append(out, '=', hexDigits[c>>4], hexDigits[c&15]), used
		}
		col += size
		return append(out, p[:used]...), used
	})
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}

// trailingBlanks returns how many blanks p begins with, if its line ends there.
func trailingBlanks(p []byte) int {
	n := len(p) - len(bytes.TrimLeft(p, " \t"))
	if lineEnd(p[n:]) {
		return n
	}
	return 0
}

// rewrite writes s as f changes it. f appends to out what stands for the first
// octets of p, and says how many these are. p has at least four octets unless
// it is the end of s.
func (r *recoder) rewrite(s span, f func(out, p []byte) ([]byte, int)) error {
	const ahead = 4
	out := make([]byte, 0, chunkSize)
	return r.cur.scan(s, ahead, func(p []byte, last bool) (int, error) {
		out = out[:0]
		i := 0
		for i < len(p) && (last || len(p)-i >= ahead) {
			var n int
			out, n = f(out, p[i:])
			i += n
		}
		return i, r.write(out)
	})
}
