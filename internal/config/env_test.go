package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnvironment(t *testing.T) {
	for _, row := range []struct{ target, want string }{ // tls user host port
		{"smtps://user@h.example:465", `implicit "user" h.example 465`},
		{"smtps://h.example", `implicit "" h.example 0`},
		{"SMTPS://h.example/", `implicit "" h.example 0`},
		{"smtp+starttls://h.example:587", `starttls "" h.example 587`},
		{"smtp://user@h.example:587", `starttls "user" h.example 587`},
		{"smtp://h.example", `auto "" h.example 0`},
		{"smtp://user%40d.example@h.example", `starttls "user@d.example" h.example 0`},
		{"smtp://a+b@h.example", `starttls "a+b" h.example 0`},
		{"h.example:25", `auto "" h.example 25`},
		{"h.example", `auto "" h.example 0`},
		{"u@h.example:587", `starttls "u" h.example 587`},
		{"192.0.2.1:25", `auto "" 192.0.2.1 25`},
		{"2001:db8::1", `auto "" 2001:db8::1 0`},
		{"[2001:db8::1]:25", `auto "" 2001:db8::1 25`},
		{"smtps://[2001:db8::1]:465", `implicit "" 2001:db8::1 465`},
	} {
		pairs := []string{"POSTERN_SMARTHOST", row.target}
		if strings.Contains(row.target, "@") {
			pairs = append(pairs, "POSTERN_PASSWORD", "pw")
		}
		c, err := Source{Getenv: env(pairs...)}.fromEnv()
		if err != nil {
			t.Errorf("%s: %v", row.target, err)
			continue
		}
		h := c.Smarthosts[0]
		got := fmt.Sprintf("%s %q %s %d", h.TLS, h.Username, strings.Join(h.Hosts, ","), h.Port)
		if got != row.want {
			t.Errorf("%s: got %s, want %s", row.target, got, row.want)
		}
		if c.Path != "" || !h.Verify || h.ConnectTimeout != defaultConnectTimeout || c.Timeout != defaultTimeout {
			t.Errorf("%s: the defaults are missing: %+v", row.target, c)
		}
	}
}

type envMistake struct {
	pairs []string
	want  string
}

func runEnvMistakes(t *testing.T, rows []envMistake) {
	t.Helper()
	for _, row := range rows {
		_, err := Source{Getenv: env(row.pairs...)}.fromEnv()
		if err == nil || err.Error() != row.want {
			t.Errorf("%q\n got %v\nwant %s", row.pairs, err, row.want)
		}
		if err != nil && strings.Contains(err.Error(), secretText) {
			t.Errorf("%q: the error shows the password", row.pairs)
		}
	}
}

func TestEnvironmentMistakes(t *testing.T) {
	const pw = secretText
	const forms = "write smtps://user@host:465, smtp://user@host:587 or host:port"
	const target = "POSTERN_SMARTHOST"
	runEnvMistakes(t, []envMistake{
		{[]string{target, "smtps://u:" + pw + "@h"},
			"POSTERN_SMARTHOST: a password does not belong here, where ps and logs show it; set POSTERN_PASSWORD_FILE or POSTERN_PASSWORD"},
		{[]string{target, "u:" + pw + "@h:587"},
			"POSTERN_SMARTHOST: a password does not belong here, where ps and logs show it; set POSTERN_PASSWORD_FILE or POSTERN_PASSWORD"},
		{[]string{target, "smtps://u:" + pw + "%zz@h"}, "POSTERN_SMARTHOST: is not a URL; " + forms + "; write %40 for an @ in the user's name"},
		{[]string{target, "smtps://h:99999"}, "POSTERN_SMARTHOST: its port 99999 is not between 1 and 65535"},
		{[]string{target, "h:0"}, "POSTERN_SMARTHOST: its port 0 is not between 1 and 65535"},
		{[]string{target, "https://h"}, "POSTERN_SMARTHOST: unknown scheme \"https\"; " + forms},
		{[]string{target, "smtp://h/path"}, "POSTERN_SMARTHOST: has more than a user, a host and a port; " + forms},
		{[]string{target, "smtp://h?x=1"}, "POSTERN_SMARTHOST: has more than a user, a host and a port; " + forms},
		{[]string{target, "smtp://:25"}, "POSTERN_SMARTHOST: has no good host name; " + forms},
		{[]string{target, "smtp://a%20b"}, "POSTERN_SMARTHOST: is not a URL; " + forms + "; write %40 for an @ in the user's name"},
		{[]string{target, "h\n"}, "POSTERN_SMARTHOST: holds a control character"},
	})
}

