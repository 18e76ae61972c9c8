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
	reach := func() error { return writableDir(dir) }
	if cfg.Spool.SFTP.Host != "" {
		reach = func() error { return a.reachSpool(cfg, r) }
	}
	if err := reach(); err != nil {
		a.step("spool", "FAILED: %s", strings.TrimPrefix(err.Error(), "spool: "))
		a.say("check [spool] in %s; until then mail is sent without keeping it", whence(cfg))
		return exCantCreate
	}
	a.step("spool", "%s", dir)
	return exOK
}

// reachSpool looks into a spool on another host.
func (a *app) reachSpool(cfg *config.Config, r *relay.Relay) error {
	q, err := a.queue(cfg, r)
	if err != nil {
		return err
	}
	_, _, err = q.Spool.List("queue")
	return err
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
