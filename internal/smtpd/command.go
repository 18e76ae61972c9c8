package smtpd

import (
	"bytes"
	"strconv"
	"strings"

	"postern/internal/headers"
)

// isCommand reports whether a line has that verb.
func isCommand(line []byte, verb string) bool {
	word, _, _ := bytes.Cut(line, []byte(" "))
	return strings.EqualFold(string(word), verb)
}

// chunkSize is how many octets follow a line, by the same rules as go-smtp's: a
// BDAT with a syntax error has none.
func chunkSize(line []byte) int64 {
	if !isCommand(line, "BDAT") {
		return 0
	}
	args := strings.Fields(string(line[len("BDAT"):]))
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && !strings.EqualFold(args[1], "LAST") {
		return 0
	}
	size, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return 0
	}
	return int64(size)
}

// transfer follows a message that comes in chunks. When one is broken off, go-smtp
// lets its handler end in a goroutine of its own, and gives what that says for the
// answer to the next message in chunks, which may be taken.
type transfer struct {
	open   bool // a chunk was taken, and it was not the last
	chunk  bool // the line before was BDAT
	last   bool // ... LAST
	broken bool // a message was broken off
}

// next looks at a command and at the reply to the one before. It is false if
// go-smtp must not see the command.
func (t *transfer) next(line []byte, code string) bool {
	was := t.open
	switch {
	case t.chunk && code == "250":
		t.open = !t.last
	case t.chunk:
		// Only that it is too large may go-smtp say of a message whose last chunk
		// its handler has not seen.
		t.broken = t.broken || was && (!t.last || code == "552")
		t.open = false
	}
	if t.open && (isCommand(line, "RSET") || isCommand(line, "EHLO") || isCommand(line, "HELO")) {
		t.open, t.broken = false, true
	}
	t.chunk = isCommand(line, "BDAT")
	t.last = t.chunk && bytes.HasSuffix(bytes.ToUpper(bytes.TrimSpace(line)), []byte("LAST"))
	return !t.chunk || !t.broken
}

// rewrite makes a command fit for go-smtp, which repeats parts of it in its
// replies: without control characters, and with paths that it understands.
func (w *wire) rewrite(line []byte) []byte {
	for verb, keyword := range map[string]string{"MAIL": "FROM:", "RCPT": "TO:"} {
		if isCommand(line, verb) {
			return []byte(verb + " " + keyword + w.canonical(string(line[len(verb):]), keyword))
		}
	}
	return []byte(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(line), "?")))
}

// canonical is the path and the parameters of MAIL or RCPT. A path that is none
// becomes "", which go-smtp refuses as a syntax error (501).
func (w *wire) canonical(rest, keyword string) string {
	rest = strings.TrimSpace(rest)
	if len(rest) < len(keyword) || !strings.EqualFold(rest[:len(keyword)], keyword) {
		return ""
	}
	path, params := cutPath(strings.TrimSpace(rest[len(keyword):]))
	if strings.ContainsFunc(params, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return ""
	}
	address, null, err := headers.ParseSender(path, "")
	if w.bare = err == nil && !null && address.Domain == ""; w.bare {
		address.Domain = w.domain
	}
	switch {
	case err != nil, null && (path != "<>" || keyword != "FROM:"):
		return ""
	case null:
		return "<>" + params
	}
	return "<" + address.String() + ">" + params
}

// cutPath parts a path from the parameters behind it: at the first ">" outside of
// quotes, or at the first blank if there are no angle brackets.
func cutPath(s string) (path, params string) {
	end, quoted := strings.HasPrefix(s, "<"), false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case end && c == '>':
			return s[:i+1], blankFirst(s[i+1:])
		case !end && c == ' ':
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// blankFirst puts a blank in front of parameters that have none.
func blankFirst(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	return " " + s
}
