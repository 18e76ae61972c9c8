package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a file below dir with its directories.
func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func hostFile(host string) string { return "[smarthost]\nhost = \"" + host + "\"\n" }

func TestSearchOrder(t *testing.T) {
	dir := t.TempDir()
	explicit := write(t, dir, "explicit.toml", hostFile("explicit"), 0o600)
	named := write(t, dir, "named.toml", hostFile("named"), 0o600)
	write(t, dir, "xdg/postern/smarthost.toml", hostFile("xdg"), 0o600)
	write(t, dir, "home/.config/postern/smarthost.toml", hostFile("home"), 0o600)
	write(t, dir, "passwd/.config/postern/smarthost.toml", hostFile("passwd"), 0o600)
	system := write(t, dir, "etc/smarthost.toml", hostFile("system"), 0o644)
	write(t, dir, "blocked", "", 0o600)
	xdg, home, missing := filepath.Join(dir, "xdg"), filepath.Join(dir, "home"), filepath.Join(dir, "missing")
	all := env("POSTERN_CONFIG", named, "XDG_CONFIG_HOME", xdg, "HOME", home, "POSTERN_SMARTHOST", "smtp://variable")
	for _, row := range []struct {
		name string
		src  Source
		want string
	}{
		{"explicit first", Source{Explicit: explicit, Getenv: all, System: system}, "explicit"},
		{"POSTERN_CONFIG second", Source{Getenv: all, System: system}, "named"},
		{"XDG third", Source{Getenv: env("XDG_CONFIG_HOME", xdg, "HOME", home), System: system}, "xdg"},
		{"home without XDG", Source{Getenv: env("HOME", home), System: system}, "home"},
		{"relative XDG does not count", Source{Getenv: env("XDG_CONFIG_HOME", "xdg", "HOME", home), System: system}, "home"},
		{"home of the account", Source{Home: filepath.Join(dir, "passwd"), System: system}, "passwd"},
		{"HOME before it", Source{Getenv: env("HOME", home), Home: filepath.Join(dir, "passwd"), System: system}, "home"},
		{"XDG hides home", Source{Getenv: env("XDG_CONFIG_HOME", missing, "HOME", home), System: system}, "system"},
		{"home is a file", Source{Getenv: env("HOME", filepath.Join(dir, "blocked")), System: system}, "system"},
		{"system last", Source{System: system}, "system"},
		{"a file wins over variables", Source{Getenv: env("POSTERN_SMARTHOST", "smtp://variable"), System: system}, "system"},
		{"variables without a file", Source{Getenv: env("POSTERN_SMARTHOST", "smtp://variable"), System: missing}, "variable"},
		{"privileged: only the system's", Source{Getenv: all, Home: home, Privileged: true, System: system}, "system"},
	} {
		c, err := Load(row.src)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		} else if got := strings.Join(c.Smarthosts[0].Hosts, " "); got != row.want {
			t.Errorf("%s: read the file of %q, want %q", row.name, got, row.want)
		}
	}
}

func TestPrivilegedWithoutFile(t *testing.T) {
	dir := t.TempDir()
	named := write(t, dir, ".config/postern/smarthost.toml", hostFile("named"), 0o600)
	_, err := Load(Source{Getenv: env("POSTERN_CONFIG", named, "HOME", dir, "POSTERN_SMARTHOST", "smtp://variable"),
		Home: dir, Privileged: true, System: filepath.Join(dir, "missing")})
	if !errors.Is(err, ErrNoConfig) {
		t.Errorf("got %v, want ErrNoConfig: the caller must not choose the server", err)
	}
}

func TestFileWinsWholly(t *testing.T) {
	system := write(t, t.TempDir(), "s.toml", hostFile("h"), 0o600)
	c, err := Load(Source{System: system, Getenv: env("POSTERN_DOMAIN", "d", "POSTERN_FROM", "f", "POSTERN_LOG", "none",
		"POSTERN_PASSWORD", "p")})
	if err != nil {
		t.Fatal(err)
	}
	if c.Domain != "" || c.From != "" || c.Log.To != "syslog" || c.Smarthosts[0].Secret.IsSet() {
		t.Errorf("a variable changed what the file says: %+v", c)
	}
}

