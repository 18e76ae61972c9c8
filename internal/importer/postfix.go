package importer

import (
	"slices"
	"strings"
)

func postfixKinds() []kind {
	isPassword := func(line string) bool {
		words := strings.Fields(line)
		return len(words) == 2 && strings.Contains(words[1], ":") && strings.Contains(words[0], ".")
	}
	return []kind{{"main.cf", begins("relayhost", "myorigin", "smtp_tls_security_level", "smtp_sasl_password_maps")},
		{"sasl_passwd", isPassword}}
}

// parameter is a setting of main.cf.
type parameter struct {
	value string
	at    place
}

// postfixReader turns main.cf into keys.
type postfixReader struct {
	d  *draft
	a  *account
	is map[string]parameter
}

func readPostfix(d *draft, files map[string]File) {
	f := files["main.cf"]
	r := &postfixReader{d: d, is: mainCF(f)}
	relay := r.get("relayhost")
	if relay == "" {
		if f.Name != "" {
			d.note(place{file: f.Name}, "relayhost", "is not set: Postfix delivers to the recipients' servers itself, postern never does")
		}
		return
	}
	r.a = d.account("postfix")
	r.relayhost(relay)
	d.spooled("Postfix's queue")
	r.tls()
	r.sasl(files["sasl_passwd"], relay)
	r.others()
	r.rest()
}

// mainCF reads logical lines: one that begins with a blank goes on with the one
// before (postconf(5)).
func mainCF(f File) map[string]parameter {
	is := make(map[string]parameter)
	name, n := "", 0
	for raw := range strings.Lines(f.Text) {
		n++
		s := strings.TrimSpace(raw)
		switch {
		case s == "" || s[0] == '#':
		case raw[0] == ' ' || raw[0] == '\t':
			if p, ok := is[name]; ok {
				p.value = strings.TrimSpace(p.value + " " + s)
				is[name] = p
			}
		default:
			var value string
			name, value, _ = strings.Cut(s, "=")
			name = strings.TrimSpace(name)
			is[name] = parameter{strings.TrimSpace(value), place{f.Name, n}}
		}
	}
	return is
}

// get is a value with what it refers to, "$name" or "${name}".
func (r *postfixReader) get(name string) string { return r.expand(r.is[name].value, 5) }

