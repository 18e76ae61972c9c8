package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startTime is how long a service may take to be ready.
const startTime = 30 * time.Second

// detachService is -bd: it starts -bD in a session of its own and returns when
// that is ready, as it would tell a service manager. What goes wrong until then is
// said here.
func (a *app) detachService(ctx context.Context, o *options) int {
	dir, err := os.MkdirTemp("", "postern-")
	if err != nil {
		return a.fail(exOSErr, err)
	}
	defer os.RemoveAll(dir)
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "ready"), Net: "unixgram"})
	if err != nil {
		return a.fail(exOSErr, err)
	}
	defer ready.Close()
	cmd, err := serviceCommand(o, ready.LocalAddr().String())
	if err != nil {
		return a.fail(exOSErr, err)
	}
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return a.fail(exOSErr, fmt.Errorf("cannot start the service: %w", err))
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(a.err, stderr) // nobody else could be told
	}()
	up := make(chan struct{})
	go func() {
		if isReady(ready) {
			close(up)
		}
	}()
	select {
	case <-up:
		return exOK
	case <-ended:
	case <-ctx.Done():
	case <-time.After(startTime):
		a.say("the service is not ready after %s", startTime)
	}
	// It may have ended by itself.
	_ = cmd.Process.Signal(syscall.SIGTERM)
	return statusOfChild(cmd.Wait())
}

// serviceCommand is the command line for what was asked of us.
func serviceCommand(o *options, notify string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-bD"}
	if o.config != "" {
		path, err := filepath.Abs(o.config)
		if err != nil {
			return nil, err
		}
		args = append(args, "--config", path)
	}
	if o.logTag != "" {
		args = append(args, "-L", o.logTag)
	}
	if o.interval > 0 {
		args = append(args, fmt.Sprintf("-q%ds", int(o.interval.Seconds())))
	}
	closeOnExec()
	cmd := exec.Command(program, args...) // standard input and output are /dev/null
	cmd.Args[0] = "sendmail"
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

// isReady waits for READY=1.
func isReady(c *net.UnixConn) bool {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return false
		}
		for line := range strings.SplitSeq(string(buf[:n]), "\n") {
			if line == "READY=1" {
				return true
			}
		}
	}
}

// statusOfChild is the status that a service which did not start ended with.
func statusOfChild(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	return exSoftware
}
