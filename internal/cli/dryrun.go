package cli

import (
	"fmt"
	"strings"

	"postern/internal/config"
	"postern/internal/headers"
)

// showDryRun prints the envelope as it was submitted and, for each smarthost, what
// changes on the way there, by which rule, and the final header.
func (a *app) showDryRun(cfg *config.Config, s *submission) int {
	var b strings.Builder
	for _, step := range s.aliases {
		fmt.Fprintf(&b, "Alias: %s\n", step)
	}
	for _, env := range s.envelopes() {
		fmt.Fprintf(&b, "Envelope sender: <%s>\n", env.Sender)
		for _, r := range env.Recipients {
			fmt.Fprintf(&b, "Recipient: <%s>\n", r.Address)
		}
	}
	for _, bad := range s.bad {
		fmt.Fprintf(&b, "Not a recipient: %s\n", bad)
	}
	changed(&b, s.changes)
	status, err := a.showPlans(&b, cfg, s)
	if err != nil {
		return a.fail(exSoftware, err)
	}
	if st := a.print(b.String()); st != exOK {
		return st
	}
	if len(s.bad) > 0 {
		return statusOfBad(s.bad)
	}
	return status
}

// showPlans writes what goes to each smarthost.
func (a *app) showPlans(b *strings.Builder, cfg *config.Config, s *submission) (int, error) {
	r := a.relay(cfg, nil)
	status := exOK
	for _, env := range s.envelopes() {
		for _, g := range r.Groups(env.Sender, env.Recipients) {
			if g.Host == nil {
				for _, i := range g.Who {
					o := r.Unroutable(env.Sender, env.Recipients[i])
					fmt.Fprintf(b, "Not sent: <%s>: %s\n", o.Recipient, o.Text)
				}
				status = exConfig
				continue
			}
			p, err := r.Plan(g, env, s.msg)
			if err != nil {
				return status, err
			}
			if len(cfg.Smarthosts) > 1 || g.Host.Capture != "" {
				how := "Smarthost"
				if g.Host.Capture != "" {
					how = "Captured"
				}
				fmt.Fprintf(b, "\n%s: %s\n", how, g.Host.Label())
				for _, to := range p.Recipients {
					fmt.Fprintf(b, "Recipient: <%s>\n", to)
				}
			}
			changed(b, p.Changes)
			fmt.Fprintf(b, "Size: %d octets\n\n%s", p.Message.Size(), visible(p.Message.Header()))
		}
	}
	return status, nil
}

func changed(b *strings.Builder, list []headers.Change) {
	for _, c := range list {
		fmt.Fprintf(b, "Change: %s: %s\n", c.Field, visible([]byte(c.Rule)))
	}
}
