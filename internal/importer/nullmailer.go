package importer

import (
	"strconv"
	"strings"
)

func nullmailerKinds() []kind {
	isRemote := func(line string) bool {
		words, _ := shellWords(line)
		return len(words) > 1 && (words[1] == "smtp" || words[1] == "qmqp")
	}
	kinds := []kind{{"remotes", isRemote}}
	for _, name := range nullmailerFiles() {
		kinds = append(kinds, kind{name, nil})
	}
	return kinds
}

// nullmailerFiles each hold one value. All of them may be given.
func nullmailerFiles() []string {
	return []string{"me", "adminaddr", "allmailfrom", "defaultdomain", "defaulthost", "doublebounceto", "helohost", "idhost",
		"maxpause", "pausetime", "queuelifetime", "sendtimeout"}
}

func readNullmailer(d *draft, files map[string]File) {
	remotes(d, files["remotes"])
	if len(d.accounts) == 0 {
		return
	}
	d.spooled("nullmailer's queue")
	value := func(name string) string {
		first, _, _ := strings.Cut(strings.TrimSpace(files[name].Text), "\n")
		return strings.TrimSpace(first)
	}
	at := func(name string) place { return place{files[name].Name, 1} }
	domain := value("defaulthost")
	if domain != "" && !strings.Contains(domain, ".") && value("defaultdomain") != "" {
		domain += "." + value("defaultdomain")
	}
	if domain == "" {
		domain = value("me")
	}
	d.set("domain", domain)
	helo := value("helohost")
	if helo == "" {
		helo = value("me")
	}
	d.accounts[0].keys.set("ehlo", helo)
	d.set("postmaster", value("doublebounceto"))
	if v := value("adminaddr"); v != "" {
		if d.root["postmaster"] == nil {
			first, _, _ := strings.Cut(v, ",")
			d.set("postmaster", strings.TrimSpace(first))
		}
		d.note(at("adminaddr"), "adminaddr", "this address is the postmaster's only; for mail to local users write \"root: ADDRESS\" into a file that aliases names")
	}
	if v := value("allmailfrom"); v != "" {
		d.accounts[0].keys.set("envelope_from", v)
	}
	if value("idhost") != "" {
		d.note(at("idhost"), "idhost", "Message-ID gets the domain")
	}
	nullmailerTimes(d, value, at)
}

// nullmailerTimes takes the times, which are in seconds.
func nullmailerTimes(d *draft, value func(string) string, at func(string) place) {
	for name, key := range map[string]string{"pausetime": "spool.retry_min", "maxpause": "spool.retry_max",
		"queuelifetime": "spool.expire", "sendtimeout": "timeout"} {
		if n, err := strconv.Atoi(value(name)); err == nil && n > 0 {
			d.root[key] = strconv.Itoa(n) + "s"
		} else if value(name) != "" {
			d.note(at(name), name, "every wait has a limit here; the default applies")
		}
	}
}

// remotes takes the servers. Those that differ in the host only become one list.
func remotes(d *draft, f File) {
	for _, l := range meaningful(f.Text) {
		at := place{f.Name, l.n}
		words, ok := shellWords(l.text)
		switch {
		case !ok:
			d.note(at, "this line", "has an open quote")
			continue
		case len(words) > 1 && words[1] != "smtp":
			d.note(at, "", "only SMTP is spoken")
			continue
		}
		a := d.account(words[0])
		a.keys["host"] = words[0]
		options := remoteOptions(d, a, at)
		for _, w := range words[min(2, len(words)):] {
			name, v, _ := strings.Cut(strings.TrimPrefix(w, "--"), "=")
			take, known := options[name]
			why := "is not known"
			if known {
				why = take(v)
			}
			if why != "" {
				what := line{0, name}.name()
				if !known && !strings.HasPrefix(w, "--") {
					what = thisLine
				}
				d.note(at, what, why)
			}
		}
		if a.keys["tls"] == nil {
			d.plaintext(a, at)
		}
		if _, ok := a.keys["port"]; !ok && a.keys["tls"] != "implicit" {
			a.keys["port"] = 25
		}
		mergeHost(d)
	}
}

// mergeHost makes the last account one more host of the one before, if it is the
// same otherwise.
func mergeHost(d *draft) {
	n := len(d.accounts)
	if n < 2 {
		return
	}
	one, two := d.accounts[n-2], d.accounts[n-1]
	if one.password != two.password || len(one.keys) != len(two.keys) {
		return
	}
	for key, v := range two.keys {
		if key != "host" && literal(one.keys[key]) != literal(v) {
			return
		}
	}
	var hosts []string
	switch v := one.keys["host"].(type) {
	case string:
		hosts = []string{v}
	case []string:
		hosts = v
	}
	one.keys["host"] = append(hosts, two.keys["host"].(string))
	d.accounts = d.accounts[:n-1]
}

func remoteOptions(d *draft, a *account, at place) map[string]func(string) string {
	key := func(name string) func(string) string {
		return func(v string) string { return a.keys.set(name, v) }
	}
	tls := func(mode string) func(string) string {
		return func(string) string { a.keys["tls"] = mode; return "" }
	}
	never := func(why string) func(string) string { return func(string) string { return why } }
	return map[string]func(string) string{
		"port": a.port, "user": key("username"),
		"pass": func(v string) string {
			user, _ := a.keys["username"].(string)
			return a.login(user, v, at)
		},
		"source":     key("source_address"),
		"auth-login": func(string) string { a.keys["auth"] = []string{"LOGIN"}; return "" },
		"tls":        tls("implicit"), "ssl": tls("implicit"), "starttls": tls("starttls"),
		"x509certfile": key("client_cert"), "x509keyfile": key("client_key"),
		"x509cafile": func(v string) string {
			if v == "/etc/ssl/certs/ca-certificates.crt" {
				return ""
			}
			return a.keys.set("ca_file", v)
		},
		"x509crlfile": never("revocation lists are not read"), "x509fmtder": never("the files must be PEM"),
		"insecure":      func(string) string { a.keys["verify"] = false; return "" },
		"tls-anon-auth": never("the server needs a certificate; pin it with fingerprint"),
	}
}
