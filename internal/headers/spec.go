package headers

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxAddress is how long an address may be: what one line holds. The limits of
// RFC 5321 4.5.3.1 (64 and 255) are the smarthost's to judge.
const maxAddress = 998

// addrSpec joins the tokens of "local" or "local@domain".
func addrSpec(t []token) (a Address, reason string) {
	at := index(t, '@')
	local, domain := t, []token(nil)
	if at >= 0 {
		local, domain = t[:at], t[at+1:]
		if len(domain) == 0 {
			return a, "there is no domain behind the @"
		}
	}
	if a.Local, reason = join(local); reason != "" {
		return a, reason
	}
	if a.Local == "" {
		return a, "there is no name in front of the @"
	}
	if at >= 0 {
		if a.Domain, reason = joinDomain(domain); reason != "" {
			return a, reason
		}
	}
	return a, ""
}

// join puts words together that only blanks, comments and quotes divided.
func join(t []token) (text, reason string) {
	size := 0
	for _, w := range t {
		if w.kind != tokenAtom && w.kind != tokenQuoted {
			return "", unexpected(w)
		}
		if size += len(w.text); size > maxAddress {
			return "", "it is too long"
		}
		text += w.text
	}
	return text, badText(text)
}

func unexpected(t token) (reason string) {
	if t.kind == tokenLiteral {
		return "an address literal in the wrong place"
	}
	return "an unexpected " + t.text // one character
}

// badText refuses what neither SMTP nor SMTPUTF8 can carry.
func badText(s string) (reason string) {
	switch {
	case !utf8.ValidString(s):
		return "octets that are not UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "a control character"
	}
	return ""
}

// joinDomain joins the tokens of a domain or address literal.
func joinDomain(t []token) (domain, reason string) {
	if len(t) == 1 && t[0].kind == tokenLiteral {
		return t[0].text, badLiteral(t[0].text)
	}
	for _, w := range t {
		switch w.kind {
		case '@':
			return "", "more than one @"
		case tokenQuoted:
			return "", "a quote in the domain"
		}
	}
	if domain, reason = join(t); reason != "" {
		return "", reason
	}
	if strings.HasPrefix(domain, ".") || strings.Contains(domain, "..") {
		return "", "a dot too many in the domain"
	}
	if !isHostname(domain) {
		return "", "a character that no domain has"
	}
	return strings.TrimSuffix(domain, "."), ""
}

// badLiteral refuses address literals that are not dtext (RFC 5321 4.1.3).
func badLiteral(s string) (reason string) {
	if len(s) == len("[]") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return "an address literal that is none"
	}
	return ""
}

// bareReason refuses local names that mean a program, file or list to Sendmail;
// nothing is ever run or opened here.
func bareReason(local string) string {
	if local[0] == '|' || local[0] == '/' || strings.HasPrefix(local, ":include:") {
		return "programs and files cannot be recipients"
	}
	return ""
}

// isHostname checks the ASCII characters of a domain. Underscores are in use.
func isHostname(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x80 && c != '-' && c != '.' && c != '_' && !isAlnum(c) {
			return false
		}
	}
	return true
}

// isAtext reports what an atom may have (RFC 5322 3.2.3), of ASCII.
func isAtext(c byte) bool {
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '/', '=', '?', '^', '_', '`', '{', '|', '}', '~':
		return true
	}
	return isAlnum(c)
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
