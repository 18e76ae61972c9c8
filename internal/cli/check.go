package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/relay"
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
	r := a.relay(cfg, trace)
	sel, status := a.selection(o, cfg, r)
	if sel == nil {
		return status
	}
	for _, step := range sel.steps {
		a.step("alias", "%s", step)
	}
	for _, g := range sel.groups {
		status = worse(status, a.checkOne(ctx, cfg, r, sel, g))
	}
	for _, to := range sel.none {
		a.step("recipient", "<%s>: %s", to, r.Unroutable(sel.from, smtp.Recipient{Address: to.String()}).Err)
		status = worse(status, exConfig)
	}
	if status == exOK {
		a.step("result", "mail can be sent")
	}
	return status
}

// worse keeps the first status that is not 0.
func worse(before, now int) int {
	if before != exOK {
		return before
	}
	return now
}

// checkOne is check for one smarthost.
func (a *app) checkOne(ctx context.Context, cfg *config.Config, r *relay.Relay, sel *selection, g selected) int {
	if len(cfg.Smarthosts) > 1 {
		a.step("smarthost", "%s", g.host.Label())
	}
	ctx, cancel := context.WithTimeout(ctx, min(checkTimeout, cfg.Timeout))
	defer cancel()
	sc := r.SMTP(g.host)
	sc.Progress = a.passed(g.host)
	c, err := smtp.Dial(ctx, sc)
	if err != nil {
		return a.stepFailed(cfg, err)
	}
	defer c.Quit(ctx)
	a.connected(g.host, c)
	if len(g.to) == 0 && !g.host.TakesSender(relay.Matched(sel.from)) {
		a.step("sender", "<%s> does not go here; give addresses to see what does", sel.from)
		return exOK
	}
	return a.checkEnvelope(ctx, cfg, sel, g, c)
}

// passed tells of a step as soon as it has worked, so that a failure is seen
// after all that is well.
func (a *app) passed(h *config.Smarthost) func(smtp.Stage, string) {
	return func(stage smtp.Stage, what string) {
		switch stage {
		case smtp.StageResolve:
			a.step("name", "%s", what)
		case smtp.StageConnect:
			a.step("connection", "%s", what)
		case smtp.StageTLS:
			a.step("TLS", "%s%s", what, verified(h))
		case smtp.StageAuth:
			a.step("login", "%s as %s", what, h.Username)
		}
	}
}

// connected tells what was not done, and whose certificate it was.
func (a *app) connected(h *config.Smarthost, c *smtp.Client) {
	info, err := c.Info()
	if err != nil {
		return
	}
	if info.TLS == nil {
		a.step("TLS", "none")
	} else {
		a.step("certificate", "of %s, valid until %s", subject(info.TLS), a.validity(info.TLS))
	}
	if info.Mechanism == "" {
		a.step("login", "none configured")
	}
}

// validity is the last day of the server's certificate.
func (a *app) validity(s *tls.ConnectionState) string {
	if len(s.PeerCertificates) == 0 {
		return "never"
	}
	c := describe(s.PeerCertificates[0])
	return c.NotAfter.Format(time.DateOnly) + a.ageOf(c)
}

func verified(h *config.Smarthost) string {
	switch {
	case len(h.Fingerprints) > 0:
		return ", fingerprint matches"
	case !h.Verify:
		return ", NOT verified"
	}
	return ", verified"
}

// checkEnvelope asks for sender and recipients and takes the question back.
func (a *app) checkEnvelope(ctx context.Context, cfg *config.Config, sel *selection, g selected, c *smtp.Client) int {
	if _, err := c.Mail(ctx, sel.from); err != nil {
		a.step("sender", "<%s>: %s", sel.from, said(err))
		a.say("set from in %s to an address that the smarthost lets this account use", cfg.Path)
		return statusOfError(err)
	}
	a.step("sender", "<%s> accepted", sel.from)
	status := exOK
	for _, r := range g.to {
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
	if h == "" {
		h = remedy(cfg, err)
	}
	if h == "" && stage == "connection" {
		h = "check host, port and tls, and that a firewall lets this host connect"
	}
	if h != "" {
		a.say("%s", h)
	}
	return statusOfError(err)
}

// remedy is what to change when a set-up is being tried, beyond what hint knows.
func remedy(cfg *config.Config, err error) string {
	file := cfg.Path
	if file == "" {
		file = "the environment"
	}
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name) && name.Certificate != nil && len(name.Certificate.DNSNames) > 0:
		return fmt.Sprintf("if this is the right server, set server_name = %q in %s", name.Certificate.DNSNames[0], file)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate is out of date (or this host's clock is wrong): have it renewed"
	case errors.Is(err, smtp.ErrCertificate):
		return "if this is the right server, set fingerprint in " + file + " to what --server-info shows"
	case errors.As(err, &record):
		return `set tls = "starttls" in ` + file + ", or the port for implicit TLS, 465"
	case errors.Is(err, smtp.ErrTimeout):
		return "check host, port and tls, and that a firewall lets this host connect"
	}
	return ""
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
	c, err := r.Check(ctx, g.host)
	if c != nil {
		defer c.Quit(ctx)
	}
	status := exOK
	for _, to := range g.to {
		text, one := opinion(ctx, c, err, to)
		if st := a.print(fmt.Sprintf("%s ... relay %s: %s\n", to, g.host.Label(), text)); st != exOK {
			return st
		}
		status = worse(status, one)
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
