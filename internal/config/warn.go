package config

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// warning notes what is allowed and unwise.
func (s *settings) warning(e Error) { s.cfg.Warnings = append(s.cfg.Warnings, e.Error()) }

// warnReports looks for a spool whose notifications have no way out.
func (d *decoder) warnReports(s *settings) {
	if s.cfg.Spool.Dir != "" && !slices.ContainsFunc(s.cfg.Smarthosts, func(h *Smarthost) bool { return h.TakesSender("") }) {
		s.warning(Error{File: d.path, Msg: "no smarthost takes notifications of failure, whose sender is <>",
			Hint: `add "<>" to the senders of one`})
	}
}

// writable reports a file that anyone can write.
func (d *decoder) writable() bool { return d.mode.IsRegular() && d.mode.Perm()&0o002 != 0 }

func (d *decoder) warnFile(s *settings) {
	if d.writable() {
		s.warning(Error{File: d.path, Msg: "anyone can write this file", Hint: "run: chmod o-w " + d.path})
	}
}

func (d *decoder) warnSmarthost(s *settings, h *hostSettings) {
	open := Error{File: d.path, Msg: "everyone can read the password in this file", Hint: "run: chmod o-r " + d.path}
	if d.mode.IsRegular() && d.mode.Perm()&0o004 != 0 && (h.password.literal != "" || proxyPassword(h.Smarthost.Proxy)) &&
		!slices.Contains(s.cfg.Warnings, open.Error()) {
		s.warning(open)
	}
	if !h.Smarthost.Verify && len(h.Smarthost.Fingerprints) == 0 && h.Smarthost.TLS != "none" {
		key := "smarthost.verify"
		s.warning(Error{File: d.path, Line: d.lines[key], Key: key,
			Msg: "the server's certificate is not checked", Hint: "ca_file or fingerprint would be safer"})
	}
	for key, file := range map[string]string{
		"smarthost.password_file": h.password.file,
		"smarthost.token_file":    h.token.file,
	} {
		if file != "" {
			warnSecretFile(file, Error{File: d.path, Line: d.lines[key], Key: key}, s.warning)
		}
	}
}

// warnSecretFile says nothing of a file that cannot be seen: whether it is
// needed is for Secret.Read to say.
func warnSecretFile(name string, where Error, add func(Error)) {
	if engineSecret(name) {
		return
	}
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || !readableByOthers(info) {
		return
	}
	where.Msg = fmt.Sprintf("everyone can read %s", name)
	where.Hint = "run: chmod o-r " + name
	add(where)
}

// engineSecret tells a file that a container engine gave: all in the container may
// read it, and nobody else sees it.
func engineSecret(name string) bool {
	return strings.HasPrefix(filepath.Clean(name), "/run/secrets/")
}

func proxyPassword(proxy string) bool {
	if !strings.Contains(proxy, "@") {
		return false
	}
	u, err := url.Parse(proxy)
	if err != nil || u.User == nil {
		return false
	}
	_, has := u.User.Password()
	return has
}