func TestEnvironmentUserMistakes(t *testing.T) {
	const pw = secretText
	const target = "POSTERN_SMARTHOST"
	runEnvMistakes(t, []envMistake{
		{[]string{target, "smtp://@h"}, "POSTERN_SMARTHOST: has no good user name before the @"},
		{[]string{target, "smtp://a%00@h", "POSTERN_PASSWORD", pw}, "POSTERN_SMARTHOST: has no good user name before the @"},
		{[]string{target, "smtp://u@h"},
			"POSTERN_SMARTHOST: names a user, but there is no password; set POSTERN_PASSWORD_FILE or POSTERN_PASSWORD"},
		{[]string{target, "h", "POSTERN_PASSWORD", pw},
			"POSTERN_PASSWORD: stands without a user; write smtp://user@host in POSTERN_SMARTHOST"},
		{[]string{target, "h", "POSTERN_PASSWORD_FILE", "/f"},
			"POSTERN_PASSWORD_FILE: stands without a user; write smtp://user@host in POSTERN_SMARTHOST"},
		{[]string{target, "smtp://u@h", "POSTERN_PASSWORD", pw, "POSTERN_PASSWORD_FILE", "/f"},
			"POSTERN_PASSWORD: contradicts POSTERN_PASSWORD_FILE; keep one of them"},
		{[]string{target, "smtp://u@h", "POSTERN_PASSWORD", pw + "\n"}, "POSTERN_PASSWORD: holds a control character"},
		{[]string{target, "h", "POSTERN_DOMAIN", "a b", "POSTERN_ALIASES", "aliases", "POSTERN_FROM", "@", "POSTERN_LOG", "jornal"},
			"POSTERN_ALIASES: is not a full path: \"aliases\"\n" +
				"POSTERN_DOMAIN: is not a host name: \"a b\"\n" +
				"POSTERN_FROM: is not an address: \"@\"; write \"user@example.com\"\n" +
				"POSTERN_LOG: bad value \"jornal\"; did you mean \"journal\"?"},
		{nil, "no smarthost.toml and no POSTERN_SMARTHOST"},
	})
}

func TestEnvironmentOthers(t *testing.T) {
	file := write(t, t.TempDir(), "pw", "from the file\n", 0o644)
	c, err := Load(Source{System: filepath.Join(t.TempDir(), "missing"), Getenv: env("POSTERN_SMARTHOST", "smtps://u@h",
		"POSTERN_PASSWORD_FILE", file, "POSTERN_DOMAIN", "d.example", "POSTERN_FROM", "a@d.example", "POSTERN_LOG", "/dev/null",
		"POSTERN_ALIASES", "/etc/aliases")})
	if err != nil {
		t.Fatal(err)
	}
	if c.Domain != "d.example" || c.Aliases != "/etc/aliases" || c.From != "a@d.example" || c.Log.To != "/dev/null" || c.Log.Format != "text" {
		t.Errorf("got %+v", c)
	}
	if pw, err := c.Smarthosts[0].Secret.Read(t.Context()); err != nil || pw != "from the file" {
		t.Errorf("Read gives %q, %v", pw, err)
	}
	want := "POSTERN_PASSWORD_FILE: everyone can read " + file + "; run: chmod o-r " + file
	if got := strings.Join(c.Warnings, "\n"); got != want {
		t.Errorf("warnings\n got %s\nwant %s", got, want)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	want = "POSTERN_PASSWORD_FILE: open " + file + ": no such file or directory"
	if _, err := c.Smarthosts[0].Secret.Read(t.Context()); err == nil || err.Error() != want {
		t.Errorf("Read gives %v, want %s", err, want)
	}
}
