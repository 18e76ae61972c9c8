package config

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// SFTP says where a spool on another host is and how to log in there. Host is ""
// when the spool is on this host.
type SFTP struct {
	User        string
	Host        string // a name or an address without brackets
	Port        int
	Path        string   // absolute, or relative to the directory of the login
	KnownHosts  []string // files that hold the keys of hosts
	Identity    string   // file of the private key; "": the agent
	Certificate string   // file of its certificate; "": beside the key, if there is one
	Passphrase  Secret   // of the key
	Password    Secret   // for a login with one

	ConnectTimeout time.Duration
	CommandTimeout time.Duration // for each answer of the server

	passphrase, password secretKeys // in the file's words
}

// systemKnownHosts is OpenSSH's file for all users.
const systemKnownHosts = "/etc/ssh/ssh_known_hosts"

func sftpFields(s *Spool) []field {
	r := &s.SFTP
	return []field{
		{"fallback_dir", text(&s.FallbackDir, localDir)},
		{"known_hosts", words(&r.KnownHosts, pathName)},
		{"identity_file", text(&r.Identity, pathName)},
		{"passphrase_file", text(&r.passphrase.file, pathName)},
		{"certificate_file", text(&r.Certificate, pathName)},
		{"password_file", text(&r.password.file, pathName)},
		{"connect_timeout", span(&r.ConnectTimeout)},
		{"command_timeout", span(&r.CommandTimeout)},
	}
}

const sftpForm = `write "sftp://user@host/path" or "sftp://user@host:port/path"`

// parseSFTP takes sftp://user@host:port/path; /~/ begins a path below the
// directory of the login.
func parseSFTP(s string) (r SFTP, problem, hint string) {
	u, err := url.Parse(s)
	if err != nil { // its text would show a password
		return r, "is not a URL", sftpForm
	}
	if _, has := u.User.Password(); has {
		return r, "a password does not belong here", "write password_file, or better identity_file"
	}
	r = SFTP{User: u.User.Username(), Port: 22}
	var bad string
	if r.Host, bad, _ = server(strings.ToLower(u.Hostname())); bad != "" {
		return r, "has no good host name", sftpForm
	}
	switch {
	case r.User == "" || strings.ContainsFunc(r.User, isControl):
		return r, "names no user", sftpForm
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsFunc(u.Path, isControl):
		return r, "has more than a user, a host, a port and a path", sftpForm
	case path.Clean(u.Path) == "/" || u.Path == "":
		return r, "names no directory", sftpForm
	}
	if p := u.Port(); p != "" {
		if !validPort(p) {
			return r, "its port is not between 1 and 65535", ""
		}
		r.Port, _ = strconv.Atoi(p) // it is digits
	}
	r.Path = path.Clean(u.Path)
	if home, ok := strings.CutPrefix(r.Path, "/~/"); ok {
		r.Path = home
	}
	return r, "", ""
}

// completeSFTP puts the parts of dir where they belong, and finds keys that say
// nothing because the spool is on this host.
func (d *decoder) completeSFTP(s *settings) {
	r := &s.cfg.Spool.SFTP
	if !isRemote(s.cfg.Spool.Dir) {
		for _, key := range sftpFields(new(Spool)) {
			full := "spool." + key.name
			if _, given := d.lines[full]; given && !d.failed("spool.dir") && !d.failed(full) && s.cfg.Spool.Dir != "" {
				d.fault(full, "is for a spool on another host", `dir = "sftp://user@host/path" names one`)
			}
		}
		return
	}
	for key, file := range map[string]string{"spool.passphrase_file": r.passphrase.file, "spool.certificate_file": r.Certificate} {
		if file != "" && r.Identity == "" {
			d.fault(key, "stands without identity_file", "")
		}
	}
	dir := filepath.Dir(d.abs)
	for i := range r.KnownHosts {
		resolve(dir, &r.KnownHosts[i])
	}
	for key, file := range map[string]*string{"identity_file": &r.Identity, "certificate_file": &r.Certificate,
		"passphrase_file": &r.passphrase.file, "password_file": &r.password.file} {
		resolve(dir, file)
		full := "spool." + key
		if *file != "" && key != "certificate_file" {
			warnSecretFile(*file, Error{File: d.path, Line: d.lines[full], Key: full}, s.warning)
		}
	}
	r.Passphrase, r.Password = r.passphrase.secret(d, "spool.passphrase"), r.password.secret(d, "spool.password")
	r.complete(s.cfg.Spool.Dir, d.src)
}

// complete takes the parts of dir, which is good, and adds what ssh(1) takes if
// nothing else is said.
func (r *SFTP) complete(dir string, src Source) {
	where, _, _ := parseSFTP(dir)
	r.User, r.Host, r.Port, r.Path = where.User, where.Host, where.Port, where.Path
	if len(r.KnownHosts) > 0 {
		return
	}
	candidates := []string{systemKnownHosts}
	if home := src.home(); home != "" {
		candidates = append([]string{filepath.Join(home, ".ssh/known_hosts")}, candidates...)
	}
	for _, name := range candidates {
		if _, err := os.Stat(name); err == nil {
			r.KnownHosts = append(r.KnownHosts, name)
		}
	}
}

func isRemote(dir string) bool { return strings.HasPrefix(dir, "sftp://") }

// home is the user's directory, "" if there is none to look at.
func (src Source) home() string {
	if src.Privileged {
		return ""
	}
	home := src.env("HOME")
	if home == "" {
		home = src.Home
	}
	if !filepath.IsAbs(home) {
		return ""
	}
	return home
}
