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
	hostname string
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
		name, value, cut := ssmtpPair(l.text)
		at := place{f.Name, l.n}
		take, known := table[strings.ToLower(name)]
		what, why := l.unknown(), "is not known"
		if known {
			what = l.name()
			r.at = at
			why = take(value)
		}
		if known && cut {
			r.d.note(at, what, "ssmtp takes a value up to the first blank, = or #, and so does this; if that is not all of it, complete it")
		}
		if why != "" {
			r.d.note(at, what, why)
		}
	}
	at := place{file: f.Name}
	if r.d.root["domain"] == nil { // hostname is also that of senders
		r.d.set("domain", r.hostname)
	}
	switch {
	case r.tls && r.starttls:
		r.a.keys["tls"] = "starttls"
	case r.tls:
		r.a.keys["tls"] = "implicit"
	default:
		r.d.plaintext(r.a, at)
	}
	if r.a.keys["port"] == nil {
		r.a.keys["port"] = 25
		if r.a.keys["tls"] == "implicit" {
			r.d.note(at, "mailhub", "names no port, and ssmtp then uses 25, for TLS too; most servers have that kind of TLS at 465")
		}
	}
	if r.tls {
		r.d.unverified(at, "ssmtp")
	}
	if _, ok := r.a.keys["host"]; !ok {
		r.a.keys["host"] = "mail" // what ssmtp asks for then
	}
}

// ssmtpPair reads a line as ssmtp does, which knows no quotes. cut tells that the
// line has more than the value.
func ssmtpPair(line string) (name, value string, cut bool) {
	line, _, cut = strings.Cut(line, "#")
	name, rest := pair(line)
	value = rest
	if i := strings.IndexAny(rest, "= \t"); i >= 0 {
		value = rest[:i]
		cut = cut || strings.Trim(rest[i:], "= \t") != ""
	}
	return name, value, cut
}

func (r *ssmtpReader) host(v string) string {
	r.hostname = v
	return r.a.keys.set("ehlo", v)
}

func (r *ssmtpReader) table() map[string]func(string) string {
	never := func(why string) func(string) string { return func(string) string { return why } }
	key := func(name string) func(string) string {
		return func(v string) string { return r.a.keys.set(name, v) }
	}
	return map[string]func(string) string{
		"mailhub": r.a.host, "root": r.root, "hostname": r.host,
		"rewritedomain": func(v string) string { return r.d.set("domain", v) },
		"fromlineoverride": func(v string) string {
			if yes(v) {
				return "From stays as it is, as there; but there its address is the envelope sender too, and here that is the one of -f or of from"
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
