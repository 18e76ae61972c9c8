package config

import (
	"strings"
)

// Pattern is an address with "*" for any text, also none, and "?" for any one
// character; "<>" is the null sender, and "*" alone is every sender. The domain
// is in ASCII.
type Pattern string

// Match reports whether the pattern covers an address, "" for the null sender,
// whose domain is in ASCII (RFC 5890 A-labels). Case does not matter.
func (p Pattern) Match(address string) bool {
	switch {
	case p == "<>":
		return address == ""
	case p == "*":
		return true
	}
	return glob(strings.ToLower(string(p)), strings.ToLower(address))
}

// glob is linear in practice: after a "*" that matched it never goes back to one
// before.
func glob(p, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(p[i:], "*") == ""
}

// pattern takes an address with wildcards.
func pattern(s string) (string, string, string) {
	if s == "<>" || s == "*" {
		return s, "", ""
	}
	at := strings.LastIndexByte(s, '@')
	switch {
	case at < 0:
		domain, below := strings.CutPrefix(s, "*.")
		hint := `write "*@` + domain + `" for a whole domain`
		if below {
			hint += `, "*@*.` + domain + `" for those below it`
		}
		return "", "is no address: " + quoted(s), hint
	case at == 0:
		return "", "is no address: " + quoted(s), `write "*` + s + `" for a whole domain`
	case at == len(s)-1, strings.ContainsAny(s, " <>"):
		return "", "is no address: " + quoted(s), `write "user@example.com", "*@example.com" or "*@*.example.com"`
	case strings.ContainsFunc(s[at:], func(r rune) bool { return r > 0x7f }):
		return "", "has a domain that is not in ASCII: " + quoted(s), "write the form that begins with xn--"
	}
	return s, "", ""
}

// label takes a name for messages and logs.
func label(s string) (string, string, string) {
	if len(s) > 40 || strings.ContainsFunc(s, func(r rune) bool { return r != '-' && r != '_' && r != '.' && !isAlnum(r) }) {
		return "", "is not one word of letters, digits, dots and hyphens: " + quoted(s), ""
	}
	return s, "", ""
}

// Choose is the first smarthost whose senders and recipients match, nil if none
// does. An address is as for Pattern.Match.
func (c *Config) Choose(sender, recipient string) *Smarthost {
	for _, h := range c.Smarthosts {
		if matchAny(h.Senders, sender) && matchAny(h.Recipients, recipient) {
			return h
		}
	}
	return nil
}

// TakesSender reports whether some mail of an envelope sender may go here.
func (h *Smarthost) TakesSender(sender string) bool { return matchAny(h.Senders, sender) }

// matchAny is true for no patterns.
func matchAny(list []Pattern, address string) bool {
	for _, p := range list {
		if p.Match(address) {
			return true
		}
	}
	return len(list) == 0
}

// Label names the smarthost for people: its name, else where it is.
func (h *Smarthost) Label() string {
	if h.Name != "" {
		return h.Name
	}
	return h.Where()
}

// Where is the place of the smarthost as it is configured.
func (h *Smarthost) Where() string {
	switch {
	case h.Capture != "":
		return h.Capture
	case h.Socket != "":
		return h.Socket
	case len(h.ConnectCommand) > 0:
		return strings.Join(h.ConnectCommand, " ")
	}
	return strings.Join(h.Hosts, ", ")
}
