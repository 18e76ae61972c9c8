package smtp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Envelope says from whom and for whom a message is (RFC 5321 2.3.1), and how
// it is to be treated. Addresses are without angle brackets.
type Envelope struct {
	Sender     string // "" is the null sender <>
	Recipients []Recipient

	EightBit   bool   // the content has octets above 127 (BODY=8BITMIME, RFC 6152)
	Return     string // FULL or HDRS (RET=, RFC 3461); "" for the server's choice
	EnvelopeID string // ENVID=, RFC 3461, not yet in xtext
	RequireTLS bool   // RFC 8689: the message must not travel further without TLS
	UTF8       bool   // the header needs SMTPUTF8 (RFC 6531), whatever the addresses do

	Options []string // further MAIL parameters, sent if their extension is offered
}

// Recipient is one RCPT command.
type Recipient struct {
	Address  string
	Notify   string   // NEVER, or of SUCCESS,FAILURE,DELAY (NOTIFY=, RFC 3461)
	Original string   // "rfc822;address" before aliases (ORCPT=), not yet in xtext
	Options  []string // further RCPT parameters
}

// RecipientsOf makes recipients of plain addresses.
func RecipientsOf(addresses ...string) []Recipient {
	list := make([]Recipient, len(addresses))
	for i, a := range addresses {
		list[i].Address = a
	}
	return list
}

// mailLine is the MAIL command for a message of size octets to some of the
// recipients.
func (c *Client) mailLine(e *Envelope, who []int, size int64) (string, error) {
	sender, err := c.path(StageMail, e.Sender)
	if err != nil {
		return "", err
	}
	line := "MAIL FROM:<" + sender + ">"
	if max := c.ext.MaxSize(); size >= 0 && c.ext.Has("SIZE") {
		if max > 0 && size > max {
			return "", &Error{Stage: StageMail, Host: c.name, Err: because(ErrTooLarge,
				fmt.Errorf("the message has %d octets, the server takes %d", size, max))}
		}
		line += " SIZE=" + strconv.FormatInt(size, 10)
	}
	if e.EightBit {
		if !c.ext.Has("8BITMIME") {
			return "", c.unsupported(StageMail, "8BITMIME")
		}
		line += " BODY=8BITMIME"
	}
	switch offered := c.ext.Has("SMTPUTF8"); {
	case offered && e.needsUTF8(who):
		line += " SMTPUTF8"
	case !offered && (e.UTF8 || NeedsUTF8(e.Sender)):
		return "", c.noUTF8(StageMail)
	}
	if e.RequireTLS {
		if c.tlsState() == nil || c.unverified() || !c.ext.Has("REQUIRETLS") {
			return "", c.unsupported(StageMail, "REQUIRETLS on a verified TLS connection")
		}
		line += " REQUIRETLS"
	}
	dsn, err := c.mailDSN(e)
	if err != nil {
		return "", err
	}
	options, err := c.options(StageMail, e.Options, dsn, "SIZE", "BODY", "SMTPUTF8", "REQUIRETLS")
	return line + dsn + options, err
}

// mailDSN are the parameters of RFC 3461 4.3, 4.4. A server without DSN gets
// none: it then reports as it likes.
func (c *Client) mailDSN(e *Envelope) (string, error) {
	if !c.ext.Has("DSN") {
		return "", nil
	}
	var s string
	switch ret := strings.ToUpper(e.Return); ret {
	case "":
	case "FULL", "HDRS":
		s += " RET=" + ret
	default:
		return "", c.invalid(StageMail, "", "RET is neither FULL nor HDRS")
	}
	if e.EnvelopeID != "" {
		if len(e.EnvelopeID) > 100 || !isASCII(e.EnvelopeID) || strings.ContainsFunc(e.EnvelopeID, control) {
			return "", c.invalid(StageMail, "", "an envelope id that RFC 3461 does not allow")
		}
		s += " ENVID=" + xtext(e.EnvelopeID)
	}
	return s, nil
}

