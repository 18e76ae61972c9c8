package relay

import (
	"strings"

	"postern/internal/smtp"
)

// SMTP is the configured smarthost as a connection.
func (r *Relay) SMTP() smtp.Config {
	h := &r.Config.Smarthost
	c := smtp.Config{
		Hosts: h.Hosts, Port: h.Port, Lookup: lookup(h.Lookup),
		Socket: h.Socket, ConnectCommand: h.ConnectCommand, Proxy: h.Proxy, SourceAddress: h.SourceAddress,
		TLS: tlsMode(h.TLS), Insecure: !h.Verify && len(h.Fingerprints) == 0, CAFile: h.CAFile, ServerName: h.ServerName,
		Fingerprints: h.Fingerprints, ClientCert: h.ClientCert, ClientKey: h.ClientKey,
		Username: h.Username, Auth: h.Auth, AllowPlaintextAuth: h.AllowPlaintextAuth,
		LocalName: h.EHLO, ConnectTimeout: h.ConnectTimeout, CommandTimeout: h.CommandTimeout,
		Trace: r.Trace,
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
