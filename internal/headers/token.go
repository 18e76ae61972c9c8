package headers

import (
	"strings"
	"unicode/utf8"
)

// tokenKind tells tokens apart; specials are their own kind.
type tokenKind byte

const (
	tokenAtom    tokenKind = 'a' // also "a.b", and UTF-8
	tokenQuoted  tokenKind = 'q'
	tokenLiteral tokenKind = 'l' // [192.0.2.1]
	tokenBad     tokenKind = '!' // text says why
)

// token is a word or special of an address list. Blanks, folds and comments are
// no tokens; they only separate.
type token struct {
	kind     tokenKind
	from, to int    // where it stands in the value
	text     string // unquoted
	apart    bool   // a blank or comment is in front of it
}

// tokenize cuts a value (RFC 5322 3.2) into tokens. It never fails: what cannot
// be read becomes a bad token.
func tokenize(s string) []token {
	var list []token
	apart := false
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
			apart = true
			continue
		case c == '(':
			i = commentEnd(s, i)
			apart = true
			continue
		}
		t := nextToken(s, i)
		t.apart = apart
		apart = false
		list = append(list, t)
		i = t.to
	}
	return list
}

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
		end := strings.IndexByte(s[i:], ']')
		if end < 0 {
			return token{kind: tokenBad, from: i, to: len(s), text: "a [ is not closed"}
		}
		text := s[i : i+end+1]
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' }) {
			return token{kind: tokenBad, from: i, to: i + end + 1, text: "an address literal with characters that it must not have"}
		}
		return token{kind: tokenLiteral, from: i, to: i + end + 1, text: text}
	case ',', ';', ':', '<', '>', '@':
		return token{kind: tokenKind(c), from: i, to: i + 1, text: s[i : i+1]}
	case ')':
		return token{kind: tokenBad, from: i, to: i + 1, text: "a ) without a ("}
	case ']':
		return token{kind: tokenBad, from: i, to: i + 1, text: "a ] without a ["}
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
		if c < ' ' && c != '\t' || c == 0x7f {
			return token{kind: tokenBad, from: from, to: quoteEnd(s, i), text: "a control character"}
		}
		b.WriteByte(c)
	}
	return token{kind: tokenBad, from: from, to: len(s), text: "a quote is not closed"}
}

// quoteEnd is the place behind the next quote.
func quoteEnd(s string, i int) int {
	if end := strings.IndexByte(s[i:], '"'); end >= 0 {
		return i + end + 1
	}
	return len(s)
}

// atomToken reads up to the next special. "\a" stands for "a".
func atomToken(s string, from int) token {
	var b strings.Builder
	i := from
	for i < len(s) && !strings.ContainsRune(" \t\r\n()<>,;:@\"[]", rune(s[i])) {
		c := s[i]
		if c < ' ' || c == 0x7f {
			return token{kind: tokenBad, from: from, to: i + 1, text: "a control character"}
		}
		if c == '\\' {
			if i++; i == len(s) {
				break
			}
			if c = s[i]; c < ' ' || c == 0x7f {
				return token{kind: tokenBad, from: from, to: i + 1, text: "a control character"}
			}
		}
		b.WriteByte(c)
		i++
	}
	if !utf8.ValidString(b.String()) {
		return token{kind: tokenBad, from: from, to: i, text: "octets that are not UTF-8"}
	}
	return token{kind: tokenAtom, from: from, to: i, text: b.String()}
}
