package importer

import (
	"slices"
	"strconv"
	"strings"
)

func msmtpKinds() []kind {
	isMsmtp := func(line string) bool {
		return line == "defaults" || begins("account", "tls_starttls", "tls_trust_file", "passwordeval")(line)
	}
	return []kind{{"msmtprc", isMsmtp}}
}

// setting is a command of msmtprc and where it stands.
type setting struct {
	name, value string
	at          place
}

// msmtpAccount is an account with all it has inherited.
type msmtpAccount struct {
	name     string
	at       place
	settings map[string]setting
}

func readMsmtp(d *draft, files map[string]File) {
	accounts := msmtpAccounts(d, files["msmtprc"])
	i := slices.IndexFunc(accounts, func(a msmtpAccount) bool { return a.name == "default" })
	if i > 0 { // it counts when nobody chooses another one
		accounts = slices.Concat(accounts[i:i+1], accounts[:i], accounts[i+1:])
	}
	if i < 0 && len(accounts) > 0 {
		d.note(accounts[0].at, "account", "there is no default account, msmtp has to be told which; the first one is it now")
	}
	base := -1 // the account that default is only another name of
	for i, m := range accounts {
		if _, ok := m.settings["host"]; !ok {
			if _, ok := m.settings["socket"]; !ok {
				continue
			}
		}
		if i > 0 && base < 0 && sameSettings(accounts[0], m) {
			base = i
			continue
		}
		(&msmtpReader{d: d, a: d.account(m.name), first: len(d.accounts) == 1}).take(m)
	}
}

func sameSettings(a, b msmtpAccount) bool {
	if len(a.settings) != len(b.settings) {
		return false
	}
	for name, s := range a.settings {
		if b.settings[name].value != s.value {
			return false
		}
	}
	return true
}

// msmtpAccounts resolves defaults and inheritance.
func msmtpAccounts(d *draft, f File) (list []msmtpAccount) {
	defaults := make(map[string]setting)
	current := defaults
	for _, l := range meaningful(f.Text) {
		name, value, _ := strings.Cut(strings.ReplaceAll(l.text, "\t", " "), " ")
		value = unquote(strings.TrimSpace(value))
		at := place{f.Name, l.n}
		switch name {
		case "defaults":
			current = defaults
		case "account":
			name, parents, _ := strings.Cut(value, ":")
			a := msmtpAccount{strings.TrimSpace(name), at, make(map[string]setting)}
			inherit(a.settings, defaults)
			for parent := range strings.SplitSeq(parents, ",") {
				for _, p := range list {
					if p.name == strings.TrimSpace(parent) {
						inherit(a.settings, p.settings)
					}
				}
			}
			list, current = append(list, a), a.settings
		case "eval":
			d.note(at, "eval", "is not run; write what its output says")
		default:
			current[name] = setting{l.name(), value, at}
		}
	}
	if len(list) == 0 && len(defaults) > 0 { // an old file without any account
		list = append(list, msmtpAccount{"default", place{file: f.Name}, defaults})
	}
	return list
}

func inherit(to, from map[string]setting) {
	for k, v := range from {
		to[k] = v
	}
}

// msmtpReader turns one account into keys.
type msmtpReader struct {
	d     *draft
	a     *account
	first bool // it decides what counts for all mail
	m     msmtpAccount
}

func (r *msmtpReader) take(m msmtpAccount) {
	r.m = m
	r.sender()
	r.tls()
	r.login()
	take := r.table()
	var names []string
	for name := range m.settings {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return m.settings[a].at.line - m.settings[b].at.line })
	for _, name := range names {
		s := m.settings[name]
		f, known := take[name]
		what, why := s.name, "is not known"
		switch {
		case known:
			why = f(s.value)
		case s.value == "":
			what = thisLine // see unknown
		}
		if why != "" {
			r.d.note(s.at, what, why)
		}
	}
}

func (r *msmtpReader) get(name string) string { return r.m.settings[name].value }

// on is for commands whose empty argument means on.
func (r *msmtpReader) on(name string) bool {
	s, ok := r.m.settings[name]
	return ok && (s.value == "" || yes(s.value))
}

func (r *msmtpReader) tls() {
	switch {
	case !r.on("tls"):
		r.d.plaintext(r.a, r.m.settings["tls"].at)
	case r.get("tls_starttls") == "off":
		r.a.keys["tls"] = "implicit"
	default:
		r.a.keys["tls"] = "starttls"
		if _, ok := r.m.settings["port"]; !ok {
			r.a.keys["port"] = 25
		}
	}
	if r.a.keys["tls"] == "auto" {
		if _, ok := r.m.settings["port"]; !ok {
			r.a.keys["port"] = 25
		}
	}
	if s, ok := r.m.settings["tls_certcheck"]; ok && s.value == "off" {
		r.a.keys["verify"] = false
	}
}

// login takes user, password and method; without auth they do nothing.
func (r *msmtpReader) login() {
	auth, ok := r.m.settings["auth"]
	if !ok || auth.value == "off" {
		return
	}
	r.a.at = auth.at
	r.a.keys.set("username", r.get("user"))
	method := strings.ToUpper(auth.value)
	switch method {
	case "", "ON":
	case "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS",
		"EXTERNAL", "XOAUTH2", "OAUTHBEARER":
		r.a.keys["auth"] = []string{method}
	default:
		r.d.note(auth.at, "auth", "this mechanism is not supported; the strongest that the server offers is used")
	}
	token := method == "XOAUTH2" || method == "OAUTHBEARER"
	stem := "password"
	if token {
		stem = "token"
	}
	eval, hasEval := r.m.settings["passwordeval"]
	secret, has := r.m.settings["password"]
	switch {
	case hasEval && eval.value != "":
		r.a.keys[stem+"_command"] = command(eval.value)
	case has && token:
		r.a.keys["token_file"] = "token"
		r.d.note(secret.at, "password", "the token is not carried over; write it into the file \"token\" beside smarthost.toml, mode 0600")
	case has:
		if why := r.a.login(r.get("user"), secret.value, secret.at); why != "" {
			r.d.note(secret.at, "password", why)
		}
	}
}

// sender has the account chosen by its envelope sender, as msmtp does, and puts
// that in the place of others if it is told to.
func (r *msmtpReader) sender() {
	from := r.get("from")
	plain := strings.Contains(from, "@") && !strings.ContainsAny(from, "%[*?")
	if !r.first && from != "" && !strings.ContainsAny(from, "%[") {
		r.a.keys["senders"] = from
		if !strings.ContainsAny(r.m.name, " .@") {
			r.a.keys["name"] = r.m.name
		}
	}
	if r.get("allow_from_override") == "off" && plain && r.first {
		r.a.keys["envelope_from"] = from
	}
	if s, ok := r.m.settings["set_from_header"]; ok && (s.value == "on" || s.value == "") && plain {
		r.a.keys["header_from"] = from
	}
}

// seconds takes a time-out.
func (r *msmtpReader) seconds(v string) string {
	n, err := strconv.Atoi(v)
	if err != nil || n <= 0 {
		return "every wait has a limit here; the defaults apply"
	}
	r.a.keys["connect_timeout"], r.a.keys["command_timeout"] = v+"s", v+"s"
	return ""
}
