package message

import (
	"bytes"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"
)

// headerLimit bounds the header of a MIME part, which is held in memory. A part
// with a longer one is treated as no MIME.
const headerLimit = 1 << 20

// fields is a header: each element is a field with its continuation lines and
// line ends. Only those that have to change are ever written anew.
type fields [][]byte

// split cuts header into fields, up to the empty line. The fields share its
// memory.
func split(header []byte) fields {
	var fs fields
	start, at := 0, 0
	for at < len(header) {
		n := lineLen(header[at:])
		if len(bytes.TrimRight(header[at:at+n], "\r\n")) == 0 {
			break
		}
		if at > start && !isBlank(header[at]) {
			fs = append(fs, header[start:at:at])
			start = at
		}
		at += n
	}
	if at > start {
		fs = append(fs, header[start:at:at])
	}
	return fs
}

// lineLen returns the length of the first line of p with its end.
func lineLen(p []byte) int {
	if n := bytes.IndexByte(p, '\n') + 1; n > 0 {
		return n
	}
	return len(p)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// nameEnd returns the length of the field name that l begins with (RFC 5322
// 2.2, with the obsolete blanks before the colon), or 0 if l is no field.
func nameEnd(l []byte) int {
	n := 0
	for n < len(l) && l[n] > ' ' && l[n] < 0x7f && l[n] != ':' {
		n++
	}
	if rest := bytes.TrimLeft(l[n:], " \t"); len(rest) == 0 || rest[0] != ':' {
		return 0
	}
	return n
}

// find returns the place of the first field of that name, or -1.
func (fs fields) find(name string) int {
	for i, f := range fs {
		if n := nameEnd(f); n == len(name) && strings.EqualFold(string(f[:n]), name) {
			return i
		}
	}
	return -1
}

func (fs fields) has(name string) bool { return fs.find(name) >= 0 }

// get returns the unfolded value of the first field of that name.
func (fs fields) get(name string) string {
	i := fs.find(name)
	if i < 0 {
		return ""
	}
	v := string(fs[i][bytes.IndexByte(fs[i], ':')+1:])
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(v))
}

// set replaces the first field of that name and drops the others, or appends it.
func (fs fields) set(name, value string) fields {
	line := []byte(name + ": " + value + "\r\n")
	var out fields
	for done := false; ; done = true {
		i := fs.find(name)
		if i < 0 && !done {
			return append(fs[:len(fs):len(fs)], line)
		}
		if i < 0 {
			return append(out, fs...)
		}
		out = append(out, fs[:i]...)
		if !done {
			out = append(out, line)
		}
		fs = fs[i+1:]
	}
}

// token returns a structured value up to its parameters or comment, in lower
// case: "text/plain" of `Text/Plain; charset="x"`.
func token(value string) string {
	if i := strings.IndexAny(value, "; \t("); i >= 0 {
		value = value[:i]
	}
	return strings.ToLower(strings.Trim(value, `"`))
}

// repairField makes the field of a MIME part fit for w: NUL is dropped, octets
// above 127 become encoded-words (RFC 2047) if the wire is 7-bit, and lines over
// 998 octets are folded. A field that fits is returned as it is.
func repairField(f []byte, w Wire) []byte {
	facts := factsOf(f)
	if facts.fits(w) {
		return f
	}
	if facts.NUL {
		f = bytes.ReplaceAll(f, []byte{0}, nil)
	}
	if facts.EightBit && !w.EightBitMIME {
		f = encodeWords(f)
	}
	return foldLines(f)
}

// encodeWords replaces each run of words with octets above 127. It also does so
// inside quoted strings, where RFC 2047 does not want it but readers decode it.
func encodeWords(f []byte) []byte {
	var out []byte
	for len(f) > 0 {
		n := wordLen(f)
		if n == 0 {
			out = append(out, f[0])
			f = f[1:]
			continue
		}
		if !hasEightBit(f[:n]) {
			out = append(out, f[:n]...)
			f = f[n:]
			continue
		}
		for { // blanks between encoded-words are lost, so they go inside
			gap := len(f[n:]) - len(bytes.TrimLeft(f[n:], " \t\r\n"))
			k := wordLen(f[n+gap:])
			if gap == 0 || !hasEightBit(f[n+gap:n+gap+k]) {
				break
			}
			n += gap + k
		}
		out = append(out, encodedWord(f[:n])...)
		f = f[n:]
	}
	return out
}

// wordLen returns how many octets of f come before the next separator.
func wordLen(f []byte) int {
	if i := bytes.IndexAny(f, " \t\r\n\"(),:;<>@[]\\="); i >= 0 {
		return i
	}
	return len(f)
}

// encodedWord encodes text. Which charset it is in, if it is not UTF-8, is not
// known and so not guessed (RFC 1428).
func encodedWord(p []byte) string {
	s := strings.NewReplacer("\r", "", "\n", "").Replace(string(p))
	if utf8.ValidString(s) {
		return mime.QEncoding.Encode("utf-8", s)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if i%18 == 0 { // an encoded-word has at most 75 octets
			b.WriteString(strings.Repeat("?= ", min(i, 1)) + "=?unknown-8bit?q?")
		}
		fmt.Fprintf(&b, "=%02X", s[i])
	}
	return b.String() + "?="
}

// foldLines folds the lines of f that are over 998 octets: at the last blank
// that fits, else by force as Postfix does, never within a UTF-8 character.
func foldLines(f []byte) []byte {
	var out []byte
	for len(f) > 0 {
		n := lineLen(f)
		l := bytes.TrimRight(f[:n], "\r\n")
		if len(l) > maxLine {
			out = append(foldLine(out, squeeze(l)), crlf...)
		} else {
			out = append(out, f[:n]...)
		}
		f = f[n:]
	}
	return out
}

func foldLine(out, l []byte) []byte {
	room := maxLine
	for len(l) > room {
		i := bytes.LastIndexAny(l[:room], " \t")
		if i > 0 && len(bytes.TrimLeft(l[:i], " \t")) > 0 {
			out = append(append(out, l[:i]...), crlf...)
			l, room = l[i:], maxLine
			continue
		}
		for i = room; i > room-utf8.UTFMax && !utf8.RuneStart(l[i]); {
			i--
		}
		out = append(append(out, l[:i]...), "\r\n "...)
		l, room = l[i:], maxLine-1
	}
	return append(out, l...)
}

// squeeze drops blanks at the end of l and shortens long runs of them, so that
// no fold makes a line of blanks, which some take for the end of the header.
func squeeze(l []byte) []byte {
	l = bytes.TrimRight(l, " \t")
	out := make([]byte, 0, len(l))
	run := 0
	for _, c := range l {
		if !isBlank(c) {
			run = 0
		} else if run++; run > 80 {
			continue
		}
		out = append(out, c)
	}
	return out
}
