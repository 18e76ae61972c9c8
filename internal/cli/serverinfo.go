package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/smtp"
)

// serverReport is --server-info. The keys are promised to scripts.
type serverReport struct {
	Smarthost    string        `json:"smarthost"` // its name or where it is, as configured
	Server       string        `json:"server"`
	Address      string        `json:"address"`
	Greeting     string        `json:"greeting"`
	TLS          string        `json:"tls"`
	Cipher       string        `json:"cipher"`
	Certificates []certificate `json:"certificates"`
	Capabilities []string      `json:"capabilities"`
	Mechanisms   []string      `json:"mechanisms"`
	MaxSize      int64         `json:"max_size"`
	Verified     bool          `json:"verified"` // the certificate is good as configured
	Problem      string        `json:"problem"`  // why it is not
}

type certificate struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Names       []string  `json:"names"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"fingerprint"` // SHA-256
}

// serverInfo connects without a login and tells what the server is and offers.
// A certificate that cannot be verified is shown all the same: that is when one
// wants to see it.
func (a *app) serverInfo(ctx context.Context, o *options) int {
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
	for _, g := range sel.groups {
		status = worse(status, a.serverInfoOf(ctx, o, cfg, r, g.host))
	}
	return status
}

// serverInfoOf is serverInfo for one smarthost.
func (a *app) serverInfoOf(ctx context.Context, o *options, cfg *config.Config, r *relay.Relay, h *config.Smarthost) int {
	if h.Capture != "" {
		a.say("%s: there is no server, messages are captured", h.Label())
		return exOK
	}
	ctx, cancel := context.WithTimeout(ctx, min(checkTimeout, cfg.Timeout))
	defer cancel()
	sc := r.SMTP(h)
	sc.Username, sc.Secret, sc.Token, sc.Auth = "", nil, nil, nil
	c, err := smtp.Dial(ctx, sc)
	verdict := error(nil)
	if errors.Is(err, smtp.ErrCertificate) {
		verdict = err
		sc.Insecure, sc.Fingerprints = true, nil
		c, err = smtp.Dial(ctx, sc)
	}
	if err != nil {
		return a.stepFailed(cfg, err)
	}
	defer c.Quit(ctx)
	report, err := reportServer(c)
	if err != nil {
		return a.stepFailed(cfg, err)
	}
	report.Smarthost = h.Label()
	report.Verified = report.TLS != "" && h.Verify && verdict == nil
	if verdict != nil {
		report.Problem = said(verdict)
	}
	if st := a.printServer(o, report, len(cfg.Smarthosts) > 1); st != exOK {
		return st
	}
	switch {
	case verdict == nil:
		return exOK
	case o.report == "json": // it is in there
		a.advise(cfg, verdict, "TLS")
		return statusOfError(verdict)
	}
	return a.stepFailed(cfg, verdict)
}

func reportServer(c *smtp.Client) (*serverReport, error) {
	info, err := c.Info()
	if err != nil {
		return nil, err
	}
	r := &serverReport{Server: info.Server, Address: info.Remote.String(), Greeting: c.Greeting().String(),
		Certificates: []certificate{}, Capabilities: c.Extensions().Names(), Mechanisms: c.AuthMechanisms(), MaxSize: c.Extensions().MaxSize()}
	if info.TLS != nil {
		r.TLS = tls.VersionName(info.TLS.Version)
		r.Cipher = tls.CipherSuiteName(info.TLS.CipherSuite)
		for _, cert := range info.TLS.PeerCertificates {
			r.Certificates = append(r.Certificates, describe(cert))
		}
	}
	return r, nil
}

func describe(c *x509.Certificate) certificate {
	sum := sha256.Sum256(c.Raw)
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return certificate{Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: names,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Fingerprint: hex.EncodeToString(sum[:])}
}

func (a *app) printServer(o *options, r *serverReport, several bool) int {
	if o.report == "json" {
		text, err := json.Marshal(r)
		if err != nil {
			return a.fail(exSoftware, err)
		}
		return a.print(string(text) + "\n")
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s %s\n", name+":", visibleLine(fmt.Sprintf(format, args...)))
	}
	if several {
		line("smarthost", "%s", r.Smarthost)
	}
	line("server", "%s (%s)", r.Server, r.Address)
	line("greeting", "%s", r.Greeting)
	if r.TLS == "" {
		line("TLS", "none")
	} else {
		line("TLS", "%s, %s", r.TLS, r.Cipher)
	}
	for _, c := range r.Certificates {
		line("certificate", "%s", c.Subject)
		line("  names", "%s", strings.Join(c.Names, " "))
		line("  issuer", "%s", c.Issuer)
		line("  valid", "%s to %s%s", c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly), a.ageOf(c))
		line("  sha256", "%s", c.Fingerprint)
	}
	line("mechanisms", "%s", strings.Join(r.Mechanisms, " "))
	for _, c := range r.Capabilities {
		line("offers", "%s", c)
	}
	return a.print(b.String())
}

// ageOf warns of a certificate that is not valid now or will soon not be.
func (a *app) ageOf(c certificate) string {
	const soon = 14 * 24 * time.Hour
	switch left := c.NotAfter.Sub(a.now()); {
	case left < 0:
		return " (EXPIRED)"
	case left < soon:
		return fmt.Sprintf(" (expires in %d days)", int(left.Hours()/24))
	}
	return ""
}

// subject names the server's own certificate.
func subject(s *tls.ConnectionState) string {
	if len(s.PeerCertificates) == 0 {
		return "nobody"
	}
	c := s.PeerCertificates[0]
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.String()
}
