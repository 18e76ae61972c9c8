package cli

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
	"postern/internal/config"
)

// wake sees to it that what is due goes out soon.
func (a *app) wake(cfg *config.Config) {
	if err := a.detach(cfg); err != nil {
		a.log.Warning("cannot start a queue run, the next one will do it: " + err.Error())
	}
}

// detach runs the queue in a process of its own, which outlives us and our
// caller's terminal, and keeps nothing of his open.
func (a *app) detach(cfg *config.Config) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"-q", "--due"}
	if cfg.Path != "" && !a.privileged { // who is, reads one file only
		path, err := filepath.Abs(cfg.Path) // it runs in another directory
		if err != nil {
			return err
		}
		args = append(args, "--config", path)
	}
	if a.privileged { // whatever the caller has put in the place of our name since
		program = "/proc/self/exe"
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	closeOnExec()
	// os/exec first tries, with a process made for that, how it could wait for what
	// it starts; nobody waits for this one.
	_, err = syscall.ForkExec(program, append([]string{"sendmail"}, args...), &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []uintptr{uintptr(null), uintptr(null), uintptr(null)},
		Sys: &syscall.SysProcAttr{Setsid: true}})
	return errors.Join(err, unix.Close(null))
}

// closeOnExec keeps what our caller left open, knowingly or not, to this process:
// a pipe would never end for who reads it, and a port stay taken.
func closeOnExec() {
	const first = 3
	if unix.CloseRange(first, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil { // since Linux 5.11
		return
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // not on every system
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= first {
			unix.CloseOnExec(fd)
		}
	}
}
