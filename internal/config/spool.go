package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Spool says where messages wait and how long. Dir is "" without a spool.
type Spool struct {
	Dir      string        // absolute, or sftp://user@host:port/path
	Deliver  string        // interactive, background or queue
	Patience time.Duration // interactive: not settled by then, it is spooled
	RetryMin time.Duration
	RetryMax time.Duration
	Expire   time.Duration // then the sender is told that it failed
	Warn     time.Duration // then the sender is told that it waits
	SFTP     SFTP          // the parts of Dir, if it is on another host
	// FallbackDir takes messages while that host is away; "" for none.
	FallbackDir string
}

// Rate bounds how fast messages are sent; the zero value does not.
type Rate struct {
	Count int
	Per   time.Duration
}

func defaultSpool() Spool {
	const day = 24 * time.Hour
	return Spool{Deliver: "interactive", Patience: 20 * time.Second, RetryMin: time.Minute, RetryMax: time.Hour, Expire: 5 * day, Warn: 4 * time.Hour,
		SFTP: SFTP{ConnectTimeout: 30 * time.Second, CommandTimeout: time.Minute}}
}

func spoolFields(s *Spool) []field {
	return append([]field{
		{"dir", text(&s.Dir, spoolDir)},
		{"deliver", must(&s.Deliver, choice("interactive", "background", "queue"))},
		{"patience", span(&s.Patience)},
		{"retry_min", span(&s.RetryMin)},
		{"retry_max", span(&s.RetryMax)},
		{"expire", span(&s.Expire)},
		{"warn", span(&s.Warn)},
	}, sftpFields(s)...)
}

// spoolDir takes a directory of this host or of an SFTP server.
func spoolDir(s string) (string, string, string) {
	if isRemote(s) {
		_, problem, hint := parseSFTP(s)
		return s, problem, hint
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return "", "a spool by " + quoted(scheme) + " is not supported", `write the full path of a directory, or "sftp://user@host/path"`
	}
	return localDir(s)
}

// localDir takes a directory of this host.
func localDir(s string) (string, string, string) {
	if !filepath.IsAbs(s) {
		return "", "is not the full path of a directory: " + quoted(s), ""
	}
	return filepath.Clean(s), "", ""
}

// checkSpool finds times that contradict each other.
func (d *decoder) checkSpool(s *Spool) {
	switch {
	case s.RetryMin > s.RetryMax && !d.failed("spool.retry_min") && !d.failed("spool.retry_max"):
		d.fault("spool.retry_min", "is longer than retry_max", "")
	case s.RetryMax > s.Expire && !d.failed("spool.retry_max") && !d.failed("spool.expire"):
		d.fault("spool.expire", "is shorter than retry_max", "")
	}
	for key := range d.lines {
		if strings.HasPrefix(key, "spool.") && s.Dir == "" && !d.failed("spool.dir") {
			d.fault("spool.dir", "is missing", `add dir = "/var/spool/postern" below [spool]`)
		}
	}
}

// number takes a whole number between two others.
func number(to *int, least, most int64) setter {
	return func(value any) (string, string) {
		n, ok := value.(int64)
		if !ok {
			return "must be a number, not " + kindOf(value), ""
		}
		if n < least || n > most {
			return fmt.Sprintf("%d is not between %d and %d", n, least, most), ""
		}
		*to = int(n)
		return "", ""
	}
}

// rate takes "30/min": a number of messages per s, min, h or d.
func rate(to *Rate) setter {
	return func(value any) (string, string) {
		const hint = `write "30/min", with s, min, h or d`
		s, ok := value.(string)
		if !ok {
			return "must be text, not " + kindOf(value), hint
		}
		if s == "" {
			return "", ""
		}
		count, unit, _ := strings.Cut(s, "/")
		n, err := strconv.ParseUint(count, 10, 20)
		units := map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
		per, known := units[unit]
		if err != nil || n == 0 || !known {
			return "bad rate " + quoted(s), hint
		}
		*to = Rate{Count: int(n), Per: per}
		return "", ""
	}
}
