package config

import (
	"math"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// SystemSocket is where the submission service listens, and where sendmail looks
// for it.
const SystemSocket = "/run/postern/submit.sock"

// Service is the submission service, for users who may not read this file.
type Service struct {
	Socket          string // path of the unix socket
	Listen          string // loopback "ip:port" besides; "" for none
	MaxConnections  int    // at a time
	UserConnections int    // of one user at a time
	UserRate        Rate   // messages of one user
	MaxSize         int64  // octets of a message
}

func defaultService() Service {
	return Service{Socket: SystemSocket, MaxConnections: 200, UserConnections: 100, MaxSize: 100 << 20}
}

func serviceFields(s *Service) []field {
	return []field{
		{"socket", text(&s.Socket, socketPath)},
		{"listen", text(&s.Listen, loopback)},
		{"max_connections", number(&s.MaxConnections, 1, 10000)},
		{"user_connections", number(&s.UserConnections, 1, 10000)},
		{"user_rate", rate(&s.UserRate)},
		{"max_size", size(&s.MaxSize)},
	}
}

// maxSocket is what fits the address of a unix socket (unix(7)).
const maxSocket = 107

// socketPath takes the full path of a socket.
func socketPath(s string) (normal, problem, hint string) {
	switch {
	case !filepath.IsAbs(s):
		return "", "is not a full path: " + quoted(s), ""
	case len(s) > maxSocket:
		return "", "is longer than 107 octets, which no socket may be", ""
	}
	return filepath.Clean(s), "", ""
}

// loopback takes an address that only this host can reach: there is no TLS and no
// login.
func loopback(s string) (normal, problem, hint string) {
	const example = `write "127.0.0.1:25"`
	host, port, err := net.SplitHostPort(s)
	if err != nil || !validPort(port) {
		return "", "is not an address and a port: " + quoted(s), example
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return "", "is not an address and a port: " + quoted(s), example
	}
	if !ip.IsLoopback() {
		return "", "may only be a loopback address, as there is no TLS and no login: " + quoted(s), example
	}
	return net.JoinHostPort(ip.String(), port), "", ""
}

// size takes octets as a number, or "100M" with k, M or G, powers of 1024.
func size(to *int64) setter {
	return func(value any) (problem, hint string) {
		const example = `write "100M", with k, M or G`
		if n, ok := value.(int64); ok {
			value = strconv.FormatInt(n, 10)
		}
		s, ok := value.(string)
		if !ok {
			return "must be a size, not " + kindOf(value), example
		}
		digits, unit := s, int64(1)
		for i, letter := range []string{"k", "M", "G"} {
			if rest, ok := strings.CutSuffix(s, letter); ok {
				digits, unit = rest, 1<<(10*(i+1))
			}
		}
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil || n == 0 || int64(n) > math.MaxInt64/unit {
			return "bad size " + quoted(s), example
		}
		*to = int64(n) * unit
		return "", ""
	}
}

// checkService finds what cannot work.
func (d *decoder) checkService(c *Config) {
	if _, given := d.lines["service"]; given && c.Spool.Dir == "" && !d.failed("spool.dir") {
		d.fault("service", "needs a spool: what it takes is kept first", `add [spool] with dir = "/var/spool/postern"`)
	}
}

// HandOver is the configuration of who may not read the file: everything goes to
// the submission service at socket, which completes and logs it.
func HandOver(socket string) *Config {
	c := defaults()
	h := defaultSmarthost()
	h.Name, h.Socket, h.TLS, h.ConnectTimeout = "service", socket, "none", 10*time.Second
	c.Smarthosts = []*Smarthost{h}
	c.Log.To = "none"
	c.HandOver = true
	return &c
}
