package headers

import (
	"bytes"
	"unicode/utf8"
)

// maxLine is the longest line that may be sent, without CRLF (RFC 5322 2.1.1).
const maxLine = 998

// tooLong reports a field with a line over maxLine.
func tooLong(raw []byte) bool {
	for len(raw) > maxLine {
		n := bytes.IndexByte(raw, '\n')
		if n < 0 || n > maxLine+1 {
			return true
		}
		raw = raw[n+1:]
	}
	return false
}

// fold breaks lines over maxLine: at the last blank that leaves something on
// both sides, else by force, as Postfix does, but not within a character. Other
// lines keep their bytes.
func fold(raw []byte) []byte {
	if !tooLong(raw) {
		return raw
	}
	out := make([]byte, 0, len(raw)+len(raw)/300)
	for line := range bytes.Lines(raw) {
		out = append(foldLine(out, bytes.TrimSuffix(line, crlf)), crlf...)
	}
	return out
}

// foldLine adds a line to out. No piece consists of blanks only, which some take
// for the end of the header: one blank stands for those behind a break and at
// the start of a line that needs one, and those at its end go.
func foldLine(out, line []byte) []byte {
	if len(line) <= maxLine {
		return append(out, line...)
	}
	if line = bytes.TrimRight(line, " \t"); len(line) == 0 {
		return append(out, ' ')
	}
	indent := 0
	if isBlank(line[0]) {
		out, line, indent = append(out, line[0]), bytes.TrimLeft(line, " \t"), 1
	}
	for indent+len(line) > maxLine {
		n := breakAt(line, maxLine-indent)
		out = append(append(append(out, line[:n]...), crlf...), ' ')
		line = bytes.TrimLeft(line[n:], " \t")
		indent = 1
	}
	return append(out, line...)
}

// breakAt is where a line that does not begin with a blank is cut, so that most
// octets or less are in front.
func breakAt(line []byte, most int) int {
	for i := most; i > 0; i-- {
		if isBlank(line[i]) {
			return i
		}
	}
	n := most
	for n > most-utf8.UTFMax && !utf8.RuneStart(line[n]) {
		n--
	}
	return n
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
