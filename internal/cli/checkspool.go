package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"postern/internal/config"
	"postern/internal/relay"
)

// checkSpool says whether mail can be kept. On this host it makes nothing: what
// root makes while trying would not be for others to write in.
func (a *app) checkSpool(cfg *config.Config, r *relay.Relay) int {
	if cfg.HandOver { // the service has one
		return exOK
	}
	dir := cfg.Spool.Dir
	if dir == "" {
		a.step("spool", "none, what is not taken now is the caller's to try again")
		return exOK
	}
	var weaker []string
	reach := func() error { return writableDir(dir) }
	if cfg.Spool.SFTP.Host != "" {
		reach = func() (err error) { weaker, err = a.reachSpool(cfg, r); return err }
	}
	status := exOK
	if err := reach(); err != nil {
		a.spoolFailed("spool", err)
		a.say("check [spool] in %s; until then mail is sent without keeping it", whence(cfg))
		status = exCantCreate
	} else {
		a.step("spool", "%s", dir)
	}
	for _, w := range weaker {
		a.step("spool", "weaker there: %s", w)
	}
	return worse(status, a.checkFallback(cfg))
}

// checkFallback says whether mail can be kept while the other host is away.
func (a *app) checkFallback(cfg *config.Config) int {
	dir := cfg.Spool.FallbackDir
	if dir == "" {
		return exOK
	}
	if err := writableDir(dir); err != nil {
		a.spoolFailed("fallback", err)
		return exCantCreate
	}
	a.step("fallback", "%s", dir)
	return exOK
}

// reachSpool writes into a spool on another host, takes that back, and gives what
// the server there cannot promise.
func (a *app) reachSpool(cfg *config.Config, r *relay.Relay) (weaker []string, err error) {
	q, err := a.queue(cfg, r)
	if err != nil {
		return nil, err
	}
	if err := q.Spool.Probe(); err != nil {
		return nil, err
	}
	return q.Spool.Weaker()
}

// spoolFailed tells of an error that may have several lines, the last of them to
// be copied into known_hosts.
func (a *app) spoolFailed(name string, err error) {
	for line := range strings.Lines("FAILED: " + strings.TrimPrefix(err.Error(), "spool: ")) {
		a.step(name, "%s", escape(strings.TrimSuffix(line, "\n")))
	}
}

// writableDir reports a directory that the process cannot write in, or, if it is
// not there, make.
func writableDir(dir string) error {
	err := unix.Faccessat(unix.AT_FDCWD, dir+"/.", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) {
		if err = unix.Faccessat(unix.AT_FDCWD, parent, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			dir = parent
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}
