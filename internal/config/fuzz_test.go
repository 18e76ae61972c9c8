package config

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzLoad puts a password between two arbitrary texts, as it should be and
// without its quotes. Whatever they are, nothing panics, no error, warning or
// printed configuration shows the password, and what is accepted is complete.
func FuzzLoad(f *testing.F) {
	for _, seed := range [][2]string{
		{where + "username = \"u\"", "port = 25"},
		{"", ""},
		{where, "port = \"25\"\nprot = 1\n[log]\nto = \"x\""},
		{where + "auth = [", "]"},
		{where + "ca_file = \"\"\"", "\"\"\""},
		{where + "ca_file = \"\"\"\\", "\"\"\""},
		{"[[smarthost]]", "[[smarthost]]\n[smarthost.x]\na.b.c = {d = 1}"},
		{"smarthost.host = [\"a\", 1]", "smarthost.timeout = 1d\n\xff"},
		{where + "proxy = \"socks5://u:p@h:1\"\nconnect_timeout = \"5d\"", "fingerprint = \"ab\""},
		{"[smarthost]\nhost = [\"a\\u0000\"]", "\"\\u001b\" = 1e9"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const password = "Zq9hiddenZq9"
		if strings.Contains(strings.ToLower(before+after), "zq9") {
			t.Skip()
		}
		for _, form := range []string{`"` + password + `"`, password, "'" + password, "\"\"\"\n" + password} {
			text := before + "\npassword = " + form + "\n" + after
			c, err := Source{}.parse("/f", text, 0o604)
			if (c == nil) == (err == nil) {
				t.Fatalf("neither or both: %v, %v", c, err)
			}
			said := fmt.Sprintf("%v %v", c, err)
			if c != nil {
				said = fmt.Sprintf("%+v %#v %q %+v %#v", *c, *c, c.Warnings, *c.Smarthosts[0], *c.Smarthosts[0])
			}
			if strings.Contains(said, password) {
				t.Fatalf("the password is shown: %s", said)
			}
			if c != nil && (c.Timeout <= 0 || c.Smarthosts[0].ConnectTimeout <= 0 || c.Smarthosts[0].TLS == "") {
				t.Fatalf("a default is missing: %+v", c)
			}
		}
	})
}

// FuzzEnvironment does the same for the URL.
func FuzzEnvironment(f *testing.F) {
	for _, seed := range []string{"smtps://u:Zq9hiddenZq9@h:465", "h:25", "::1", "smtp://u%40d@[::1]:25/", "smtp://u:Zq9hiddenZq9@h%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		const password = "Zq9hiddenZq9"
		c, err := Source{Getenv: env("POSTERN_SMARTHOST", target, "POSTERN_PASSWORD", "p")}.fromEnv()
		if (c == nil) == (err == nil) {
			t.Fatalf("neither or both: %v, %v", c, err)
		}
		_, user, hasUser := strings.Cut(target, "://")
		if _, pw, ok := strings.Cut(user, ":"); hasUser && ok && strings.HasPrefix(pw, password+"@") &&
			strings.Contains(fmt.Sprintf("%+v %v", c, err), password) {
			t.Fatalf("the password is shown: %+v %v", c, err)
		}
		if c != nil && (len(c.Smarthosts[0].Hosts) != 1 || c.Smarthosts[0].Hosts[0] == "" || c.Smarthosts[0].Username == "") {
			t.Fatalf("accepted without a host or a user: %+v", c)
		}
	})
}
