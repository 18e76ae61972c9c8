package config

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
)

// warn notes what is allowed and unwise.
func (d *decoder) warn(s *settings, mode fs.FileMode) {
	h := &s.cfg.Smarthost
	add := func(e Error) { s.cfg.Warnings = append(s.cfg.Warnings, e.Error()) }
	if mode.IsRegular() && mode.Perm()&0o002 != 0 {
		add(Error{File: d.path, Msg: "anyone can write this file", Hint: "run: chmod o-w " + d.path})
	}
	if mode.IsRegular() && mode.Perm()&0o004 != 0 && (s.password.literal != "" || proxyPassword(h.Proxy)) {
		add(Error{File: d.path, Msg: "everyone can read the password in this file", Hint: "run: chmod o-r " + d.path})
	}
	if !h.Verify && len(h.Fingerprints) == 0 && h.TLS != "none" {
		key := "smarthost.verify"
		add(Error{File: d.path, Line: d.lines[key], Key: key,
			Msg: "the server's certificate is not checked", Hint: "ca_file or fingerprint would be safer"})
	}
	for key, file := range map[string]string{
		"smarthost.password_file": s.password.file,
		"smarthost.token_file":    s.token.file,
	} {
		if file != "" {
			warnSecretFile(file, Error{File: d.path, Line: d.lines[key], Key: key}, add)
		}
	}
}

// warnSecretFile says nothing of a file that cannot be seen: whether it is
// needed is for Secret.Read to say.
func warnSecretFile(name string, where Error, add func(Error)) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || !readableByOthers(info) {
		return
	}
	where.Msg = fmt.Sprintf("everyone can read %s", name)
	where.Hint = "run: chmod o-r " + name
	add(where)
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
