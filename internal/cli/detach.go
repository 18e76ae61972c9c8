package cli

import (
	"os"
	"os/exec"
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
		args = append(args, "--config", cfg.Path)
	}
	if a.privileged { // whatever the caller has put in the place of our name since
		program = "/proc/self/exe"
	}
	closeOnExec()
	cmd := exec.Command(program, args...) // its standard files are /dev/null
	cmd.Args[0] = "sendmail"
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// closeOnExec keeps what our caller left open, knowingly or not, to this process:
// a pipe would never end for who reads it, and a port stay taken.
func closeOnExec() {
	const first = 3
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
