package headers

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Address is a mailbox. Local is its value without quotes; Domain is as it was
// written, or an address literal in brackets.
type Address struct{ Local, Domain string }

// String is the RFC 5321 4.1.2 form, with the local part quoted only if it must
// be. Dots at odd places are left to the smarthost.
func (a Address) String() string {
	local := a.Local
	if mustQuote(local) {
		var b strings.Builder
		b.WriteByte('"')
		for i := range len(local) {
			if c := local[i]; c == '"' || c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(local[i])
		}
		b.WriteByte('"')
		local = b.String()
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

// mustQuote reports a local part with characters that are not atext or dots.
func mustQuote(local string) bool {
	for i := range len(local) {
		if c := local[i]; c < 0x80 && c != '.' && !isAtext(c) {
			return true
		}
	}
	return local == ""
}

// Key is equal for addresses of the same mailbox: the domain's case and IDN form
// do not matter, the local part's case does (RFC 5321 2.4).
func (a Address) Key() string {
	a = a.normal()
	return a.Local + "@" + a.Domain
}

// normal is the one form of an address that Key compares.
func (a Address) normal() Address {
	if isNormal(a.Domain) {
		return a
	}
	if ascii, err := ToASCII(a.Domain); err == nil {
		a.Domain = ascii
	}
	a.Domain = strings.ToLower(a.Domain)
	return a
}

// isNormal reports a domain in lower-case ASCII, as nearly all are.
func isNormal(domain string) bool {
	for i := range len(domain) {
		if c := domain[i]; c >= 0x80 || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// NeedsUTF8 reports an address that only SMTPUTF8 can carry (RFC 6531).
func (a Address) NeedsUTF8() bool { return !isASCII(a.Local) }

// ToASCII is the A-label form of a domain (RFC 5890); ASCII domains and address
// literals stay as they are. It is idna.Lookup that lets underscores be, which
// names of hosts have no right to and some have.
func ToASCII(domain string) (string, error) {
	if isASCII(domain) {
		return domain, nil
	}
	ascii, err := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false)).ToASCII(domain)
	// Mapping makes ASCII of wide forms, also of ">" and blanks.
	if err == nil && !isHostname(ascii) {
		err = &BadAddress{Text: shown(domain), Reason: "a character that no domain has"}
	}
	return ascii, err
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// BadAddress is text that is no address.
type BadAddress struct {
	Text   string // escaped and cut, fit for a terminal
	Reason string
}

// Error names the text and what is wrong with it.
func (b *BadAddress) Error() string {
	return fmt.Sprintf("%s is not an address: %s", b.Text, b.Reason)
}

// shown quotes a text for people.
func shown(s string) string {
	const most = 100
	if len(s) > most {
		cut := most
		for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strconv.Quote(s)
}

// ParseSender reads an envelope sender as -f takes it: "" and "<>" are the null
// sender, else exactly one address, with or without name and brackets. The error
// is a *BadAddress.
func ParseSender(value, domain string) (addr Address, null bool, err error) {
	if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
		return addr, false, &BadAddress{Text: shown(value), Reason: "a line end or other control character"}
	}
	if trimmed := strings.Trim(value, " \t"); trimmed == "" || trimmed == "<>" {
		return addr, true, nil
	}
	addrs, bad := ParseList(value, domain)
	switch {
	case len(bad) > 0:
		return addr, false, bad[0]
	case len(addrs) != 1:
		return addr, false, &BadAddress{Text: shown(value), Reason: "it must be one address"}
	}
	return addrs[0], false, nil
}
