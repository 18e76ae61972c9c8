package importer

import "strings"

// table has each command of msmtprc; the result is "" or why it is not carried
// over.
func (r *msmtpReader) table() map[string]func(string) string {
	key := func(name string) func(string) string {
		return func(v string) string { return r.a.keys.set(name, v) }
	}
	done := func(string) string { return "" } // seen to elsewhere, or the same here
	never := func(why string) func(string) string { return func(string) string { return why } }
	unless := func(value, why string) func(string) string {
		return func(v string) string {
			if v == value || value == "on" && v == "" {
				return ""
			}
			return why
		}
	}
	return map[string]func(string) string{
		"host": func(v string) string { r.a.keys["host"] = v; return "" }, "port": r.a.port,
		"tls": done, "tls_starttls": done, "tls_certcheck": done, "auth": done, "user": done, "password": done, "passwordeval": done,
		"source_ip": key("source_address"), "socket": r.socket, "timeout": r.seconds, "connect_timeout": r.seconds,
		"proxy_host": r.proxy, "proxy_port": done, "protocol": unless("smtp", "LMTP is not spoken"),
		"domain": r.ehlo, "ntlmdomain": never("NTLM is not supported"),
		"tls_trust_file": r.trust, "tls_fingerprint": key("fingerprint"), "tls_host_override": key("server_name"),
		"tls_cert_file": r.path("client_cert"), "tls_key_file": r.path("client_key"),
		"tls_crl_file":          never("revocation lists are not read"),
		"tls_priorities":        never("TLS 1.2 and 1.3 with Go's choice of ciphers are used"),
		"tls_min_dh_prime_bits": never("there is no such exchange here"), "tls_force_sslv3": never("TLS 1.2 is the least"),
		"tls_nocertcheck": func(string) string { r.a.keys["verify"] = false; return "" },
		"from":            r.from, "maildomain": r.domain, "auto_from": done, "from_full_name": never("use -F"),
		"allow_from_override":     r.override,
		"set_from_header":         r.header,
		"add_missing_from_header": unless("on", "From is added where it is missing"),
		"set_date_header":         unless("auto", "Date is added where it is missing"),
		"add_missing_date_header": unless("on", "Date is added where it is missing"),
		"set_msgid_header":        unless("auto", "Message-ID is added where it is missing"),
		"remove_bcc_headers":      unless("on", "Bcc is always removed"),
		"keepbcc":                 unless("off", "Bcc is always removed"),
		"undisclosed_recipients":  unless("off", "To and Cc stay as they are"),
		"dsn_notify":              r.notify, "dsn_return": r.ret,
		"logfile": r.logfile, "logfile_time_format": never("the log has the form of Postfix's"), "syslog": done,
		"aliases": r.aliases, "eval": done,
	}
}

func (r *msmtpReader) aliases(v string) string {
	if strings.HasPrefix(v, "~") {
		return "begins with ~; set aliases to the full path"
	}
	return r.d.set("aliases", v)
}

func (r *msmtpReader) override(v string) string {
	if v == "off" && r.first && r.a.keys["envelope_from"] == nil {
		return "-f of the caller counts here; set envelope_from to one address to forbid it"
	}
	return ""
}

func (r *msmtpReader) header(v string) string {
	switch {
	case v == "off":
		return "From is added where it is missing"
	case v != "auto" && r.a.keys["header_from"] == nil:
		return "From is added where it is missing; set header_from to one address to replace it"
	}
	return ""
}

func (r *msmtpReader) socket(v string) string {
	if v != "" {
		delete(r.a.keys, "port")
		r.a.keys["host"] = ""
		delete(r.a.keys, "host")
	}
	return r.a.keys.set("socket", v)
}

// proxy is a SOCKS5 proxy, with the port that msmtp uses.
func (r *msmtpReader) proxy(v string) string {
	if v == "" {
		return ""
	}
	port := r.get("proxy_port")
	if port == "" {
		port = "1080"
	}
	if strings.Contains(v, ":") {
		v = "[" + v + "]"
	}
	return r.a.keys.set("proxy", "socks5://"+v+":"+port)
}

func (r *msmtpReader) ehlo(v string) string {
	if strings.Contains(v, "%") {
		return "" // the host's own names, as here
	}
	return r.a.keys.set("ehlo", v)
}

// path takes a file; a shell's ~ means nothing in ours.
func (r *msmtpReader) path(key string) func(string) string {
	return func(v string) string {
		if strings.HasPrefix(v, "~") {
			return "begins with ~; set " + key + " to the full path"
		}
		return r.a.keys.set(key, v)
	}
}

func (r *msmtpReader) trust(v string) string {
	switch v {
	case "system", "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt":
		return ""
	case "":
		return "no authority is trusted; set fingerprint"
	}
	return r.path("ca_file")(v)
}

// from is the envelope sender of the first account. %U at a domain is what we do
// without it.
func (r *msmtpReader) from(v string) string {
	if !r.first || v == "" {
		return ""
	}
	user, domain, _ := strings.Cut(v, "@")
	switch {
	case strings.ContainsAny(v, "*?["):
		return "a pattern only chooses among accounts"
	case user == "%U" && (domain == "%M" || domain == "%H" || domain == "%C" || domain == ""):
		return "" // as here
	case user == "%U" && !strings.Contains(domain, "%"):
		return r.d.set("domain", domain)
	case strings.Contains(v, "%"):
		return "this pattern is not known here; set from or domain"
	}
	return r.d.set("from", v)
}

func (r *msmtpReader) domain(v string) string {
	if r.first && r.on("auto_from") {
		return r.d.set("domain", v)
	}
	return ""
}

func (r *msmtpReader) notify(v string) string {
	if v != "" && v != "off" {
		r.a.keys["rcpt_options"] = []string{"NOTIFY=" + strings.ToUpper(v)}
	}
	return ""
}

func (r *msmtpReader) ret(v string) string {
	switch v {
	case "headers":
		r.a.keys["mail_options"] = []string{"RET=HDRS"}
	case "full":
		r.a.keys["mail_options"] = []string{"RET=FULL"}
	}
	return ""
}

func (r *msmtpReader) logfile(v string) string {
	switch {
	case !r.first || v == "":
		return ""
	case v == "-":
		r.d.root["log.to"] = "stderr"
		return ""
	case !strings.HasPrefix(v, "/"):
		return "is no full path; the log goes to syslog"
	}
	return r.d.set("log.to", v)
}
