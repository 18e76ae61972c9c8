package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/smtp"
)

// checkTimeout bounds --check, --server-info and -bv: a person waits.
const checkTimeout = time.Minute

// step writes one line of --check.
func (a *app) step(name, format string, args ...any) {
	// A check whose reader is gone has nobody to tell.
	_, _ = fmt.Fprintf(a.out, "%-11s %s\n", name+":", fmt.Sprintf(format, args...))
}

// check goes through everything that a delivery needs, but sends no message:
// configuration, name, connection, TLS, login, sender, and recipients if any
// are given.
func (a *app) check(ctx context.Context, o *options) int {
	cfg, status := a.load(o)
	if cfg == nil {
		return status
	}
	from := cfg.Path
	if from == "" {
		from = "the environment"
	}
	a.step("config", "%s", from)
	if err := a.log.Err(); err != nil {
		a.step("log", "%s: %v (mail goes out nevertheless)", cfg.Log.To, err)
	} else {
		a.step("log", "%s", cfg.Log.To)
	}
	a.step("aliases", "%s", a.aliasState(cfg))
	trace, done, err := a.tracer(o)
	if err != nil {
		return a.fail(exIOErr, err)
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, min(checkTimeout, cfg.Timeout))
	defer cancel()
	c, err := a.relay(cfg, trace).Check(ctx)
	if err != nil {
		return a.stepFailed(cfg, err)
	}
	defer c.Quit(ctx)
	a.connected(cfg, c)
	return a.checkEnvelope(ctx, o, cfg, c)
}

// connected tells what Dial has shown to work.
func (a *app) connected(cfg *config.Config, c *smtp.Client) {
	info, err := c.Info()
	if err != nil {
		return
	}
	a.step("connection", "%s", info.Relay())
	if info.TLS == nil {
		a.step("TLS", "none")
	} else {
		a.step("TLS", "%s, certificate of %s%s", info.Cipher(), subject(info.TLS), verified(cfg))
	}
	if info.Mechanism == "" {
		a.step("login", "none configured")
	} else {
		a.step("login", "%s as %s", info.Mechanism, cfg.Smarthost.Username)
	}
}

func verified(cfg *config.Config) string {
	switch {
	case len(cfg.Smarthost.Fingerprints) > 0:
		return ", fingerprint matches"
	case !cfg.Smarthost.Verify:
		return ", NOT verified"
	}
	return ", verified"
}

// checkEnvelope asks for sender and recipients and takes the question back.
func (a *app) checkEnvelope(ctx context.Context, o *options, cfg *config.Config, c *smtp.Client) int {
	domain := mailDomain(cfg, fullHostname())
	sender, null, err := envelopeSender(o, cfg, a.caller(), domain)
	if err != nil {
		return a.fail(exDataErr, err)
	}
	from := ""
	if !null {
		from = sender.String()
	}
	if _, err := c.Mail(ctx, from); err != nil {
		a.step("sender", "<%s>: %s", from, said(err))
		a.say("set from in %s to an address that the smarthost lets this account use", cfg.Path)
		return statusOfError(err)
	}
	a.step("sender", "<%s> accepted", from)
	to, status := a.named(o, cfg, domain)
	for _, s := range to.steps {
		a.step("alias", "%s", s)
	}
	for _, one := range to.list {
		r := one.Address
		if _, err := c.Rcpt(ctx, r.String()); err != nil {
			a.step("recipient", "<%s>: %s", r, said(err))
			status = statusOfError(err)
			continue
		}
		a.step("recipient", "<%s> accepted", r)
	}
	if _, err := c.Reset(ctx); err != nil {
		return a.stepFailed(cfg, err)
	}
	if status == exOK {
		a.step("result", "mail can be sent")
	}
	return status
}

// stepFailed names the step that failed and the one thing to change.
func (a *app) stepFailed(cfg *config.Config, err error) int {
	var e *smtp.Error
	stage := "connection"
	if errors.As(err, &e) {
		switch e.Stage {
		case smtp.StageResolve:
			stage = "name"
		case smtp.StageTLS:
			stage = "TLS"
		case smtp.StageAuth:
			stage = "login"
		}
	}
	a.step(stage, "FAILED: %s", strings.TrimPrefix(err.Error(), "smtp: "))
	h := hint(cfg, err)
	if h == "" && stage == "connection" {
		h = "check host, port and tls, and that a firewall lets this host connect"
	}
	if h != "" {
		a.say("%s", h)
	}
	return statusOfError(err)
}

// said is the server's answer, or what went wrong.
func said(err error) string {
	var e *smtp.Error
	if errors.As(err, &e) {
		return e.Said()
	}
	return err.Error()
}

// verify is -bv: how each address is read, where it goes, and what the smarthost
// says of it (VRFY). No message is read or sent.
func (a *app) verify(ctx context.Context, o *options) int {
	cfg, status := a.load(o)
	if cfg == nil {
		return status
	}
	domain := mailDomain(cfg, fullHostname())
	to, status := a.named(o, cfg, domain)
	if st := a.print(aliasSteps(to.steps)); st != exOK {
		return st
	}
	if len(to.list) == 0 {
		if status == exOK {
			return a.fail(exUsage, errors.New("no addresses to verify"))
		}
		return status
	}
	trace, done, err := a.tracer(o)
	if err != nil {
		return a.fail(exIOErr, err)
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, min(checkTimeout, cfg.Timeout))
	defer cancel()
	c, err := a.relay(cfg, trace).Check(ctx)
	for _, one := range to.list {
		r := one.Address
		text, st := opinion(ctx, c, err, r)
		if st := a.print(fmt.Sprintf("%s ... relay %s: %s\n", r, where(cfg), text)); st != exOK {
			return st
		}
		if status == exOK {
			status = st
		}
	}
	if c != nil {
		c.Quit(ctx)
	}
	return status
}

// opinion is what the smarthost says of an address, and the status it means.
// That it cannot be asked is no fault of the address.
func opinion(ctx context.Context, c *smtp.Client, dialErr error, r headers.Address) (string, int) {
	if dialErr != nil {
		return "it cannot be asked now: " + said(dialErr), exOK
	}
	reply, err := c.Verify(ctx, r.String())
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

// where is the smarthost as it is configured.
func where(cfg *config.Config) string {
	h := &cfg.Smarthost
	switch {
	case h.Socket != "":
		return h.Socket
	case len(h.ConnectCommand) > 0:
		return strings.Join(h.ConnectCommand, " ")
	}
	return strings.Join(h.Hosts, ", ")
}
