package headers

import (
	"slices"
	"strings"
)

// ParseList reads an address list as people and programs write it (RFC 5322 3.4
// and 4.4, and more): names, comments, groups, routes, quoted local parts,
// missing and doubled commas, ";" for ",". Bare local names get domain. What is
// not an address is in bad, and does not stop the others; an empty list is
// neither.
func ParseList(value, domain string) (addrs []Address, bad []*BadAddress) {
	p := parseList(value, domain)
	if len(p.found) > 0 {
		addrs = make([]Address, len(p.found))
	}
	for i, f := range p.found {
		addrs[i] = f.Address
	}
	return addrs, p.bad
}

// anyBare reports a name that a domain can be added to.
func (p *listParser) anyBare() bool {
	return slices.ContainsFunc(p.found, func(f found) bool { return f.bare })
}

// found is an address and where it stands.
type found struct {
	Address
	end  int  // of its text, before comments
	span span // what of the value another address would replace
	bare bool // it came without a domain, and is no part of a name for sure
}

// span is a piece of a value. In angle brackets it is all between them, a source
// route too.
type span struct {
	from, to int
	angle    bool
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
	// As many as there may be; more than that is no list that people write.
	p.found = make([]found, 0, min(strings.Count(value, ",")+1, 1000))
	var item []token
	angle := false
	for at := 0; ; {
		if len(item) == 0 && !angle {
			if f, end := plainItem(value, at); end > at {
				p.found = append(p.found, f)
				at = end
				continue
			}
		}
		t, ok := cutToken(value, at)
		if !ok {
			break
		}
		at = t.to
		switch {
		case t.kind == '<':
			angle = true
		case t.kind == '>':
			angle = false
		case angle:
		case t.kind == ',' || t.kind == ';':
			p.item(item)
			item = item[:0]
			continue
		case t.kind == ':' && isGroupName(item):
			item = item[:0]
			continue
		case t.kind == ':':
			t.kind = tokenStray
		}
		item = append(item, t)
	}
	p.item(item)
	return p
}

// isGroupName reports what may be the name of a group. Dropping an address for
// one, or nothing (":include:x"), could lose or make up a recipient.
func isGroupName(item []token) bool {
	for _, t := range item {
		switch t.kind {
		case '@', '<', '>', tokenOpen, tokenStray:
			return false
		}
	}
	return len(item) > 0
}

// item reads what stands between two commas.
func (p *listParser) item(item []token) {
	switch {
	case index(item, tokenOpen) >= 0:
		p.refuse(item, "a quote is not closed")
		return
	case index(item, tokenStray) >= 0:
		p.refuse(item, "an unexpected :")
		return
	}
	angles := 0
	for {
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
	switch {
	case index(item, '>') >= 0:
		p.refuse(item, "a > without a <")
	case angles == 0 || index(item, '@') >= 0: // else a comment in other words
		p.words(item)
	}
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
	p.address(inside, whole, true)
}

// words reads addresses without angle brackets. Words without "@" beside one
// with it are a name. Several words without any may be users or the name of one:
// all are tried, but their field is not changed.
func (p *listParser) words(item []token) {
	named, alone := index(item, '@') >= 0, pieceEnd(item) == len(item)
	for len(item) > 0 {
		n := pieceEnd(item)
		if piece := item[:n]; !named || index(piece, '@') >= 0 {
			p.address(piece, piece, alone)
		}
		item = item[n:]
	}
}

// pieceEnd is where the first word ends: at a blank, but not around "@" and
// dots, where old syntax allows blanks (RFC 5322 4.4).
func pieceEnd(item []token) int {
	for i := 1; i < len(item); i++ {
		before, t := item[i-1], item[i]
		if t.apart && t.kind != '@' && before.kind != '@' && !dotted(before, t) {
			return i
		}
	}
	return len(item)
}

// dotted reports two words with a dot between them.
func dotted(a, b token) bool {
	return a.kind == tokenAtom && strings.HasSuffix(a.text, ".") || b.kind == tokenAtom && strings.HasPrefix(b.text, ".")
}

// address reads one addr-spec. A field can be changed only if it is sure that
// this is no part of a name.
func (p *listParser) address(t, whole []token, sure bool) {
	a, reason := addrSpec(t)
	bare := reason == "" && a.Domain == ""
	if bare {
		reason = bareReason(a.Local)
		a.Domain = p.domain
	}
	if reason == "" && len(a.Local)+len(a.Domain) >= maxAddress {
		reason = "it is too long"
	}
	if reason != "" {
		p.refuse(whole, reason)
		return
	}
	f := found{Address: a, end: t[len(t)-1].to, bare: bare && sure}
	f.span = span{from: t[0].from, to: f.end}
	if whole[0].kind == '<' {
		f.span = span{from: whole[0].to, to: whole[len(whole)-1].from, angle: true}
	}
	p.found = append(p.found, f)
}

func (p *listParser) refuse(t []token, reason string) {
	text := p.value[t[0].from:t[len(t)-1].to]
	p.bad = append(p.bad, &BadAddress{Text: shown(text), Reason: reason})
}

// index is the place of the first token of a kind, -1 if there is none.
func index(t []token, kind tokenKind) int {
	return slices.IndexFunc(t, func(t token) bool { return t.kind == kind })
}
