package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// choice takes one of the words, whatever the case.
func choice(known ...string) check {
	return func(s string) (string, string, string) {
		if low := strings.ToLower(s); slices.Contains(known, low) {
			return low, "", ""
		}
		return "", "bad value " + quoted(s), choiceHint(s, known)
	}
}

func choiceHint(s string, known []string) string {
	if hint := didYouMean(s, known); hint != "" {
		return hint
	}
	return "write " + oneOf(known)
}

// logTarget takes where the log goes.
func logTarget(s string) (string, string, string) {
	if filepath.IsAbs(s) {
		return filepath.Clean(s), "", ""
	}
	known := []string{"syslog", "journal", "stderr", "none"}
	normal, problem, hint := choice(known...)(s)
	if strings.HasPrefix(hint, "write ") {
		hint += ", or a file's full path"
	}
	return normal, problem, hint
}

// metricsFile takes a file for node_exporter, which reads those named *.prom.
func metricsFile(s string) (string, string, string) {
	if !filepath.IsAbs(s) || !strings.HasSuffix(s, ".prom") {
		return "", "is not the full path of a file *.prom: " + quoted(s), ""
	}
	return filepath.Clean(s), "", ""
}

// hostName takes a domain in its ASCII form.
func hostName(s string) (string, string, string) {
	name := strings.TrimSuffix(s, ".")
	if strings.ContainsFunc(name, func(r rune) bool { return r > 0x7f }) {
		return "", "is not in ASCII: " + quoted(s), "write the form that begins with xn--"
	}
	bad := func(label string) bool { return !isLabel(label) }
	if len(name) > 253 || slices.ContainsFunc(strings.Split(name, "."), bad) {
		return "", "is not a host name: " + quoted(s), ""
	}
	return name, "", ""
}

func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' &&
		!strings.ContainsFunc(s, func(r rune) bool { return r != '-' && r != '_' && !isAlnum(r) })
}

func isAlnum(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// server takes a host's name or address, without a port.
func server(s string) (string, string, string) {
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if ip, err := netip.ParseAddr(bare); err == nil {
		return ip.String(), "", ""
	}
	if strings.Contains(s, "://") {
		return "", "is a URL, not a host", "write the host alone, and set port and tls"
	}
	if name, p, ok := strings.Cut(s, ":"); ok && validPort(p) {
		return "", "is a host with a port: " + quoted(s), "write " + quoted(name) + " and port = " + p
	}
	return hostName(s)
}

// address takes an envelope sender; "<>" is none.
func address(s string) (string, string, string) {
	if s == "<>" {
		return "", "", ""
	}
	at := strings.LastIndexByte(s, '@')
	switch {
	case strings.HasPrefix(s, "<"), strings.HasSuffix(s, ">"):
		return "", "is not a plain address: " + quoted(s), "write it without the angle brackets"
	case strings.ContainsAny(s, " <>"), at == 0, at == len(s)-1, len(s) > 320:
		return "", "is not an address: " + quoted(s), `write "user@example.com"`
	}
	return s, "", ""
}

// pathName takes a file's name; what it is relative to is seen to later.
func pathName(s string) (string, string, string) {
	if s == "~" || strings.HasPrefix(s, "~/") {
		return "", `begins with "~", which only a shell replaces`, "write the full path"
	}
	return s, "", ""
}

// fullPath takes a file's name that does not depend on who calls from where.
func fullPath(s string) (string, string, string) {
	if !filepath.IsAbs(s) {
		return "", "is not a full path: " + quoted(s), ""
	}
	return s, "", ""
}

// fingerprint takes a SHA-256 as openssl prints it.
func fingerprint(s string) (string, string, string) {
	digits := strings.ToLower(strings.ReplaceAll(s, ":", ""))
	const hint = "see: openssl x509 -noout -fingerprint -sha256"
	if strings.Trim(digits, "0123456789abcdef") != "" {
		return "", "is not a fingerprint in hexadecimal digits: " + quoted(s), hint
	}
	switch len(digits) {
	case 64:
		return digits, "", ""
	case 40:
		return "", "is a SHA-1 fingerprint, 40 digits; SHA-256 has 64", hint
	case 32:
		return "", "is an MD5 fingerprint, 32 digits; SHA-256 has 64", hint
	}
	return "", "is not a SHA-256 fingerprint: it must have 64 hexadecimal digits", hint
}

// variable takes the name of an environment variable. A wrong one may be the
// password itself and is not shown.
func variable(s string) (string, string, string) {
	if strings.ContainsFunc(s, func(r rune) bool { return r != '_' && !isAlnum(r) }) || s[0] >= '0' && s[0] <= '9' {
		return "", "is not the name of an environment variable", ""
	}
	return s, "", ""
}

// mechanism takes a SASL mechanism's name.
func mechanism(s string) (string, string, string) {
	known := []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS",
		"SCRAM-SHA-256-PLUS", "EXTERNAL", "XOAUTH2", "OAUTHBEARER"}
	if up := strings.ToUpper(s); slices.Contains(known, up) {
		return up, "", ""
	}
	return "", "is no known mechanism: " + quoted(s), choiceHint(s, known)
}

// ehlo takes a name or an address literal, or anything else that is one word:
// some servers want odd ones.
func ehlo(s string) (string, string, string) {
	if len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", "must be one word in ASCII", ""
	}
	return s, "", ""
}

// sourceAddress takes "ip" or "ip:port".
func sourceAddress(s string) (string, string, string) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.String(), "", ""
	}
	if ip, err := netip.ParseAddrPort(s); err == nil {
		return ip.String(), "", ""
	}
	return "", "is not an address: " + quoted(s), `write "192.0.2.1", "192.0.2.1:port", "2001:db8::1" or "[2001:db8::1]:port"`
}

// proxy takes a SOCKS5 URL. It may hold a password and is not shown.
func proxy(s string) (string, string, string) {
	const hint = "write socks5://host:port or socks5://user:password@host:port"
	u, err := url.Parse(s)
	if err != nil {
		return "", "is not a URL", hint
	}
	if u.Scheme != "socks5" {
		return "", "is not a SOCKS5 proxy", hint
	}
	if _, problem, _ := server(u.Hostname()); problem != "" || !validPort(u.Port()) {
		return "", "lacks a host and a port", hint
	}
	if u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return "", "has more than a host and a port", hint
	}
	if u.User != nil && u.User.Username() == "" {
		return "", "has no user before the @", hint
	}
	return s, "", ""
}

// esmtpParam takes a parameter of MAIL or RCPT in the syntax of RFC 5321, 4.1.2.
func esmtpParam(s string) (string, string, string) {
	key, value, hasValue := strings.Cut(s, "=")
	bad := key == "" || key[0] == '-' || hasValue && value == "" ||
		strings.ContainsFunc(key, func(r rune) bool { return r != '-' && !isAlnum(r) }) ||
		strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == '=' || r > '~' })
	if bad {
		return "", "is not an ESMTP parameter: " + quoted(s), `write "KEYWORD" or "KEYWORD=value"`
	}
	return s, "", ""
}
