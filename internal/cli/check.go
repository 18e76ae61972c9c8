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
	"postern/internal/relay"
	"postern/internal/smtp"
)

// checkTimeout bounds --check, --server-info and -bv: a person waits.
const checkTimeout = time.Minute

// step writes one line of --check. It may hold a server's words, and names out of
// a certificate.
func (a *app) step(name, format string, args ...any) {
	// A check whose reader is gone has nobody to tell.
	_, _ = fmt.Fprintf(a.out, "%-11s %s\n", name+":", visibleLine(fmt.Sprintf(format, args...)))
}

// check goes through everything that a delivery needs, but sends no message:
// configuration, log, aliases, spool, name, connection, TLS, login, sender, and
// recipients if any are given.
func (a *app) check(ctx context.Context, o *options) int {
	cfg, status := a.load(o)
	if cfg == nil {
		return status
	}
	a.step("config", "%s", whence(cfg))
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
	status = worse(status, a.checkSpool(cfg, r))
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
	if g.host.Capture != "" {
		return a.checkCapture(r, g.host)
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
	return a.checkEnvelope(ctx, cfg, r, sel, g, c)
}

// checkCapture tries to write where messages are kept in place of being sent.
func (a *app) checkCapture(r *relay.Relay, h *config.Smarthost) int {
	if err := r.Maildir(h).Check(); err != nil {
		a.step("capture", "FAILED: %v", err)
		return statusOfError(err)
	}
	a.step("capture", "%s (nothing is sent)", h.Capture)
	return exOK
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
func (a *app) checkEnvelope(ctx context.Context, cfg *config.Config, r *relay.Relay, sel *selection, g selected, c *smtp.Client) int {
	from, rule := r.SenderFor(g.host, sel.from)
	if _, err := c.Mail(ctx, from); err != nil {
		a.step("sender", "%s %s", changedAddress(sel.from, from, rule), said(err))
		a.say("%s", senderHint(whence(cfg)))
		return statusOfError(err)
	}
	a.step("sender", "%s accepted", changedAddress(sel.from, from, rule))
	status := exOK
	ask := func(what, to string) {
		if _, err := c.Rcpt(ctx, to); err != nil {
			a.step("recipient", "%s %s", what, said(err))
			status = statusOfError(err)
			return
		}
		a.step("recipient", "%s accepted", what)
	}
	if to := g.host.RedirectTo; to != "" && len(g.to) == 0 {
		ask("everything goes to <"+to+">, by redirect_to:", to)
	}
	for _, one := range g.to {
		to, rule := r.RecipientFor(g.host, one.String())
		ask(changedAddress(one.String(), to, rule), to)
	}
	if _, err := c.Reset(ctx); err != nil {
		return a.stepFailed(cfg, err)
	}
	return status
}

// changedAddress shows an address, and what it becomes on the wire.
func changedAddress(was, is, rule string) string {
	if rule == "" {
		return "<" + was + ">"
	}
	return "<" + was + "> as <" + is + ">, by " + rule + ":"
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
	a.advise(cfg, err, stage)
	return statusOfError(err)
}

// advise says the one thing to change.
func (a *app) advise(cfg *config.Config, err error, stage string) {
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
}

// remedy is what to change when a set-up is being tried, beyond what hint knows.
func remedy(cfg *config.Config, err error) string {
	file := whence(cfg)
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
