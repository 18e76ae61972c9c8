package importer

import (
	"slices"
	"strings"
)

func esmtpKinds() []kind {
	return []kind{{"esmtprc", begins("hostname", "identity", "mda", "qualifydomain", "preconnect")}}
}

// esmtpReader turns esmtprc into keys. Settings above the first identity are the
// default one.
type esmtpReader struct {
	d  *draft
	a  *account
	at place
}

func readEsmtp(d *draft, files map[string]File) {
	f := files["esmtprc"]
	r := &esmtpReader{d: d, a: d.account("default")}
	for _, l := range meaningful(f.Text) {
		name, value := pair(l.text)
		name = strings.ToLower(name)
		if name == "force" || name == "default" {
			second, rest := pair(value)
			name, value = name+" "+strings.ToLower(second), rest
		}
		r.at = place{f.Name, l.n}
		take, known := r.table()[name]
		what, why := l.unknown(), "is not known"
		if known {
			what = l.name()
			plain, odd := esmtpValue(value)
			if why = take(plain); why == "" && odd {
				why = "is read as esmtp's manual says; esmtp 1.2 itself reads an escaped quote or number in another way"
			}
		}
		if why != "" {
			d.note(r.at, what, why)
		}
	}
	d.accounts = slices.DeleteFunc(d.accounts, func(a *account) bool { return a.keys["host"] == nil })
	for _, a := range d.accounts {
		if a.keys["port"] == nil {
			a.keys["port"] = 587
		}
		if a.keys["tls"] == nil {
			d.plaintext(a, place{file: f.Name})
		} else {
			d.unverified(place{file: f.Name}, "esmtp")
		}
	}
}

// esmtpValue takes quotes and the comment off; in either kind of quotes are the
// escapes of C. odd is a value that esmtp 1.2 does not read as its manual says.
func esmtpValue(s string) (value string, odd bool) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		var b strings.Builder
		for i := 1; i < len(s); i++ {
			c := s[i]
			switch {
			case c == s[0]:
				return b.String(), odd
			case c == '\\' && i+1 < len(s):
				i++
				c = s[i]
				odd = odd || c == s[0] || c >= '0' && c <= '9'
				if n := strings.IndexByte("abfnrtv", c); n >= 0 {
					c = "\a\b\f\n\r\t\v"[n]
				}
			}
			b.WriteByte(c)
		}
	}
	s, _, _ = strings.Cut(s, "#")
	return strings.TrimSpace(s), false
}

func (r *esmtpReader) table() map[string]func(string) string {
	never := func(why string) func(string) string { return func(string) string { return why } }
	key := func(name string) func(string) string {
		return func(v string) string { return r.a.keys.set(name, v) }
	}
	return map[string]func(string) string{
		"hostname": r.a.host, "helo": key("ehlo"), "starttls": r.starttls, "identity": r.identity,
		"username": func(v string) string { return r.a.login(v, r.a.password, r.at) },
		"password": func(v string) string {
			user, _ := r.a.keys["username"].(string)
			return r.a.login(user, v, r.at)
		},
		"certificate_passphrase": never("the key of the certificate must not be encrypted"),
		"qualifydomain":          func(v string) string { return r.d.set("domain", v) },
		"force sender":           never("Sender stays as the caller wrote it"),
		"force reverse_path": func(v string) string {
			if strings.Contains(v, "%") {
				return "this pattern is not known here; set envelope_from"
			}
			return r.a.keys.set("envelope_from", v)
		},
		"message_id": func(v string) string {
			if yes(v) {
				return ""
			}
			return "Message-ID is added where it is missing"
		},
		"preconnect": never("no command is run before; see connect_command"),
		"mda":        never("mail is never delivered on this host"),
		"force_mda":  never("mail is never delivered on this host"),
	}
}

func (r *esmtpReader) starttls(v string) string {
	switch strings.ToLower(v) {
	case "enabled":
		r.a.keys["tls"] = "auto"
	case "required":
		r.a.keys["tls"] = "starttls"
	}
	return ""
}

// identity begins the settings for an address.
func (r *esmtpReader) identity(v string) string {
	first := r.a.keys["host"] == nil
	r.a = r.d.account(v)
	if !first {
		r.a.keys.set("senders", v)
	}
	if first && strings.Contains(v, "@") && r.d.root["from"] == nil {
		return r.d.set("from", v) // the first identity is the default then
	}
	return ""
}