func TestLoadFailures(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.toml")
	system := write(t, dir, "s.toml", hostFile("h"), 0o600)
	long := write(t, dir, "long.toml", strings.Repeat("#", maxFile+1), 0o600)
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		src  Source
		want string
	}{
		{"explicit missing", Source{Explicit: missing, System: system}, missing + ": does not exist; it was named by -C or --config"},
		{"POSTERN_CONFIG missing", Source{Getenv: env("POSTERN_CONFIG", missing), System: system},
			missing + ": does not exist; it was named by POSTERN_CONFIG"},
		{"directory", Source{Explicit: dir}, dir + ": is a directory"},
		{"too long", Source{Explicit: long}, long + ": is longer than 64 KiB"},
		{"unreadable system file", Source{System: loop}, loop + ": cannot be read: too many levels of symbolic links"},
		{"privileged with a file", Source{Explicit: system, Privileged: true},
			system + ": another file cannot be chosen when running with more rights than the caller"},
		{"nothing", Source{System: missing}, "no smarthost.toml and no POSTERN_SMARTHOST"},
	} {
		_, err := Load(row.src)
		if err == nil || err.Error() != row.want {
			t.Errorf("%s\n got %v\nwant %s", row.name, err, row.want)
		}
	}
	if n := strings.Count(Hint(), "\n"); n != 3 || !strings.Contains(Hint(), SystemPath) {
		t.Errorf("Hint has %d lines: %q", n, Hint())
	}
	if _, err := Load(Source{Explicit: write(t, dir, "hint.toml", Hint()[strings.Index(Hint(), "\n"):], 0o600)}); err != nil {
		t.Errorf("the file of the hint is not good: %v", err)
	}
}

func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	system := write(t, dir, "s.toml", hostFile("h"), 0)
	const tail = ": cannot be read: permission denied; make it readable for the user that sends, or choose another with POSTERN_CONFIG"
	if _, err := Load(Source{System: system}); err == nil || err.Error() != system+tail {
		t.Errorf("unreadable file: got %v, want %s", err, system+tail)
	}
	own := write(t, dir, "home/.config/postern/smarthost.toml", hostFile("home"), 0)
	good := write(t, dir, "good.toml", hostFile("h"), 0o600)
	home := filepath.Join(dir, "home")
	if _, err := Load(Source{Home: home, System: good}); err == nil || err.Error() != own+tail {
		t.Errorf("unreadable file of the user: got %v, want %s", err, own+tail)
	}
	if err := os.Chmod(home, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(home, 0o700) })
	if _, err := Load(Source{Home: home, System: good}); err != nil {
		t.Errorf("somebody else's HOME must be skipped, got %v", err)
	}
}

func TestPrivileged(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"relative program", where + "connect_command = [\"ssh\"]\n", 0o600,
			"FILE:3: smarthost.connect_command: the program must be given by its full path when running with more rights than the caller"},
		{"relative password program", where + "username = \"u\"\npassword_command = [\"./pass\"]\n", 0o600,
			"FILE:4: smarthost.password_command: the program must be given by its full path when running with more rights than the caller"},
		{"anyone writes", where, 0o602, "FILE: anyone can write this file; run: chmod o-w FILE"},
	} {
		system := write(t, dir, row.name, row.text, row.mode)
		_, err := Load(Source{Privileged: true, System: system})
		if want := strings.ReplaceAll(row.want, "FILE", system); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", row.name, err, want)
		}
	}
	system := write(t, dir, "env", where+"username = \"u\"\npassword_env = \"PW\"\n", 0o600)
	c, err := Load(Source{Privileged: true, System: system, Getenv: env("PW", "from the caller")})
	if err != nil {
		t.Fatal(err)
	}
	want := system + ":4: smarthost.password_env: the environment is not used when running with more rights than the caller"
	if _, err := c.Smarthosts[0].Secret.Read(t.Context()); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	open := write(t, dir, "open", "pw\n", 0o604)
	closed := write(t, dir, "closed", "pw\n", 0o640)
	const user = where + "username = \"u\"\n"
	for i, row := range []struct {
		text string
		mode os.FileMode
		want string // "" for none
	}{
		{user + "password = \"p\"\n", 0o644, "FILE: everyone can read the password in this file; run: chmod o-r FILE"},
		{user + "password = \"p\"\n", 0o640, ""},
		{where, 0o644, ""},
		{where + "proxy = \"socks5://u:p@h:1\"\n", 0o604, "FILE: everyone can read the password in this file; run: chmod o-r FILE"},
		{where + "proxy = \"socks5://h:1\"\n", 0o604, ""},
		{where + "verify = false\n", 0o600,
			"FILE:3: smarthost.verify: the server's certificate is not checked; ca_file or fingerprint would be safer"},
		{where + "verify = false\nfingerprint = \"" + strings.Repeat("0", 64) + "\"\n", 0o600, ""},
		{where, 0o602, "FILE: anyone can write this file; run: chmod o-w FILE"},
		{user + "password_file = \"open\"\n", 0o600, "FILE:4: smarthost.password_file: everyone can read " + open + "; run: chmod o-r " + open},
		{user + "token_file = \"" + open + "\"\n", 0o600, "FILE:4: smarthost.token_file: everyone can read " + open + "; run: chmod o-r " + open},
		{user + "password_file = \"" + closed + "\"\n", 0o600, ""},
		{user + "password_file = \"missing\"\n", 0o600, ""},
	} {
		path := write(t, dir, "w.toml", row.text, row.mode)
		c, err := Load(Source{Explicit: path})
		if err != nil {
			t.Errorf("row %d: %v", i, err)
			continue
		}
		if got, want := strings.Join(c.Warnings, "\n"), strings.ReplaceAll(row.want, "FILE", path); got != want {
			t.Errorf("row %d\n got %s\nwant %s", i, got, want)
		}
	}
}
