package cli

import (
	"errors"
	"os"
	"strings"

	"postern/internal/aliases"
	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/relay"
	"postern/internal/smtp"
)

// addressees are all that a message is for, aliases replaced.
type addressees struct {
	list  []aliases.Recipient
	bad   []error // what is no address, and aliases that lead nowhere
	steps []aliases.Step
}

// recipients are those of the arguments and, with -t, of the header, each once.
// Its errors are *fault.
func (a *app) recipients(o *options, cfg *config.Config, block *headers.Block, domain string) (addressees, error) {
	given, bad := argumentAddresses(o)
	resent := false
	if o.fromHeader {
		header := block.Recipients("")
		resent, bad = header.Resent, append(bad, header.Bad...)
		if len(given) == 0 {
			given = header.Addresses // may be thousands
		} else {
			given = append(given, header.Addresses...)
		}
	}
	to, err := a.addressees(cfg, given, bad, domain)
	if err != nil {
		return to, faultf(statusOfBad([]error{err}), "%w; nothing was sent", err)
	}
	if len(to.list) > 0 {
		return to, nil
	}
	for _, err := range to.bad {
		return to, faultf(statusOfBad(to.bad), "%w; nothing was sent", err)
	}
	switch {
	case resent:
		return to, faultf(exUsage, "no recipients: the message has Resent- fields, but no address in Resent-To, Resent-Cc or Resent-Bcc")
	case o.fromHeader:
		return to, faultf(exUsage, "no recipients: no address in To, Cc or Bcc, and none as an argument")
	}
	return to, faultf(exUsage, "no recipients: give addresses as arguments, or -t to take them from the header")
}

// argumentAddresses reads the arguments. Names without a domain have none yet.
func argumentAddresses(o *options) (given []headers.Address, bad []*headers.BadAddress) {
	for _, arg := range o.args {
		found, wrong := headers.ParseList(arg, "")
		given, bad = append(given, found...), append(bad, wrong...)
	}
	return given, bad
}

// addressees replaces local names in given by what aliases say. An alias file
// that cannot be read is an error if a local name is among them: to send on
// regardless would be to send to somebody else.
func (a *app) addressees(cfg *config.Config, given []headers.Address, bad []*headers.BadAddress, domain string) (addressees, error) {
	var to addressees
	for _, b := range bad {
		to.bad = append(to.bad, b)
	}
	got, err := a.expander(cfg, domain).Expand(given)
	if err != nil {
		return to, err
	}
	for _, f := range got.Failed {
		to.bad = append(to.bad, f)
	}
	to.list, to.steps = got.Recipients, got.Steps
	return to, nil
}

// named are the addresses among the arguments of a mode that sends nothing. What
// is wrong with the others is said, and is the status.
func (a *app) named(o *options, cfg *config.Config, domain string) (addressees, int) {
	given, bad := argumentAddresses(o)
	to, err := a.addressees(cfg, given, bad, domain)
	if err != nil {
		to.bad = append(to.bad, err)
	}
	status := exOK
	for _, b := range to.bad {
		status = a.fail(statusOfBad(to.bad), b)
	}
	return to, status
}

// expander knows the alias file and the names of this host.
func (a *app) expander(cfg *config.Config, domain string) *aliases.Expander {
	x := &aliases.Expander{Domain: domain, Hosts: a.hostNames()}
	if cfg.Aliases == "" {
		return x
	}
	files := &aliases.Files{}
	x.List = files.List
	x.Table = func() (*aliases.Table, error) {
		t, err := files.Open(cfg.Aliases)
		if err != nil {
			return nil, err
		}
		for _, f := range t.Faults() {
			a.log.Warning(f.Error())
		}
		return t, nil
	}
	return x
}

// hostNames are the names that programs have for this host.
func (a *app) hostNames() []string {
	names := []string{"localhost", "localhost.localdomain", a.host()}
	if short, err := os.Hostname(); err == nil {
		names = append(names, short)
	}
	return names
}

