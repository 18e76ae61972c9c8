package config

import (
	"strings"
	"time"
)

// profile takes the name of a provider's rules. The other keys of the table go
// before what it sets, so readTable reads it first.
func profile(h *Smarthost) setter {
	return func(value any) (string, string) {
		var name string
		problem, hint := text(&name, choice("ses", "microsoft365", "gmail", "generic"))(value)
		h.preset(name)
		return problem, hint
	}
}

// preset is what a profile sets before the keys of the file are read. What is
// said of the account is set after them.
func (h *Smarthost) preset(profile string) {
	h.Profile = profile
	switch profile {
	case "ses":
		h.TLS = "starttls"
		h.AddTo = true
	case "microsoft365":
		h.Hosts, h.TLS = []string{"smtp.office365.com"}, "starttls"
		h.MaxConnections = 3                       // of one mailbox at a time
		h.Rate = Rate{Count: 30, Per: time.Minute} // of one mailbox
		h.AddTo = true
	case "gmail":
		h.Hosts, h.TLS = []string{"smtp.gmail.com"}, "implicit"
		h.FixMessageID = true
	case "generic":
		h.TLS = "starttls"
	}
}

// account completes a profile: the provider takes only senders that belong to
// the account. given tells the keys that were given. It is false if there is no
// address of the account.
func (h *Smarthost) account(from string, given func(key string) bool) bool {
	address := ""
	for _, a := range []string{from, h.Username, h.EnvelopeFrom, h.HeaderFrom.Address} {
		if _, problem, _ := mailbox(a); problem == "" && address == "" {
			address = a
		}
	}
	if address == "" {
		return false
	}
	if !given("envelope_from") {
		h.EnvelopeFrom = address
	}
	if !given("header_from") {
		h.HeaderFrom = Mailbox{Address: address}
	}
	switch {
	case given("own"):
	case h.Profile == "ses": // what is verified is a domain, as a rule, and counts for those below it
		_, domain, _ := strings.Cut(address, "@")
		h.Own = []Pattern{Pattern("*@" + domain), Pattern("*@*." + domain)}
	default:
		h.Own = []Pattern{Pattern(h.EnvelopeFrom), Pattern(h.HeaderFrom.Address)}
	}
	return true
}

// account is account for a table of the file.
func (d *decoder) account(s *settings, h *Smarthost) {
	given := func(key string) bool { return d.lines["smarthost."+key] > 0 }
	if h.Profile != "" && !h.account(s.cfg.From, given) {
		d.fault("smarthost.profile", "needs the address that the account may send from",
			`add from = "user@example.com" above the first table`)
	}
}
