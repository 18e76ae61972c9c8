package importer

import (
	"path/filepath"
	"strings"
)

func dmaKinds() []kind {
	isConf := func(line string) bool {
		name, _ := pair(line)
		switch name {
		case "SMARTHOST", "SECURETRANSFER", "SECURETRANS", "OPPORTUNISTIC_TLS", "AUTHPATH", "MAILNAME", "NULLCLIENT":
			return true
		}
		return false
	}
	isAuth := func(line string) bool {
		user, rest, ok := strings.Cut(line, "|")
		return ok && !strings.ContainsAny(user, " \t=") && strings.Contains(rest, ":")
	}
	return []kind{{"dma.conf", isConf}, {"auth.conf", isAuth}}
}

// dmaReader turns dma.conf into keys.
type dmaReader struct {
	d    *draft
	a    *account
	is   map[string]string // what the file sets, "" for yes
	auth File
}

func readDMA(d *draft, files map[string]File) {
	f := files["dma.conf"]
	if f.Name == "" {
		return
	}
	r := &dmaReader{d: d, is: make(map[string]string), auth: files["auth.conf"]}
	r.a = &account{name: "dma", keys: make(values)}
	table := r.table()
	for _, l := range meaningful(f.Text) {
		name, value := pair(l.text)
		at := place{f.Name, l.n}
		take, known := table[name]
		what, why := l.unknown(), "is not known"
		if known {
			what = l.name()
			r.is[name] = value
			why = take(value)
		}
		if why != "" {
			d.note(at, what, why)
		}
	}
	if r.a.keys["host"] == nil {
		d.note(place{file: f.Name}, "SMARTHOST", "is not set: dma delivers to the recipients' servers itself, postern never does")
		return
	}
	d.accounts = append(d.accounts, r.a)
	d.spooled("dma's queue")
	r.tls(place{file: f.Name})
	r.passwords()
}

func (r *dmaReader) table() map[string]func(string) string {
	done := func(string) string { return "" }
	never := func(why string) func(string) string { return func(string) string { return why } }
	key := func(name string) func(string) string {
		return func(v string) string { return r.a.keys.set(name, v) }
	}
	return map[string]func(string) string{
		"SMARTHOST": key("host"), "PORT": r.a.port,
		"ALIASES":  func(v string) string { return r.d.set("aliases", v) },
		"SPOOLDIR": done, "AUTHPATH": r.authpath, "NULLCLIENT": done, "SECURE": done,
		"SECURETRANSFER": done, "SECURETRANS": done, "STARTTLS": done, "OPPORTUNISTIC_TLS": done,
		"FINGERPRINT": key("fingerprint"), "CERTFILE": key("client_cert"),
		"INSECURE":   func(string) string { r.a.keys["allow_plaintext_auth"] = true; return "" },
		"DEFER":      func(string) string { r.d.root["spool.deliver"] = "queue"; return "" },
		"FULLBOUNCE": never("a report has the header only; callers can ask for more with -R full"),
		"MAILNAME":   r.mailname, "MASQUERADE": r.masquerade,
	}
}

// mailname is a name, or the file that has it.
func (r *dmaReader) mailname(v string) string {
	if !filepath.IsAbs(v) {
		return r.d.set("domain", v)
	}
	if v == "/etc/mailname" {
		return "" // as here
	}
	text, why := r.d.other(v)
	if why != "" {
		return why
	}
	first, _, _ := strings.Cut(text, "\n")
	return r.d.set("domain", strings.TrimSpace(first))
}

// masquerade is user@host, user@ or host.
func (r *dmaReader) masquerade(v string) string {
	user, host, at := strings.Cut(v, "@")
	switch {
	case !at:
		return r.d.set("domain", v)
	case host == "":
		r.d.set("from", user)
		return "is the sender where the caller gives none; -f counts here"
	}
	return r.a.keys.set("envelope_from", v)
}

func (r *dmaReader) authpath(v string) string {
	if r.auth.Name != "" || v == "" {
		return ""
	}
	text, why := r.d.other(v)
	if why != "" {
		return why
	}
	r.auth = File{v, text}
	return ""
}

func (r *dmaReader) has(name string) bool { _, ok := r.is[name]; return ok }

func (r *dmaReader) tls(at place) {
	secure := r.has("SECURETRANSFER") || r.has("SECURETRANS")
	switch {
	case secure && r.has("STARTTLS") && r.has("OPPORTUNISTIC_TLS"):
		r.a.keys["tls"] = "auto"
	case secure && r.has("STARTTLS"):
		r.a.keys["tls"] = "starttls"
	case secure:
		r.a.keys["tls"] = "implicit"
	default:
		r.d.plaintext(r.a, at)
	}
	if r.a.keys["port"] == nil {
		r.a.keys["port"] = 25
	}
	if secure && r.a.keys["fingerprint"] == nil {
		r.d.unverified(at, "dma")
	}
}

// passwords takes the line of auth.conf, "user|host:password", that is for the
// smarthost. Where dma.conf names no such file, dma does not look for one.
func (r *dmaReader) passwords() {
	if !r.has("AUTHPATH") && r.auth.Name != "" {
		r.d.note(place{file: r.auth.Name}, "", "dma.conf has no AUTHPATH, so dma does not log in; what is in here is not used")
		return
	}
	for _, l := range meaningful(r.auth.Text) {
		at := place{r.auth.Name, l.n}
		user, rest, ok := strings.Cut(l.text, "|")
		host, password, ok2 := strings.Cut(rest, ":")
		switch {
		case !ok || !ok2:
			r.d.note(at, "this line", "is not user|host:password")
		case !strings.EqualFold(host, r.a.keys["host"].(string)):
			r.d.note(at, "", "is for another server")
		default:
			if why := r.a.login(user, password, at); why != "" {
				r.d.note(at, "", why)
			}
		}
	}
}
