package headers

import "strings"

// tokenKind tells tokens apart; specials are their own kind.
type tokenKind byte

const (
	tokenAtom    tokenKind = 'a' // also "a.b", and UTF-8
	tokenQuoted  tokenKind = 'q'
	tokenLiteral tokenKind = 'l' // [192.0.2.1]
	tokenOpen    tokenKind = '"' // a quoted string that is not closed
	tokenStray   tokenKind = '!' // a colon that no group or route has
)

// specials are the characters that end an atom; the comment's are two of them.
const specials = " \t\r\n()<>,;:@\"[]"

// token is a word or special of an address list. Blanks, folds and comments are
// no tokens; they only separate.
type token struct {
	kind     tokenKind
	from, to int    // where it stands in the value
	text     string // unquoted, not checked
	apart    bool   // a blank or comment is in front of it
}

// cutToken is the first token of s from i on (RFC 5322 3.2), and false if there is
// none. It never fails and checks no characters: in a name, which nobody reads, all
// are welcome.
func cutToken(s string, i int) (t token, ok bool) {
	from := i
	for i < len(s) {
		switch {
		case isSpace(s[i]):
			i++
		case s[i] == '(':
			i = commentEnd(s, i)
		default:
			t = nextToken(s, i)
			t.apart = i > from
			return t, true
		}
	}
	return token{}, false
}

// isSpace reports a blank or a part of a fold.
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// commentEnd is the place behind the comment at s[i]; one that is not closed
// ends with the value.
func commentEnd(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

func nextToken(s string, i int) token {
	switch c := s[i]; c {
	case '"':
		return quotedToken(s, i)
	case '[':
		if n := strings.IndexAny(s[i+1:], "[]<>\""); n >= 0 && s[i+1+n] == ']' {
			end := i + n + 2
			return token{kind: tokenLiteral, from: i, to: end, text: s[i:end]}
		}
		fallthrough
	case ',', ';', ':', '<', '>', '@', ')', ']':
		return token{kind: tokenKind(c), from: i, to: i + 1, text: s[i : i+1]}
	}
	return atomToken(s, i)
}

// quotedToken reads a quoted string; folds in it are dropped.
func quotedToken(s string, from int) token {
	var b strings.Builder
	for i := from + 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			return token{kind: tokenQuoted, from: from, to: i + 1, text: b.String()}
		case c == '\\' && i+1 < len(s):
			i++
			c = s[i]
		case c == '\r' || c == '\n':
			continue
		}
		b.WriteByte(c)
	}
	return token{kind: tokenOpen, from: from, to: len(s), text: s[from:]}
}

// atomToken reads up to the next special. "\a" stands for "a".
func atomToken(s string, from int) token {
	end := from
	for end < len(s) && strings.IndexByte(specials, s[end]) < 0 {
		if s[end] == '\\' {
			end++
		}
		end++
	}
	if end > len(s) { // an escape without what it escapes
		return token{kind: '\\', from: from, to: len(s), text: `\`}
	}
	text := s[from:end]
	if strings.IndexByte(text, '\\') >= 0 {
		text = unescape(text)
	}
	return token{kind: tokenAtom, from: from, to: end, text: text}
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++ // atomToken has seen that there is one
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