// statusOfBad is for recipients that nothing could be sent to.
func statusOfBad(bad []error) int {
	for _, err := range bad {
		var e *aliases.Error
		if errors.As(err, &e) && e.Temporary() {
			return exTempFail
		}
	}
	var e *aliases.Error
	if len(bad) == 1 && errors.As(bad[0], &e) && e.Line == 0 {
		return exConfig // the file as a whole
	}
	return exDataErr
}

// envelopes divides recipients: those of the message's own envelope, and one
// envelope for each owner of an alias. A message without a sender, which is a
// bounce, gets no owner: its own bounces must end. wishes are what the caller
// asks for about the recipient that he named: NOTIFY, and ORCPT if he gave it.
func envelopes(to []aliases.Recipient, wishes func(named headers.Address) (notify, original string), null bool) (own []smtp.Recipient, lists []relay.Envelope) {
	place := make(map[string]int)
	own = make([]smtp.Recipient, 0, len(to))
	for _, r := range to {
		named := r.Original
		if named == (headers.Address{}) {
			named = r.Address
		}
		one := smtp.Recipient{Address: r.Address.String()}
		if one.Notify, one.Original = wishes(named); one.Original == "" {
			one.Original = orcpt(r.Original)
		}
		if null || r.Owner == (headers.Address{}) {
			own = append(own, one)
			continue
		}
		owner := r.Owner.String()
		i, ok := place[owner]
		if !ok {
			i = len(lists)
			place[owner] = i
			lists = append(lists, relay.Envelope{Sender: owner})
		}
		lists[i].Recipients = append(lists[i].Recipients, one)
	}
	return own, lists
}

// orcpt is what the caller named in the form of RFC 3461 4.2; "" if no alias
// stood for it, or if it is not in ASCII, which the form cannot carry.
func orcpt(a headers.Address) string {
	if a == (headers.Address{}) {
		return ""
	}
	text := a.String()
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return "rfc822;" + text
}

// readdress gives the addresses for a report to one of our own: its sender may
// be a local name, which has no mailbox elsewhere. When in doubt it stays.
func (a *app) readdress(cfg *config.Config, domain string) func(to string) []string {
	return func(to string) []string {
		given, bad := headers.ParseList(to, "")
		got, err := a.expander(cfg, domain).Expand(given)
		if err != nil || len(bad) > 0 || len(got.Recipients) == 0 {
			return []string{to}
		}
		var list []string
		for _, r := range got.Recipients {
			list = append(list, r.Address.String())
		}
		return list
	}
}

// checkAliases is -bi: it says what is wrong with the alias file, and nothing if
// it is good. There is no database to be built.
func (a *app) checkAliases(o *options) int {
	cfg, err := a.configure(o)
	if errors.Is(err, config.ErrNoConfig) {
		return exOK
	}
	if err != nil {
		return a.fail(exConfig, err)
	}
	if cfg.Aliases == "" {
		return exOK
	}
	x := a.expander(cfg, mailDomain(cfg, a.host()))
	t, err := x.Table()
	if err != nil {
		return a.fail(statusOfBad([]error{err}), err)
	}
	status := exOK
	for _, e := range x.Check(t) {
		status = a.fail(exConfig, e)
	}
	return status
}

// aliasState is the alias file in a word, for --check.
func (a *app) aliasState(cfg *config.Config) string {
	if cfg.Aliases == "" {
		return "none configured"
	}
	x := a.expander(cfg, mailDomain(cfg, a.host()))
	t, err := x.Table()
	if err != nil {
		return "FAILED: " + err.Error() + " (mail for local names is refused)"
	}
	if wrong := x.Check(t); len(wrong) > 0 {
		return cfg.Aliases + ", with faults: run newaliases to see them"
	}
	return cfg.Aliases
}

// aliasSteps tells which aliases were used.
func aliasSteps(steps []aliases.Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.String() + "\n")
	}
	return b.String()
}
