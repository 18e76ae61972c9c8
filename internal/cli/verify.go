package cli

import (
	"context"
	"errors"
	"fmt"

	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/smtp"
)

// verify is -bv: how each address is read, where it goes, and what the smarthost
// says of it (VRFY). No message is read or sent.
func (a *app) verify(ctx context.Context, o *options) int {
	cfg, status := a.load(o)
	if cfg == nil {
		return status
	}
	trace, done, err := a.tracer(o)
	if err != nil {
		return a.fail(exIOErr, err)
	}
	defer done()
	r := a.relay(cfg, trace)
	sel, status := a.selection(o, cfg, r)
	if sel == nil {
		return status
	}
	if st := a.print(aliasSteps(sel.steps)); st != exOK {
		return st
	}
	switch {
	case sel.count == 0 && status == exOK:
		return a.fail(exUsage, errors.New("no addresses to verify"))
	case sel.count == 0:
		return status
	}
	for _, g := range sel.groups {
		status = worse(status, a.verifyBy(ctx, cfg, r, g))
	}
	for _, to := range sel.none {
		if st := a.print(fmt.Sprintf("%s ... %s\n", to, r.Unroutable(sel.from, smtp.Recipient{Address: to.String()}).Err)); st != exOK {
			return st
		}
		status = worse(status, exConfig)
	}
	return status
}

// verifyBy asks one smarthost.
func (a *app) verifyBy(ctx context.Context, cfg *config.Config, r *relay.Relay, g selected) int {
	ctx, cancel := context.WithTimeout(ctx, min(checkTimeout, cfg.Timeout))
	defer cancel()
	var c *smtp.Client
	var err error
	if g.host.Capture == "" {
		if c, err = r.Check(ctx, g.host); err == nil {
			defer c.Quit(ctx)
		}
	}
	status := exOK
	for _, to := range g.to {
		text, one := "captured, not sent", exOK
		if g.host.Capture == "" {
			address, rule := r.RecipientFor(g.host, to.String())
			text, one = opinion(ctx, c, err, address)
			if rule != "" {
				text = "it goes to <" + address + ">, by " + rule + ": " + text
			}
		}
		if st := a.print(fmt.Sprintf("%s ... relay %s: %s\n", to, g.host.Label(), text)); st != exOK {
			return st
		}
		status = worse(status, one)
	}
	return status
}

// opinion is what the smarthost says of an address, and the status it means.
// That it cannot be asked is no fault of the address.
func opinion(ctx context.Context, c *smtp.Client, dialErr error, address string) (string, int) {
	if dialErr != nil {
		return "it cannot be asked now: " + said(dialErr), exOK
	}
	reply, err := c.Verify(ctx, address)
	var e *smtp.Error
	switch {
	case err == nil && reply.Code == smtp.CodeCannotVRFY:
		return "it does not say whether the address exists", exOK
	case err == nil:
		return reply.String(), exOK
	case errors.As(err, &e) && (e.Code == smtp.CodeMailboxDoesNotExist || e.Code == smtp.CodeUserNotLocal || e.Code == smtp.CodeMailboxNameInvalid):
		return e.Said(), exNoUser
	}
	return "it does not answer VRFY: " + said(err), exOK
}
