package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"postern/internal/config"
)

// handOver is the configuration for a user who may not read the system's file: the
// submission service sends for him. It is nil where err is another matter; hint
// says what to do if the service is not there.
func (a *app) handOver(o *options, err error) (cfg *config.Config, hint string) {
	if a.privileged || o.config != "" {
		return nil, ""
	}
	if socket := a.getenv("POSTERN_SOCKET"); socket != "" && errors.Is(err, config.ErrNoConfig) {
		return config.HandOver(socket), ""
	}
	var e *config.Error
	if !errors.As(err, &e) || e.File != config.SystemPath || !errors.Is(err, fs.ErrPermission) {
		return nil, ""
	}
	socket := config.SystemSocket
	if other := a.getenv("POSTERN_SOCKET"); other != "" {
		socket = other
	}
	if _, err := os.Stat(socket); err != nil {
		return nil, "the submission service would send for you, but it is not there (" + socket +
			"): systemctl start postern.socket, or rc-service postern start"
	}
	return config.HandOver(socket), ""
}

// smtpThrough is -bs for such a user: he and the service speak for themselves.
func (a *app) smtpThrough(ctx context.Context, cfg *config.Config) int {
	h := cfg.Smarthosts[0]
	d := net.Dialer{Timeout: h.ConnectTimeout}
	c, err := d.DialContext(ctx, "unix", h.Socket)
	if err != nil {
		// The caller waits for a greeting, and shows what it gets instead.
		_, _ = io.WriteString(a.out, "421 4.3.2 The submission service does not answer\r\n")
		return a.fail(exTempFail, fmt.Errorf("the submission service does not answer: %w", err))
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	go func() {
		_, err := io.Copy(c, a.in)
		// What the service has read it answers; that no more comes is no failure.
		_ = errors.Join(err, c.(*net.UnixConn).CloseWrite())
	}()
	if _, err := io.Copy(a.out, c); err != nil {
		return a.fail(exTempFail, fmt.Errorf("the submission service: %w", err))
	}
	return exOK
}
