package config

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// checkAll finds the contradictions between keys that are good by themselves.
func (d *decoder) checkAll(s *settings) {
	d.checkOrder(s)
	d.warnReports(s)
	d.checkSpool(&s.cfg.Spool)
	d.checkService(&s.cfg)
}

// secretName is a key of a secret and whether it was given.
type secretName struct {
	key   string
	given bool
}

func (k secretKeys) names(table, stem string) []string {
	all := []secretName{
		{stem, k.literal != ""},
		{stem + "_file", k.file != ""},
		{stem + "_command", len(k.command) > 0},
		{stem + "_env", k.env != ""},
	}
	var given []string
	for _, n := range all {
		if n.given {
			given = append(given, join(table, n.key))
		}
	}
	return given
}

// checkSecrets wants at most one secret, and a user with it.
func (d *decoder) checkSecrets(s *hostSettings) {
	h := s.Smarthost
	given := append(s.password.names("smarthost", "password"), s.token.names("smarthost", "token")...)
	slices.SortStableFunc(given, func(a, b string) int { return d.lines[a] - d.lines[b] })
	for i, name := range given {
		if i > 0 {
			d.fault(name, "contradicts "+last(given[0]), "keep one of them")
		}
	}
	switch {
	case len(given) > 0 && h.Username == "" && !d.failed("smarthost.username"):
		d.fault(given[0], "stands without username", "")
	case len(given) == 0 && h.Username != "" && h.ClientCert == "" && !d.failedSecret():
		d.fault("smarthost.username", "stands without a password",
			"add password, password_file, password_command or password_env, or token_file or token_command")
	}
}

// failedSecret says whether a secret was given in a wrong way.
func (d *decoder) failedSecret() bool {
	return slices.ContainsFunc(d.faults[d.since:], func(e *Error) bool {
		return strings.HasPrefix(e.Key, "smarthost.password") || strings.HasPrefix(e.Key, "smarthost.token")
	})
}

// failed says whether a fault was already found in the key.
func (d *decoder) failed(key string) bool {
	return slices.ContainsFunc(d.faults[d.since:], func(e *Error) bool { return e.Key == key })
}

func last(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// clash notes that key must not stand with any of the others that were given.
func (d *decoder) clash(key string, others ...string) {
	for _, o := range others {
		if _, given := d.lines["smarthost."+o]; given {
			d.fault("smarthost."+o, "contradicts "+key, "keep one of them")
		}
	}
}

// checkWhere wants one way to reach the server.
func (d *decoder) checkWhere(h *Smarthost) {
	if h.RedirectTo != "" && h.Capture != "" {
		d.fault("smarthost.redirect_to", "contradicts capture", "keep one of them")
	}
	switch {
	case h.Capture != "":
	case h.Socket != "":
		d.clash("socket", given(h, "host", "lookup", "port", "proxy", "source_address", "connect_command")...)
	case len(h.ConnectCommand) > 0:
		d.clash("connect_command", given(h, "lookup", "proxy", "source_address")...)
	case len(h.Hosts) == 0 && !d.triedWhere():
		d.fault("smarthost", "nothing says where the server is", `add host = "smtp.example.com" below [smarthost]`)
	}
}

// triedWhere says whether a fault already tells what became of the host.
func (d *decoder) triedWhere() bool {
	return slices.ContainsFunc(d.faults[d.since:], func(e *Error) bool {
		switch e.Key {
		case "smarthost", "smarthost.host", "smarthost.socket", "smarthost.connect_command":
			return true
		}
		return e.Hint == `did you mean "host"?` || e.Hint == `did you mean "smarthost"?`
	})
}

// given leaves the keys that say something: lookup = "address" and an empty
// host do not.
func given(h *Smarthost, keys ...string) []string {
	return slices.DeleteFunc(keys, func(key string) bool {
		switch key {
		case "host":
			return len(h.Hosts) == 0
		case "lookup":
			return h.Lookup == "address"
		case "port":
			return h.Port == 0
		case "proxy":
			return h.Proxy == ""
		case "source_address":
			return h.SourceAddress == ""
		}
		return len(h.ConnectCommand) == 0
	})
}

// checkTLS looks for a demand that nothing can meet, and for a password that
// anyone on the way could read.
func (d *decoder) checkTLS(s *hostSettings) {
	h := s.Smarthost
	local := h.Socket != "" || len(h.Hosts) > 0 && !slices.ContainsFunc(h.Hosts, remote)
	secret := len(s.password.names("", "password"))+len(s.token.names("", "token")) > 0
	strict := h.TLS == "starttls" || h.TLS == "implicit"
	switch {
	case h.TLS == "none" && h.RequireTLS:
		d.fault("smarthost.require_tls", `contradicts tls = "none"`, "")
	case h.RequireTLS && !h.Verify && len(h.Fingerprints) == 0:
		d.fault("smarthost.require_tls", "contradicts verify = false", "")
	case h.TLS == "none" && (h.ClientCert != "" || len(h.Fingerprints) > 0):
		d.fault("smarthost.tls", `"none" contradicts client_cert and fingerprint`, "")
	case strict && h.Verify && len(h.Hosts) == 0 && h.ServerName == "" && len(h.Fingerprints) == 0 &&
		(h.Socket != "" || len(h.ConnectCommand) > 0):
		d.fault("smarthost.tls", "there is no name to verify the certificate against", "add server_name or fingerprint")
	}
	if h.TLS == "none" && secret && !h.AllowPlaintextAuth && !local {
		d.fault("smarthost.tls", `"none" would send the password in clear`,
			`write tls = "starttls", or allow_plaintext_auth = true if you must`)
	}
}

// remote says whether a host is beyond loopback, as far as its name tells.
func remote(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return !ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(host)
	return host != "localhost" && !strings.HasSuffix(host, ".localhost")
}

// resolve makes every path relative to the directory of the file.
func (s *hostSettings) resolve(dir string) {
	h := s.Smarthost
	for _, p := range []*string{&h.CAFile, &h.ClientCert, &h.ClientKey, &h.Socket, &h.Capture, &s.password.file, &s.token.file} {
		resolve(dir, p)
	}
}

func resolve(dir string, path *string) {
	if *path != "" && !filepath.IsAbs(*path) {
		*path = filepath.Join(dir, *path)
	}
}
