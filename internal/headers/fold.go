package headers

import (
	"bytes"
	"strings"
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
// both sides, else by force, as Postfix does, but not within a character.
func fold(raw []byte) []byte {
	if !tooLong(raw) {
		return raw
	}
	var out []byte
	for line := range bytes.Lines(raw) {
		line = bytes.TrimRight(line, "\r\n")
		for len(line) > maxLine {
			n := breakAt(line)
			out = append(append(out, line[:n]...), crlf...)
			// One blank is enough: a long run of them could become a line of
			// blanks, which some take for the end of the header.
			line = append([]byte(" "), bytes.Trim(line[n:], " \t")...)
		}
		out = append(append(out, line...), crlf...)
	}
	return out
}

// breakAt is where a line that is too long is cut.
func breakAt(line []byte) int {
	for i := maxLine; i > 1; i-- {
		// A line of blanks only would be taken for the end of the header.
		if isBlank(line[i]) && len(bytes.TrimSpace(line[:i])) > 0 && len(bytes.TrimSpace(line[i:])) > 0 {
			return i
		}
	}
	n := maxLine
	for n > maxLine-utf8.UTFMax && !utf8.RuneStart(line[n]) {
		n--
	}
	return n
}

func isBlank(c byte) bool { return strings.IndexByte(" \t", c) >= 0 }
