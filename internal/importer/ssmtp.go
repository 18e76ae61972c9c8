package importer

import (
	"strings"
	"unicode/utf8"
)

func ssmtpKinds() []kind {
	return []kind{{"ssmtp.conf", begins("mailhub", "rewritedomain", "fromlineoverride", "authuser")}, {"revaliases", nil}}
}

// ssmtpReader turns ssmtp.conf into keys.
type ssmtpReader struct {
	d        *draft
	a        *account
	tls      bool
	starttls bool
	at       place // of the password
}

func readSsmtp(d *draft, files map[string]File) {
	f := files["ssmtp.conf"]
	if f.Name != "" {
		r := &ssmtpReader{d: d, a: d.account("ssmtp")}
		r.conf(f)
	}
	if f, ok := files["revaliases"]; ok {
		revaliases(d, f)
	}
}

func (r *ssmtpReader) conf(f File) {
	table := r.table()
	for _, l := range meaningful(f.Text) {
		name, value := pair(l.text)
		at := place{f.Name, l.n}
		take, known := table[strings.ToLower(name)]
		what, why := l.unknown(), "is not known"
		if known {
			what = l.name()
			r.at = at
			why = take(unquote(value))
		}
		if why != "" {
			r.d.note(at, what, why)
		}
	}
	at := place{file: f.Name}
	switch {
	case r.tls && r.starttls:
		r.a.keys["tls"] = "starttls"
	case r.tls:
		r.a.keys["tls"] = "implicit"
	default:
		r.d.plaintext(r.a, at)
	}
	if _, ok := r.a.keys["port"]; !ok && r.a.keys["tls"] != "implicit" {
		r.a.keys["port"] = 25
	}
	if r.tls {
		r.d.unverified(at, "ssmtp")
	}
	if _, ok := r.a.keys["host"]; !ok {
		r.a.keys["host"] = "mail" // what ssmtp asks for then
	}
}

func (r *ssmtpReader) table() map[string]func(string) string {
	never := func(why string) func(string) string { return func(string) string { return why } }
	key := func(name string) func(string) string {
		return func(v string) string { return r.a.keys.set(name, v) }
	}
	return map[string]func(string) string{
		"mailhub": r.a.host, "root": r.root, "hostname": key("ehlo"),
		"rewritedomain": func(v string) string { return r.d.set("domain", v) },
		"fromlineoverride": func(v string) string {
			if yes(v) {
				return "From stays as it is; the envelope sender is that of -f or of from"
			}
			return "From stays as the caller wrote it; header_from replaces it"
		},
		"usetls":      func(v string) string { r.tls = yes(v); return "" },
		"usestarttls": func(v string) string { r.starttls = yes(v); return "" },
		"usetlscert":  func(string) string { return "" },
		"tlscert":     key("client_cert"), "tlskey": key("client_key"), "tls_ca_file": key("ca_file"),
		"tls_ca_dir": never("name one file in ca_file"),
		"authuser": func(v string) string {
			return r.a.keys.set("username", v)
		},
		"authpass": func(v string) string {
			user, _ := r.a.keys["username"].(string)
			return r.a.login(user, v, r.at)
		},
		"authmethod": func(v string) string {
			if strings.EqualFold(v, "cram-md5") {
				r.a.keys["auth"] = []string{"CRAM-MD5"}
			}
			return ""
		},
		"debug": never("use -v"), "minuserid": never("mail to system users is not rewritten"),
	}
}

// root got the mail of system users.
func (r *ssmtpReader) root(v string) string {
	if !strings.Contains(v, "@") {
		return ""
	}
	r.d.root["postmaster"] = v
	return "this address is the postmaster's only; for mail to root write \"root: ADDRESS\" into a file that aliases names"
}

// revaliases gives users a sender's address: "local:address[:mailhub]".
func revaliases(d *draft, f File) {
	rewrite := make(map[string]string)
	for _, l := range meaningful(f.Text) {
		at := place{f.Name, l.n}
		fields := strings.SplitN(l.text, ":", 3)
		if len(fields) < 2 || fields[0] == "" || fields[1] == "" || !utf8.ValidString(l.text) {
			d.note(at, "this line", "is no alias")
			continue
		}
		rewrite[strings.TrimSpace(fields[0])+"@*"] = strings.TrimSpace(fields[1])
		if len(fields) == 3 && fields[2] != "" {
			d.note(at, "", "one smarthost is used for all senders")
		}
	}
	if len(d.accounts) > 0 && len(rewrite) > 0 {
		d.accounts[0].keys["rewrite"] = rewrite
	}
}
