package aliases

import (
	"strings"
	"unicode"

	"postern/internal/headers"
)

// Kind is what a target is.
type Kind int

const (
	Address Kind = iota
	Include      // ":include:/path", a file with more addresses
	Program      // "|command": refused
	File         // "/path": refused
	Fail         // ":fail: text" and the like: refused, as it asks for
)

// Target is what a name stands for.
type Target struct {
	Kind Kind
	// Address is of an address; its Domain is "" for a local name.
	Address headers.Address
	Final   bool   // "\name": the name is not looked up again
	Text    string // path of a list or file, command, or text of a failure
}

// String is the target as an alias file has it; it is read back as the same.
func (t Target) String() string {
	switch t.Kind {
	case Include:
		return quoted(":include:" + t.Text)
	case Program:
		return quoted("|" + t.Text)
	case File:
		return quoted(t.Text)
	case Fail:
		return strings.TrimSpace(":fail: " + t.Text)
	}
	text := t.Address.String()
	if t.Final {
		return `\` + text
	}
	if strings.ContainsAny(text[:1], "/|#") { // an address, and not a file, program or comment
		return strings.TrimSuffix(quoted(t.Address.Local)+"@"+t.Address.Domain, "@")
	}
	return text
}

// quoted puts a text in quotes, with what would end them escaped.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// unquoted takes the quotes off a text that is quoted as a whole.
func unquoted(s string) string {
	if len(s) < 2 || s[0] != '"' || scan(s).quoteEnd != len(s) {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' {
			i++ // scan has seen that this is not the end
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// targets reads what stands behind the colon, on one line. A reason is what is
// wrong with a part of it; what is good counts nevertheless.
func targets(text string) (list []Target, reasons []string) {
	if t, ok := failure(text); ok {
		return []Target{t}, nil
	}
	for _, piece := range split(text) {
		if piece = strings.TrimSpace(piece); piece == "" {
			continue // "a, , b" and a comma at the end are common
		}
		found, reason := target(piece)
		if reason != "" {
			reasons = append(reasons, reason)
			continue
		}
		list = append(list, found...)
	}
	if len(list) == 0 && len(reasons) == 0 {
		reasons = append(reasons, "there is no address behind the name")
	}
	return list, reasons
}

// failure reads Exim's and Sendmail's ways to refuse mail. Their text goes to
// the end of the line, commas included.
func failure(text string) (Target, bool) {
	text = strings.TrimSpace(unquoted(strings.TrimSpace(text)))
	for _, prefix := range []string{":fail:", ":error:", "error:", ":defer:", ":unknown:", ":blackhole:"} {
		if len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
			return Target{Kind: Fail, Text: oneLine(text[len(prefix):])}, true
		}
	}
	return Target{}, false
}

// oneLine keeps what a terminal and a log may be shown.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return unicode.IsControl(r) || r == ' ' }), " ")
}

// target reads one target.
func target(piece string) (list []Target, reason string) {
	if strings.ContainsFunc(piece, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
		return nil, "a control character"
	}
	special := piece
	if piece[0] == '"' {
		special = unquoted(piece)
	} else if strings.HasPrefix(piece, `|"`) {
		special = "|" + unquoted(piece[1:])
	}
	switch {
	case strings.HasPrefix(special, "|"):
		return []Target{{Kind: Program, Text: special[1:]}}, ""
	case strings.HasPrefix(special, "/"):
		return []Target{{Kind: File, Text: special}}, ""
	case len(special) > len(includePrefix) && strings.EqualFold(special[:len(includePrefix)], includePrefix):
		return include(special[len(includePrefix):])
	}
	if t, ok := failure(special); ok {
		return []Target{t}, ""
	}
	return addresses(piece)
}

const includePrefix = ":include:"

func include(path string) ([]Target, string) {
	if path = strings.TrimSpace(path); !strings.HasPrefix(path, "/") {
		return nil, "the path of a list must begin with /"
	}
	return []Target{{Kind: Include, Text: path}}, ""
}

// addresses reads an address, or several without commas between them.
func addresses(piece string) (list []Target, reason string) {
	rest, final := strings.CutPrefix(piece, `\`)
	if at := scan(rest).colon; at >= 0 {
		return nil, shown(piece) + ": an unexpected :, a line end may be missing"
	}
	found, bad := headers.ParseList(rest, "")
	if len(bad) > 0 {
		return nil, bad[0].Error()
	}
	if len(found) == 0 {
		return nil, shown(piece) + " has no address"
	}
	for _, a := range found {
		list = append(list, Target{Address: a, Final: final})
	}
	return list, ""
}

// marks are the places of a text that mean something outside quotes, comments
// and brackets.
type marks struct {
	commas   []int
	colon    int // the first, -1 without one
	hash     int // of "#" at the start or behind a blank, -1 without one
	quoteEnd int // behind the first quoted string
}

// scan finds them.
func scan(s string) marks {
	m := marks{colon: -1, hash: -1}
	depth, angle, quote := 0, false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\':
			// A backslash in front of a whole target marks a final name.
			if quote || depth > 0 || i+1 < len(s) && s[i+1] != '"' {
				i++
			}
		case quote:
			if quote = c != '"'; !quote && m.quoteEnd == 0 {
				m.quoteEnd = i + 1
			}
		case c == '"' && depth == 0:
			quote = true
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == '<' || c == '[':
			angle = true
		case c == '>' || c == ']':
			angle = false
		case c == ',':
			m.commas, angle = append(m.commas, i), false
		case c == ':' && !angle && m.colon < 0:
			m.colon = i
		case c == '#' && m.hash < 0 && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t'):
			m.hash = i
		}
	}
	return m
}

// split cuts a list at its commas.
func split(s string) (pieces []string) {
	at := 0
	for _, i := range scan(s).commas {
		pieces = append(pieces, s[at:i])
		at = i + 1
	}
	return append(pieces, s[at:])
}

// shown is text of a file for people.
func shown(s string) string {
	const most = 80
	if s = oneLine(s); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return quoted(s)
}
