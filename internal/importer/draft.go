package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/internal/config"
)

// values are keys of smarthost.toml with a string, int, bool, []string or
// map[string]string.
type values map[string]any

// account is one server of the other program, with keys of [smarthost].
type account struct {
	name     string
	keys     values
	password string
	at       place // of the password
	clear    bool  // the other program used no TLS
}

// draft is what was understood so far.
type draft struct {
	program  string
	from     []string
	opts     Options
	root     values // keys outside of [smarthost], "spool.dir" and so on
	accounts []*account
	notes    []note
}

// place is a line of a file; the zero value is none.
type place struct {
	file string
	line int
}

// note tells of a setting that is not carried over, or differs.
type note struct {
	at   place
	what string // the setting
	why  string
}

func (d *draft) note(at place, what, why string) {
	d.notes = append(d.notes, note{at, plain(what), plain(why)})
}

func (n note) String() string {
	s := n.why
	if n.what != "" {
		s = n.what + ": " + s
	}
	if n.at.file == "" {
		return s
	}
	if n.at.line > 0 {
		return plain(n.at.file) + ":" + strconv.Itoa(n.at.line) + ": " + s
	}
	return plain(n.at.file) + ": " + s
}

// noteLines are the notes, each once, in the order of the files.
func (d *draft) noteLines() (list []string) {
	slices.SortStableFunc(d.notes, func(a, b note) int {
		return cmp.Or(strings.Compare(a.at.file, b.at.file), cmp.Compare(a.at.line, b.at.line))
	})
	for _, n := range d.notes {
		if s := n.String(); !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// set takes a text for a key outside of [smarthost].
func (d *draft) set(key, value string) string { return d.root.set(key, value) }

// set takes a text; the result says why it cannot be written down.
func (v values) set(key, value string) string {
	if value == "" {
		return ""
	}
	if !utf8.ValidString(value) {
		return "is not UTF-8"
	}
	v[key] = value
	return ""
}

// account begins a server.
func (d *draft) account(name string) *account {
	a := &account{name: name, keys: make(values)}
	d.accounts = append(d.accounts, a)
	return a
}

// host takes "host", "host:port", "[host]:port".
func (a *account) host(s string) string {
	name, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && (strings.Count(s, ":") == 1 || s[i-1] == ']') && i > 0 {
		name, port = s[:i], s[i+1:]
	}
	a.keys["host"] = strings.Trim(name, "[]")
	if port == "" {
		return ""
	}
	return a.port(port)
}

// port takes a number, or a name that services(5) has.
func (a *account) port(s string) string {
	known := map[string]int{"smtp": 25, "smtps": 465, "submissions": 465, "submission": 587}
	n, err := strconv.Atoi(s)
	if err != nil {
		n = known[strings.ToLower(s)]
	}
	if n < 1 || n > 65535 {
		return "is not a port"
	}
	a.keys["port"] = n
	return ""
}

// login takes user and password.
func (a *account) login(user, password string, at place) string {
	if why := a.keys.set("username", user); why != "" {
		return why
	}
	a.at = at
	if !utf8.ValidString(password) {
		return "the password is not UTF-8; write it into password_file"
	}
	a.password = password
	return ""
}

// hasSecret reports a password or a place for one.
func (a *account) hasSecret() bool {
	for key := range a.keys {
		if strings.HasPrefix(key, "password") || strings.HasPrefix(key, "token") {
			return true
		}
	}
	return a.password != ""
}

// plaintext is for a server that was used without TLS. We would rather have it;
// where it is not to be had the connection is as before.
func (d *draft) plaintext(a *account, at place) {
	a.keys["tls"], a.clear = "auto", true
	d.note(at, "", d.program+" used no TLS; now it is used if the server offers it. To forbid that: tls = \"none\"")
}

// unverified is for a program that does not look at the certificate.
func (d *draft) unverified(at place, why string) {
	d.note(at, "", why+" did not verify the server's certificate, postern does; if --check complains, set ca_file or fingerprint")
}

// spooled gives a program that has a queue a spool.
func (d *draft) spooled(queue string) {
	d.root["spool.dir"] = "/var/spool/postern"
	d.note(place{}, "", "mail that waits in "+queue+" is not moved; let "+d.program+" send it before you remove it")
}

// choose puts the account that is used when nothing else is said last, where it
// takes what no sender chooses, and sees to it that a user has a password.
func (d *draft) choose() {
	chosen := d.accounts[1:]
	kept := slices.DeleteFunc(slices.Clone(chosen), func(a *account) bool { return a.keys["senders"] == nil })
	for _, a := range chosen {
		if a.keys["senders"] == nil {
			d.note(place{}, "account "+a.name, "is left out: no sender chooses it")
		}
	}
	d.accounts = append(kept, d.accounts[0])
	for _, a := range d.accounts {
		d.secret(a)
	}
}

// secretFile is the file for the password of an account.
func (d *draft) secretFile(a *account) string {
	if len(d.accounts) == 1 {
		return "password"
	}
	return "password-" + strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_.@", r) || r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '_'
	}, a.name)
}

