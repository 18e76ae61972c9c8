package relay

import (
	"strings"

	"postern/internal/config"
	"postern/internal/smtp"
)

// SMTP is a smarthost as a connection.
func (r *Relay) SMTP(h *config.Smarthost) smtp.Config {
	c := smtp.Config{
		Hosts: h.Hosts, Port: h.Port, Lookup: lookup(h.Lookup),
		Socket: h.Socket, ConnectCommand: h.ConnectCommand, Proxy: h.Proxy, SourceAddress: h.SourceAddress,
		TLS: tlsMode(h.TLS), Insecure: !h.Verify && len(h.Fingerprints) == 0, CAFile: h.CAFile, SystemCAs: r.SystemCAs, ServerName: h.ServerName,
		Fingerprints: h.Fingerprints, ClientCert: h.ClientCert, ClientKey: h.ClientKey,
		Username: h.Username, Auth: h.Auth, AllowPlaintextAuth: h.AllowPlaintextAuth,
		LocalName: h.EHLO, ConnectTimeout: h.ConnectTimeout, CommandTimeout: h.CommandTimeout,
		Trace: r.trace(h),
	}
	if h.Secret.IsSet() {
		c.Secret = h.Secret.Read
	}
	if h.Token.IsSet() {
		c.Token = h.Token.Read
	}
	if c.LocalName == "" && strings.Contains(r.Host, ".") {
		c.LocalName = r.Host // else the address literal: a bare name is no domain (RFC 5321 4.1.1.1)
	}
	return c
}

// trace is Trace; with several smarthosts each line tells whose it is.
func (r *Relay) trace(h *config.Smarthost) func(byte, string) {
	if r.Trace == nil || len(r.Config.Smarthosts) < 2 {
		return r.Trace
	}
	return func(direction byte, line string) { r.Trace(direction, "["+h.Label()+"] "+line) }
}

func lookup(s string) smtp.Lookup {
	switch s {
	case "mx":
		return smtp.LookupMX
	case "srv":
		return smtp.LookupSRV
	}
	return smtp.LookupAddress
}

func tlsMode(s string) smtp.TLSMode {
	switch s {
	case "starttls":
		return smtp.Required
	case "implicit":
		return smtp.Implicit
	case "none":
		return smtp.None
	}
	return smtp.Opportunistic
}
