package cli

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"postern/internal/config"
	"postern/internal/headers"
)

// person is who calls us.
type person struct {
	login    string
	fullName string // from the account's GECOS field
}

// caller looks the user up. An account without a name, as in containers that
// run under any uid, is called by $LOGNAME or its number.
func (a *app) caller() person {
	who, known := personOf(os.Getuid())
	if name := a.getenv("LOGNAME"); !known && !a.privileged && isLogin(name) {
		return person{login: name}
	}
	return who
}

// personOf looks an account up.
func personOf(uid int) (who person, known bool) {
	login, gecos := account(uid)
	if login == "" {
		return person{login: "uid" + strconv.Itoa(uid)}, false
	}
	name, _, _ := strings.Cut(gecos, ",")
	return person{login: login, fullName: strings.ReplaceAll(name, "&", capital(login))}, true
}

// account is what passwd(5) has for a uid. It is where os/user looks in a static
// program, but os/user believes $USER about a uid that is not there.
func account(uid int) (login, gecos string) {
	text, err := contents("/etc/passwd", 16<<20)
	if err != nil {
		return "", ""
	}
	return accountIn(text, uid)
}

func accountIn(passwd []byte, uid int) (login, gecos string) {
	id := strconv.Itoa(uid)
	for line := range bytes.Lines(passwd) {
		field := strings.Split(strings.TrimSpace(string(line)), ":")
		if len(field) >= 6 && field[2] == id && field[0] != "" && !strings.ContainsRune("#+-", rune(field[0][0])) {
			return field[0], field[4]
		}
	}
	return "", ""
}

// capital is a login name as GECOS "&" stands for it.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func isLogin(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// mailDomain is what names without a domain get: the configured one, the first
// word of /etc/mailname, or this host's full name.
//
// The submission service gives names its own domain, so there they get none.
func mailDomain(cfg *config.Config, host string) string {
	if cfg.HandOver {
		return ""
	}
	if cfg.Domain != "" {
		return cfg.Domain
	}
	if text, err := contents("/etc/mailname", 1000); err == nil {
		if words := strings.Fields(string(text)); len(words) > 0 {
			if d, err := headers.ToASCII(words[0]); err == nil {
				return d
			}
		}
	}
	return host
}

// fullHostname is the host's name with its domain, as /etc/hosts has it. DNS is
// not asked: it may keep us waiting.
func fullHostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	if strings.Contains(name, ".") {
		return name
	}
	text, err := contents("/etc/hosts", 16<<20)
	if err != nil {
		return name
	}
	return fullNameIn(text, name)
}

// fullNameIn finds the first name with a domain on the line of hosts that has
// name.
func fullNameIn(hosts []byte, name string) string {
	lines := bufio.NewScanner(bytes.NewReader(hosts))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		for _, w := range words[min(1, len(words)):] {
			if w != name {
				continue
			}
			for _, full := range words[1:] {
				if strings.HasPrefix(full, name+".") {
					return full
				}
			}
		}
	}
	return name
}

// random gives n random bits, a multiple of 5, as lower-case letters and digits.
// They are to be unique, not secret: the runtime's generator, which the kernel
// seeds for each process, is at hand without a system call.
func random(n int) string {
	out := make([]byte, n/5)
	for i := range out {
		out[i] = "0123456789abcdefghijklmnopqrstuv"[rand.Uint32()>>27]
	}
	return string(out)
}