func (d *draft) secret(a *account) {
	_, user := a.keys["username"]
	_, cert := a.keys["client_cert"]
	if a.clear && user && a.hasSecret() && a.keys["allow_plaintext_auth"] == nil {
		d.note(a.at, "", "a password or token is sent over TLS only; if the server offers none: allow_plaintext_auth = true")
	}
	file := d.secretFile(a)
	where := "write it into the file \"" + file + "\" beside smarthost.toml, mode 0600"
	switch {
	case user && !a.hasSecret() && !cert:
		a.keys["password_file"] = file
		d.note(a.at, "", "has no password; "+where)
	case !user && a.hasSecret():
		d.note(a.at, "", "there is a password, but no user; neither is used")
		a.password = ""
		for _, key := range []string{"password_file", "password_command", "token_file", "token_command"} {
			delete(a.keys, key)
		}
	case a.password != "" && !d.opts.Secrets:
		a.keys["password_file"] = file
		d.note(a.at, "", "the password is not printed; "+where)
		a.password = ""
	}
	if a.password != "" {
		a.keys["password"] = a.password
	}
}

// render writes smarthost.toml, keys in the order of the manual page.
func (d *draft) render() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by sendmail --import from %s.\n", plain(strings.Join(d.from, ", ")))
	for _, n := range d.noteLines() {
		b.WriteString("# " + n + "\n")
	}
	d.table(&b, "", "", d.root)
	header := "[smarthost]"
	if len(d.accounts) > 1 {
		header = several
	}
	for _, a := range d.accounts {
		d.table(&b, "smarthost", header, a.keys)
	}
	for _, t := range []string{"headers", "spool", "log"} {
		d.table(&b, t, "["+t+"]", d.root)
	}
	return b.String()
}

// several heads each of several smarthosts.
const several = "[[smarthost]]"

// table writes the keys of a table, if there are any.
func (d *draft) table(b *strings.Builder, table, header string, v values) {
	for _, full := range config.Keys() {
		t, key, dotted := strings.Cut(full, ".")
		if !dotted {
			t, key = "", full
		}
		value, ok := v[full]
		if t == "smarthost" {
			value, ok = v[key]
		}
		if t != table || !ok {
			continue
		}
		if header != "" {
			b.WriteString("\n" + header + "\n")
			header = ""
		}
		b.WriteString(key + " = " + literal(value) + "\n")
	}
}

// literal writes a TOML value.
func literal(value any) string {
	switch v := value.(type) {
	case string:
		return quote(v)
	case []string:
		words := make([]string, len(v))
		for i, w := range v {
			words[i] = quote(w)
		}
		return "[" + strings.Join(words, ", ") + "]"
	case map[string]string:
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			pairs = append(pairs, quote(k)+" = "+quote(v[k]))
		}
		return "{ " + strings.Join(pairs, ", ") + " }"
	}
	return fmt.Sprint(value)
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plain makes text fit for a comment and a terminal: one line, no controls, not
// endless.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
