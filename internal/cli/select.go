package cli

import (
	"postern/internal/aliases"
	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/relay"
	"postern/internal/smtp"
)

// selection is what --check, --server-info and -bv look at: the smarthosts that
// the addresses on the command line go by, or all of them without addresses.
type selection struct {
	from   string // envelope sender, "" for none
	count  int    // of addresses
	steps  []aliases.Step
	groups []selected
	none   []headers.Address // that no smarthost takes
}

// selected is a smarthost with the addresses that go by it.
type selected struct {
	host *config.Smarthost
	to   []headers.Address
}

// selection is nil when there is no sender to choose by. What is no address is
// reported, and is in the status.
func (a *app) selection(o *options, cfg *config.Config, r *relay.Relay) (*selection, int) {
	domain := mailDomain(cfg, a.host())
	sender, null, err := envelopeSender(o, cfg, a.caller(), domain)
	if err != nil {
		return nil, a.fail(exDataErr, err)
	}
	s := &selection{}
	if !null {
		s.from = sender.String()
	}
	to, status := a.named(o, cfg, domain)
	s.steps = to.steps
	s.count = len(to.list)
	if s.count == 0 {
		for _, h := range cfg.Smarthosts {
			s.groups = append(s.groups, selected{host: h})
		}
		return s, status
	}
	recipients := make([]smtp.Recipient, len(to.list))
	for i, one := range to.list {
		recipients[i].Address = one.Address.String()
	}
	for _, g := range r.Groups(s.from, recipients) {
		var list []headers.Address
		for _, i := range g.Who {
			list = append(list, to.list[i].Address)
		}
		if g.Host == nil {
			s.none = list
			continue
		}
		s.groups = append(s.groups, selected{g.Host, list})
	}
	return s, status
}
