package config

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"time"
)

const (
	commandTime = 10 * time.Second
	// commandGrace is for what the command started and left behind with its
	// pipes.
	commandGrace = time.Second
	maxStderr    = 4 << 10
)

var errTooLong = errors.New("its output is longer than 64 KiB")

// readCommand gives the first line that the command prints.
func (s *secretSource) readCommand(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandTime, errors.New("it took longer than 10s"))
	defer cancel()
	cmd := exec.CommandContext(ctx, s.command[0], s.command[1:]...)
	cmd.WaitDelay = commandGrace
	if s.cleanup {
		cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	}
	stdout := &limited{max: maxSecret, err: errTooLong}
	stderr := &limited{max: maxStderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	switch {
	case stdout.full:
		err = errTooLong
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil
	}
	if err != nil {
		said := printable(stderr.buf.String())
		if s.cleanup { // our caller must not see what the program knows
			said = ""
		}
		if said != "" {
			said = ": " + said
		}
		return "", s.fail("%s: %v%s", s.command[0], err, said)
	}
	line, _, _ := bytes.Cut(stdout.buf.Bytes(), []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r"))), nil
}

// limited keeps the first octets written to it. Beyond them it fails with err,
// or swallows what comes when err is nil.
type limited struct {
	buf  bytes.Buffer
	max  int
	err  error
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	room := l.max - l.buf.Len()
	if len(p) <= room {
		return l.buf.Write(p)
	}
	l.full = true
	l.buf.Write(p[:room])
	return len(p), l.err
}