// rcptLine is the RCPT command for r.
func (c *Client) rcptLine(r *Recipient) (string, error) {
	address, err := c.path(StageRcpt, r.Address)
	if err != nil {
		return "", err
	}
	if address == "" {
		return "", c.invalid(StageRcpt, "", "an empty recipient")
	}
	if NeedsUTF8(r.Address) && !c.ext.Has("SMTPUTF8") {
		return "", c.noUTF8(StageRcpt)
	}
	dsn := ""
	if c.ext.Has("DSN") {
		if r.Notify != "" {
			notify, ok := notifyWords(r.Notify)
			if !ok {
				return "", c.invalid(StageRcpt, r.Address, "NOTIFY is neither NEVER nor of SUCCESS, FAILURE, DELAY")
			}
			dsn += " NOTIFY=" + notify
		}
		if r.Original != "" {
			kind, original, ok := strings.Cut(r.Original, ";")
			if !ok || !plain(kind) || !isASCII(original) || strings.ContainsFunc(original, control) {
				return "", c.invalid(StageRcpt, r.Address, "an original recipient that cannot be sent")
			}
			dsn += " ORCPT=" + kind + ";" + xtext(original)
		}
	}
	options, err := c.options(StageRcpt, r.Options, dsn)
	return "RCPT TO:<" + address + ">" + dsn + options, err
}

// notifyWords checks and normalises a NOTIFY value (RFC 3461 4.1).
func notifyWords(s string) (string, bool) {
	s = strings.ToUpper(s)
	if s == "NEVER" {
		return s, true
	}
	for word := range strings.SplitSeq(s, ",") {
		if word != "SUCCESS" && word != "FAILURE" && word != "DELAY" {
			return "", false
		}
	}
	return s, true
}

// options are the words that the server understands. Those of ours are not
// overridden, and what dsn has already, the wish of the message, comes before a
// word that says the same.
func (c *Client) options(stage Stage, words []string, dsn string, ours ...string) (string, error) {
	var b strings.Builder
	for _, w := range words {
		if err := c.checkWord(stage, w); err != nil {
			return "", err
		}
		name, _, _ := strings.Cut(strings.ToUpper(w), "=")
		if slices.Contains(ours, name) {
			return "", c.invalid(stage, "", name+" is set by its own option")
		}
		if c.ext.Has(extensionOf(name)) && !strings.Contains(dsn, " "+name+"=") {
			b.WriteString(" " + w)
		}
	}
	return b.String(), nil
}

// extensionOf names the extension that a parameter belongs to.
func extensionOf(parameter string) string {
	switch parameter {
	case "BY":
		return "DELIVERBY"
	case "HOLDFOR", "HOLDUNTIL":
		return "FUTURERELEASE"
	case "RET", "ENVID", "NOTIFY", "ORCPT":
		return "DSN"
	}
	return parameter
}

// needsUTF8 reports whether a transaction for some of the recipients needs
// SMTPUTF8.
func (e *Envelope) needsUTF8(who []int) bool {
	return e.UTF8 || NeedsUTF8(e.Sender) ||
		slices.ContainsFunc(who, func(i int) bool { return NeedsUTF8(e.Recipients[i].Address) })
}

// NeedsUTF8 reports whether the address can be sent with SMTPUTF8 only. A domain
// alone does not: it has an A-label form that every server takes (RFC 6531 3.2).
func NeedsUTF8(address string) bool { return !isASCII(localPart(address)) }

// localPart is what is in front of the last @.
func localPart(address string) string {
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		return address[:i]
	}
	return address
}

// path checks an address for a command and writes its domain in ASCII unless
// the local part needs SMTPUTF8 anyway. Whatever could end the path or the
// command is refused: controls, blanks and angle brackets outside of a quoted
// local part (RFC 5321 4.1.2).
func (c *Client) path(stage Stage, address string) (string, error) {
	if len(address) <= 998 && simple(address) { // also ""
		return address, nil
	}
	if len(address) > 998 || !utf8.ValidString(address) || !sound(address) {
		return "", c.invalid(stage, address, "an address that cannot be sent")
	}
	local := localPart(address)
	if isASCII(address) || !isASCII(local) {
		return address, nil
	}
	domain, err := idna.Lookup.ToASCII(address[len(local)+1:])
	if err != nil {
		return "", &Error{Stage: stage, Addr: address, Host: c.name, Err: because(ErrInvalid, errors.New("a domain that is no domain"))}
	}
	return local + "@" + domain, nil
}

// simple reports an address of printable ASCII without what has a meaning.
func simple(address string) bool {
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c > '~' || c == '<' || c == '>' || c == '"' {
			return false
		}
	}
	return true
}

// sound reports whether an address can stand in angle brackets.
func sound(address string) bool {
	rest := address
	if strings.HasPrefix(rest, `"`) {
		end := quotedEnd(rest)
		if end < 0 || strings.ContainsFunc(rest[:end], control) {
			return false
		}
		rest = rest[end:]
	}
	return plain(rest) && !strings.ContainsAny(rest, `"`)
}

// quotedEnd is the length of the quoted string that s begins with, -1 if it has
// no end.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// xtext is RFC 3461 4: what is not a printable ASCII character, and "+" and
// "=", becomes "+" and two hexadecimal digits.
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
