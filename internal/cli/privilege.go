package cli

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"postern/internal/config"
	"postern/internal/spool"
)

// Installed set-gid, this program reads a password that its caller must not see.
// So nothing of the caller's may choose what it reads, writes or trusts: not the
// environment (SSL_CERT_FILE, GODEBUG and TZ would), not -C, not -X. The Go
// runtime sees to descriptors 0 to 2 and to GOTRACEBACK when it is set-id.

// harden lets no core be written and nobody trace us: both would show the
// password. When the program has more rights than its caller it also forgets the
// caller's environment.
func (a *app) harden() {
	// It fails only in a sandbox that knows no such call.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	// Root gains nothing by the group.
	a.privileged = os.Getuid() != 0 && (os.Geteuid() != os.Getuid() || os.Getegid() != os.Getgid())
	if !a.privileged {
		return
	}
	a.forgotten = forget()
}

// forget empties the environment. Go's own libraries look into it: with
// SSL_CERT_FILE the caller could name an authority of his own and have the
// password sent to a server of his, and GODEBUG weakens TLS.
func forget() (before []string) {
	before = os.Environ()
	os.Clearenv()
	setenv("PATH=/usr/local/bin:/usr/bin:/bin") // for the programs that the configuration names
	return before
}

// setenv cannot fail for what was in an environment.
func setenv(pair string) {
	name, value, _ := strings.Cut(pair, "=")
	_ = os.Setenv(name, value)
}

// giveUpRights goes on as the caller alone: for options that let him choose
// files. What a set-gid program may read is out of reach from then on.
func (a *app) giveUpRights() error {
	if !a.privileged {
		return nil
	}
	gid, uid := os.Getgid(), os.Getuid()
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return err
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return err
	}
	if os.Getegid() != gid || os.Geteuid() != uid {
		return errors.New("the rights of the set-id program could not be given up")
	}
	a.privileged = false
	for _, pair := range a.forgotten {
		setenv(pair)
	}
	return nil
}

// choosesFiles reports options that let the caller name what is read or written.
func (o *options) choosesFiles() bool {
	return o.config != "" || o.trace != "" || o.mode == modeImport
}

// mayTouch keeps a caller who cannot reach the spool himself from the messages of
// others.
func (a *app) mayTouch(s *spool.Spool, e spool.Entry) error {
	if !a.privileged {
		return nil
	}
	state, err := s.Read(e)
	if err == nil && state.UID != os.Getuid() {
		err = errors.New("it is not yours")
	}
	return err
}

// tempDir is where a message over 1 MiB waits while it is read: the first of the
// usual places that can be written, which in a container may be none but the
// spool or shared memory.
func (a *app) tempDir(cfg *config.Config) string {
	first := os.TempDir()
	for _, dir := range []string{first, "/var/tmp", cfg.Spool.Dir, "/dev/shm"} {
		if strings.HasPrefix(dir, "/") && unix.Access(dir, unix.W_OK|unix.X_OK) == nil {
			return dir
		}
	}
	return first
}
