package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const remoteSpool = where + "[spool]\ndir = \"sftp://mail@spool.example/var/mail\"\n"

func TestSFTPAddress(t *testing.T) {
	for _, row := range []struct {
		dir  string
		want SFTP
		why  string
	}{
		{"sftp://mail@Spool.example/var/mail", SFTP{User: "mail", Host: "spool.example", Port: 22, Path: "/var/mail"}, "the usual one; known_hosts has lower case"},
		{"sftp://mail@spool.example:2222/a/../b/", SFTP{User: "mail", Host: "spool.example", Port: 2222, Path: "/b"}, "a port, and a path to clean"},
		{"sftp://mail@[2001:db8::1]:22/spool", SFTP{User: "mail", Host: "2001:db8::1", Port: 22, Path: "/spool"}, "an address of IPv6"},
		{"sftp://mail@[::1]/spool", SFTP{User: "mail", Host: "::1", Port: 22, Path: "/spool"}, "without a port"},
		{"sftp://m%40x@h.example/~/spool", SFTP{User: "m@x", Host: "h.example", Port: 22, Path: "spool"}, "an @ in the user; below the home directory"},
	} {
		c, err := Source{}.parse("/f", where+"[spool]\ndir = \""+row.dir+"\"\nknown_hosts = \"k\"\n", 0o600)
		if err != nil {
			t.Errorf("%s: %v", row.dir, err)
			continue
		}
		row.want.KnownHosts = []string{"/k"}
		row.want.ConnectTimeout, row.want.CommandTimeout = defaultSpool().SFTP.ConnectTimeout, defaultSpool().SFTP.CommandTimeout
		if !reflect.DeepEqual(c.Spool.SFTP, row.want) {
			t.Errorf("%s: %s\n got %+v\nwant %+v", row.dir, row.why, c.Spool.SFTP, row.want)
		}
	}
}

func TestSFTPMistakes(t *testing.T) {
	dir := func(s string) string { return where + "[spool]\ndir = \"" + s + "\"\n" }
	const form = `; write "sftp://user@host/path" or "sftp://user@host:port/path"`
	runMistakes(t, []mistake{
		{"password", dir("sftp://u:secret@h/x"), "FILE:4: spool.dir: a password does not belong here; write password_file, or better identity_file",
			"it would be in error messages"},
		{"badPassword", dir("sftp://u:sec%ret@h/x"), "FILE:4: spool.dir: is not a URL" + form, "nor in this one"},
		{"noUser", dir("sftp://h/x"), "FILE:4: spool.dir: names no user" + form, "the user of cron is not the user of the spool"},
		{"noPath", dir("sftp://u@h"), "FILE:4: spool.dir: names no directory" + form, "the root of a server is no spool"},
		{"root", dir("sftp://u@h/"), "FILE:4: spool.dir: names no directory" + form, "the same"},
		{"noHost", dir("sftp://u@/x"), "FILE:4: spool.dir: has no good host name" + form, "nowhere"},
		{"port", dir("sftp://u@h:99999/x"), "FILE:4: spool.dir: its port is not between 1 and 65535", "no such port"},
		{"portZero", dir("sftp://u@h:022/x"), "FILE:4: spool.dir: its port is not between 1 and 65535", "it may be meant octal"},
		{"query", dir("sftp://u@h/x?y"), "FILE:4: spool.dir: has more than a user, a host, a port and a path" + form, "it would be left out"},
		{"control", dir("sftp://u@h/x%0a"), "FILE:4: spool.dir: has more than a user, a host, a port and a path" + form, "a name of two lines"},
		{"controlUser", dir("sftp://u%0d@h/x"), "FILE:4: spool.dir: names no user" + form, "the same for the login"},
		{"local", where + "[spool]\ndir = \"/x\"\nidentity_file = \"k\"\n",
			`FILE:5: spool.identity_file: is for a spool on another host; dir = "sftp://user@host/path" names one`, "the key would not be used"},
		{"fallbackRemote", remoteSpool + "fallback_dir = \"sftp://u@h/x\"\n",
			`FILE:5: spool.fallback_dir: is not the full path of a directory: "sftp://u@h/x"`, "it is for when no host answers"},
		{"passphraseAlone", remoteSpool + "passphrase_file = \"p\"\n", "FILE:5: spool.passphrase_file: stands without identity_file", "of what?"},
		{"certificateAlone", remoteSpool + "certificate_file = \"p\"\n", "FILE:5: spool.certificate_file: stands without identity_file", "of what?"},
	})
}

func TestSFTPFiles(t *testing.T) {
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	known := write(t, home, ".ssh/known_hosts", "", 0o600)
	key := write(t, dir, "key", "", 0o644)
	path := write(t, dir, "smarthost.toml", remoteSpool+"identity_file = \"key\"\npassphrase_file = \"phrase\"\npassword_file = \"/pw\"\n", 0o600)
	c, err := Load(Source{Explicit: path, Getenv: env("HOME", home)})
	if err != nil {
		t.Fatal(err)
	}
	r := c.Spool.SFTP
	if r.Identity != key || !r.Passphrase.IsSet() || !r.Password.IsSet() {
		t.Errorf("%+v", r)
	}
	if !slices.Contains(r.KnownHosts, known) {
		t.Errorf("known_hosts of the user: %q", r.KnownHosts)
	}
	if all := strings.Join(c.Warnings, "\n"); !strings.Contains(all, "everyone can read "+key) {
		t.Errorf("no warning of a key that all can read: %s", all)
	}
	if _, err := os.Stat(systemKnownHosts); err == nil && !slices.Contains(r.KnownHosts, systemKnownHosts) {
		t.Error("the system's file is missing")
	}
	c, err = Load(Source{Getenv: env("POSTERN_SMARTHOST", "h.example", "POSTERN_SPOOL", "sftp://u@h.example/x",
		"POSTERN_SPOOL_KNOWN_HOSTS", "/k", "POSTERN_SPOOL_IDENTITY_FILE", "/i"), System: filepath.Join(dir, "none")})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Spool.SFTP; r.Host != "h.example" || r.Identity != "/i" || !slices.Equal(r.KnownHosts, []string{"/k"}) {
		t.Errorf("from the environment: %+v", r)
	}
}