func (r *postfixReader) expand(s string, depth int) string {
	for depth > 0 {
		before, rest, ok := strings.Cut(s, "$")
		if !ok {
			return s
		}
		depth--
		rest = strings.TrimPrefix(rest, "{")
		end := strings.IndexFunc(rest, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') })
		if end < 0 {
			end = len(rest)
		}
		value := r.is[rest[:end]].value
		if rest[:end] == "mydomain" && value == "" {
			_, value, _ = strings.Cut(r.is["myhostname"].value, ".")
		}
		s = before + value + strings.TrimPrefix(rest[end:], "}")
	}
	return s
}

// relayhost is "[host]:port", or a domain whose MX is asked; several are tried
// in order.
func (r *postfixReader) relayhost(v string) {
	var hosts []string
	at := r.is["relayhost"].at
	for word := range strings.FieldsFuncSeq(v, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' }) {
		one := &account{keys: make(values)}
		if why := one.host(strings.TrimPrefix(word, "inet:")); why != "" {
			r.d.note(at, "relayhost", why)
		}
		if len(hosts) > 0 && one.keys["port"] != r.a.keys["port"] {
			r.d.note(at, "relayhost", "all hosts get the port of the first")
		} else if one.keys["port"] != nil {
			r.a.keys["port"] = one.keys["port"]
		}
		if !strings.HasPrefix(word, "[") {
			r.a.keys["lookup"] = "mx"
		}
		hosts = append(hosts, one.keys["host"].(string))
	}
	if r.a.keys["host"] = hosts; len(hosts) == 1 {
		r.a.keys["host"] = hosts[0]
	}
	if r.a.keys["port"] == nil {
		r.a.keys["port"] = 25
	}
}

func (r *postfixReader) tls() {
	level, at := r.get("smtp_tls_security_level"), r.is["smtp_tls_security_level"].at
	if level == "" {
		switch {
		case yes(r.get("smtp_enforce_tls")):
			level, at = "encrypt", r.is["smtp_enforce_tls"].at
		case yes(r.get("smtp_use_tls")):
			level, at = "may", r.is["smtp_use_tls"].at
		}
	}
	mode := "starttls"
	switch level {
	case "", "none":
		mode = "auto"
		r.d.plaintext(r.a, at)
	case "may":
		mode = "auto"
		r.d.unverified(at, `Postfix at the level "may"`)
	case "encrypt":
		r.d.unverified(at, `Postfix at the level "encrypt"`)
	case "dane", "dane-only":
		r.d.note(at, "smtp_tls_security_level", "DANE is not supported; the certificate is verified with the system's authorities")
	}
	if yes(r.get("smtp_tls_wrappermode")) {
		mode = "implicit"
	}
	r.a.keys["tls"] = mode
	if level == "fingerprint" {
		if why := r.a.keys.set("fingerprint", r.get("smtp_tls_fingerprint_cert_match")); why != "" {
			r.d.note(at, "smtp_tls_fingerprint_cert_match", why)
		}
	}
}

// sasl finds the line of the password map for the relayhost.
func (r *postfixReader) sasl(map1 File, relay string) {
	maps := r.is["smtp_sasl_password_maps"]
	if !yes(r.get("smtp_sasl_auth_enable")) {
		return
	}
	r.a.at = maps.at
	value := r.expand(maps.value, 5)
	if login, ok := strings.CutPrefix(value, "static:"); ok {
		r.login(login, maps.at)
		return
	}
	if map1.Name == "" {
		_, name, _ := strings.Cut(value, ":")
		text, why := r.d.other(name)
		if why != "" {
			r.d.note(maps.at, "smtp_sasl_password_maps", why)
			return
		}
		map1 = File{name, text}
	}
	host, _, _ := strings.Cut(strings.Trim(relay, "[]"), "]")
	host, _, _ = strings.Cut(host, ":")
	keys := []string{relay, "[" + host + "]", host} // the order in which Postfix asks
	for _, want := range keys {
		for _, l := range meaningful(map1.Text) {
			key, login, _ := strings.Cut(strings.ReplaceAll(l.text, "\t", " "), " ")
			if strings.EqualFold(key, want) {
				r.login(strings.TrimSpace(login), place{map1.Name, l.n})
				return
			}
		}
	}
	r.d.note(place{file: map1.Name}, "", "has no password for the relayhost")
}

func (r *postfixReader) login(login string, at place) {
	user, password, _ := strings.Cut(login, ":")
	if why := r.a.login(user, password, at); why != "" {
		r.d.note(at, "", why)
	}
}

// others are parameters that become a key.
func (r *postfixReader) others() {
	for name, key := range map[string]string{"smtp_helo_name": "ehlo", "smtp_bind_address": "source_address",
		"smtp_tls_cert_file": "client_cert", "smtp_tls_key_file": "client_key", "smtp_tls_CAfile": "ca_file"} {
		if v := r.get(name); v != "" && v != "/etc/ssl/certs/ca-certificates.crt" {
			if why := r.a.keys.set(key, v); why != "" {
				r.d.note(r.is[name].at, name, why)
			}
		}
	}
	if r.a.keys["ehlo"] == nil {
		r.a.keys.set("ehlo", r.get("myhostname"))
	}
	for name, key := range map[string]string{"minimal_backoff_time": "spool.retry_min", "maximal_backoff_time": "spool.retry_max",
		"maximal_queue_lifetime": "spool.expire", "delay_warning_time": "spool.warn"} {
		if v := r.get(name); v != "" && strings.Trim(v, "0smhdw") != "" {
			r.d.set(key, v)
		}
	}
	if origin := r.get("myorigin"); !strings.HasPrefix(origin, "/") {
		r.d.set("domain", origin)
	}
	if list := r.get("smtp_sasl_mechanism_filter"); list != "" && !strings.ContainsAny(list, "!/:") {
		r.a.keys["auth"] = strings.FieldsFunc(strings.ToUpper(list), func(c rune) bool { return c == ',' || c == ' ' })
	}
}

// rest names what is left: what changes mail one by one, all else in one line.
func (r *postfixReader) rest() {
	used := []string{"relayhost", "myorigin", "myhostname", "mydomain", "mydestination", "smtp_sasl_auth_enable", "smtp_sasl_password_maps",
		"smtp_sasl_security_options", "smtp_sasl_tls_security_options", "smtp_sasl_mechanism_filter", "smtp_tls_security_level",
		"smtp_tls_wrappermode", "smtp_use_tls", "smtp_enforce_tls", "smtp_tls_CAfile", "smtp_tls_CApath", "smtp_tls_cert_file",
		"smtp_tls_key_file", "smtp_tls_fingerprint_cert_match", "smtp_tls_session_cache_database", "smtp_tls_loglevel",
		"smtp_helo_name", "smtp_bind_address", "minimal_backoff_time", "maximal_backoff_time", "maximal_queue_lifetime",
		"delay_warning_time", "compatibility_level"}
	matters := []string{"sender_canonical_maps", "recipient_canonical_maps", "canonical_maps", "smtp_generic_maps", "virtual_alias_maps",
		"transport_maps", "sender_dependent_relayhost_maps", "smtp_header_checks", "header_checks", "sender_bcc_maps",
		"always_bcc", "masquerade_domains", "smtp_tls_policy_maps", "default_transport", "smtp_sender_dependent_authentication"}
	var rest []string
	for name, p := range r.is {
		switch {
		case slices.Contains(used, name) || p.value == "":
		case name == "alias_maps":
			r.d.note(p.at, name, "set aliases to the text file, if it has addresses only")
		case slices.Contains(matters, name):
			r.d.note(p.at, name, "is not supported")
		default:
			rest = append(rest, line{0, name}.name())
		}
	}
	if len(rest) > 0 {
		slices.Sort(rest)
		r.d.note(place{}, "without meaning here", strings.Join(slices.Compact(rest), ", "))
	}
}
