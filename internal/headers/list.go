package headers

import (
	"strings"
	"unicode/utf8"
)

// ParseList reads an address list as people and programs write it (RFC 5322 3.4
// and 4.4, and more): names, comments, groups, routes, quoted local parts,
// missing and doubled commas, ";" for ",". Bare local names get domain. What is
// not an address is in bad, and does not stop the others; an empty list is
// neither.
func ParseList(value, domain string) (addrs []Address, bad []*BadAddress) {
	p := parseList(value, domain)
	for _, f := range p.found {
		addrs = append(addrs, f.Address)
	}
	return addrs, p.bad
}

// found is an address and where it stands.
type found struct {
	Address
	end  int  // of its text, before comments
	bare bool // it came without a domain
}

// listParser turns tokens into addresses.
type listParser struct {
	value  string
	domain string
	found  []found
	bad    []*BadAddress
}

func parseList(value, domain string) *listParser {
	p := &listParser{value: value, domain: domain}
	var item []token
	angle := false
	for _, t := range tokenize(value) {
		switch {
		case t.kind == '<':
			angle = true
		case t.kind == '>':
			angle = false
		case angle:
		case t.kind == ',' || t.kind == ';':
			p.item(item)
			item = nil
			continue
		case t.kind == ':':
			p.group(append(item, t))
			item = nil
			continue
		}
		item = append(item, t)
	}
	p.item(item)
	return p
}

// group drops the name of a group. A name that is an address, or none at all,
// is no group, and dropping it could lose a recipient.
func (p *listParser) group(name []token) {
	if len(name) == 1 {
		p.refuse(name, "an address cannot begin with a colon")
		return
	}
	for _, t := range name {
		if t.kind == '@' || t.kind == '<' || t.kind == tokenBad {
			p.refuse(name, "a colon behind an address")
			return
		}
	}
}

// item reads what stands between two commas.
func (p *listParser) item(item []token) {
	for _, t := range item {
		if t.kind == tokenBad {
			p.refuse(item, t.text)
			return
		}
	}
	angles := 0
	for len(item) > 0 {
		open := index(item, '<')
		if open < 0 {
			break
		}
		end := open + index(item[open:], '>')
		if end < open {
			p.refuse(item, "a < is not closed")
			return
		}
		p.angle(item[open+1:end], item[open:end+1])
		angles++
		item = item[end+1:]
	}
	if index(item, '>') >= 0 {
		p.refuse(item, "a > without a <")
		return
	}
	if len(item) == 0 || angles > 0 && index(item, '@') < 0 {
		return // a comment in other words
	}
	p.words(item)
}

// angle reads what is in angle brackets: nothing, or one address with perhaps a
// source route in front, of which only the last hop counts (RFC 5321 C).
func (p *listParser) angle(inside, whole []token) {
	if len(inside) == 0 {
		return
	}
	if inside[0].kind == '@' {
		colon := index(inside, ':')
		if colon < 0 {
			p.refuse(whole, "a route without an address")
			return
		}
		inside = inside[colon+1:]
	}
	p.address(inside, whole)
}

// words reads addresses without angle brackets. Words without "@" in front of or
// behind one with it are a name.
func (p *listParser) words(item []token) {
	pieces := cutPieces(item)
	named := index(item, '@') >= 0
	for _, piece := range pieces {
		if named && index(piece, '@') < 0 {
			continue
		}
		p.address(piece, piece)
	}
}

// cutPieces cuts at blanks, but not around "@" and dots, where old syntax allows
// them (RFC 5322 4.4).
func cutPieces(item []token) [][]token {
	var pieces [][]token
	start := 0
	for i := 1; i < len(item); i++ {
		before, t := item[i-1], item[i]
		glued := !t.apart || t.kind == '@' || before.kind == '@' || dotted(before, t)
		if !glued {
			pieces = append(pieces, item[start:i])
			start = i
		}
	}
	return append(pieces, item[start:])
}

// dotted reports two words with a dot between them.
func dotted(a, b token) bool {
	return a.kind == tokenAtom && strings.HasSuffix(a.text, ".") || b.kind == tokenAtom && strings.HasPrefix(b.text, ".")
}

// address reads one addr-spec.
func (p *listParser) address(t, whole []token) {
	a, reason := addrSpec(t)
	bare := reason == "" && a.Domain == ""
	if bare {
		reason = bareReason(t[0], a.Local)
		a.Domain = p.domain
	}
	if reason != "" {
		p.refuse(whole, reason)
		return
	}
	p.found = append(p.found, found{Address: a, end: t[len(t)-1].to, bare: bare})
}

// bareReason refuses local names that mean a program or a file to Sendmail;
// nothing is ever run or opened here.
func bareReason(first token, local string) string {
	if first.kind != tokenQuoted && (local[0] == '|' || local[0] == '/') {
		return "programs and files cannot be recipients"
	}
	return ""
}

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
	for _, w := range local {
		if w.kind != tokenAtom && w.kind != tokenQuoted {
			return a, "an unexpected " + w.text
		}
		a.Local += w.text
	}
	if a.Local == "" {
		return a, "there is no name in front of the @"
	}
	if at >= 0 {
		if a.Domain, reason = joinDomain(domain); reason != "" {
			return a, reason
		}
	}
	if len(a.Local)+len(a.Domain) > maxName {
		return a, "it is too long"
	}
	if !utf8.ValidString(a.Local) {
		return a, "octets that are not UTF-8"
	}
	return a, ""
}

// joinDomain joins the tokens of a domain or address literal.
func joinDomain(t []token) (domain, reason string) {
	if len(t) == 1 && t[0].kind == tokenLiteral {
		return t[0].text, ""
	}
	for _, w := range t {
		if w.kind == '@' {
			return "", "more than one @"
		}
		if w.kind != tokenAtom {
			return "", "an unexpected " + w.text + " in the domain"
		}
		domain += w.text
	}
	domain = strings.TrimSuffix(domain, ".")
	if domain == "" || strings.HasPrefix(domain, ".") || strings.Contains(domain, "..") {
		return "", "the domain is none"
	}
	for _, r := range domain {
		if r < 0x80 && r != '-' && r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "", "a character that no domain has"
		}
	}
	return domain, ""
}

func (p *listParser) refuse(t []token, reason string) {
	text := ""
	if len(t) > 0 {
		text = p.value[t[0].from:t[len(t)-1].to]
	}
	p.bad = append(p.bad, &BadAddress{Text: shown(text), Reason: reason})
}

// index is the place of the first token of a kind, -1 if there is none.
func index(t []token, kind tokenKind) int {
	for i := range t {
		if t[i].kind == kind {
			return i
		}
	}
	return -1
}
