package maillog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	facilityMail = 2 << 3
	maxLine      = 2000 // octets in a datagram to syslog; longer lines are cut

	// After so many lost lines in a row the daemon is looked for once in a pause
	// only: a container has none, and a message a thousand recipients.
	patience = 3
	pause    = time.Second
)

// open makes the sink that o names.
func open(o Options) (sink, error) {
	switch o.To {
	case "none":
		return nil, nil
	case "stderr":
		return &stream{w: o.Stderr, prefix: func() string { return "" }}, nil
	case "journal":
		return &socket{path: orDefault(o.JournalPath, "/run/systemd/journal/socket"), format: journalFormat(o), now: o.Now}, nil
	case "", "syslog":
		return &socket{path: orDefault(o.SyslogPath, "/dev/log"), format: syslogFormat(o), now: o.Now}, nil
	}
	return openFile(o)
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// stream is standard error or a file: one write for each line.
type stream struct {
	w      io.Writer
	prefix func() string
	closer io.Closer
}

func (s *stream) write(_ level, line string) error {
	_, err := io.WriteString(s.w, s.prefix()+line+"\n")
	return err
}

func (s *stream) close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// openFile appends to a file. A link is not followed and nothing is waited for:
// a log directory may be writable by others.
func openFile(o Options) (sink, error) {
	f, err := os.OpenFile(o.To, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, err
	}
	prefix := func() string {
		return fmt.Sprintf("%s %s %s[%d]: ", o.Now().Format(time.RFC3339), o.Host, o.Tag, o.PID)
	}
	if o.Format == "json" {
		prefix = func() string { return "" }
	}
	return &stream{w: f, prefix: prefix, closer: f}, nil
}

// socket is a datagram socket of syslog or the journal. It is connected anew
// when a line does not go through, and never waits.
type socket struct {
	path   string
	format func(level, string) string
	now    func() time.Time
	fd     int
	open   bool
	stream bool // old daemons; a NUL ends a line there, as glibc has it

	lost  int       // lines in a row
	again time.Time // when to look for the daemon once more
	why   error     // it was not there
}

func (s *socket) write(l level, line string) error {
	if s.lost >= patience && s.now().Before(s.again) {
		return s.why
	}
	if s.why = s.try([]byte(s.format(l, line))); s.why == nil {
		s.lost = 0
		return nil
	}
	if s.open { // it is there, and only full
		return s.why
	}
	if s.lost++; s.lost >= patience {
		s.again = s.now().Add(pause)
	}
	return s.why
}

// try writes, and once more if a connection that was there is lost: the daemon
// may have been started anew.
func (s *socket) try(datagram []byte) error {
	for {
		known := s.open
		err := s.connect()
		if err == nil {
			err = s.send(datagram)
		}
		if err == nil {
			return nil
		}
		err = fmt.Errorf("%s: %w", s.path, err)
		if errors.Is(err, unix.EAGAIN) {
			return err
		}
		if cerr := s.close(); !known {
			return errors.Join(err, cerr)
		}
	}
}

func (s *socket) connect() error {
	if s.open {
		return nil
	}
	var err error
	for _, kind := range []int{unix.SOCK_DGRAM, unix.SOCK_STREAM} {
		var fd int
		if fd, err = unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: s.path}); err == nil {
			s.fd, s.open, s.stream = fd, true, kind == unix.SOCK_STREAM
			return nil
		}
		if cerr := unix.Close(fd); cerr != nil {
			return cerr
		}
		if !errors.Is(err, unix.EPROTOTYPE) {
			break
		}
	}
	return err
}

func (s *socket) send(datagram []byte) error {
	if s.stream {
		datagram = append(datagram, 0)
	}
	return unix.Sendto(s.fd, datagram, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
}

func (s *socket) close() error {
	if !s.open {
		return nil
	}
	s.open = false
	return unix.Close(s.fd)
}

// syslogFormat is what syslog(3) of glibc sends: RFC 3164 without a host.
func syslogFormat(o Options) func(level, string) string {
	return func(l level, line string) string {
		return fmt.Sprintf("<%d>%s %s[%d]: %s", facilityMail|int(l), o.Now().Format(time.Stamp), o.Tag, o.PID, cut(line))
	}
}

// journalFormat is systemd's native protocol: a field a line. There is no line
// end in what is printable.
func journalFormat(o Options) func(level, string) string {
	return func(l level, line string) string {
		return strings.Join([]string{
			"MESSAGE=" + line,
			fmt.Sprintf("PRIORITY=%d", l),
			"SYSLOG_FACILITY=2",
			"SYSLOG_IDENTIFIER=" + o.Tag,
			fmt.Sprintf("SYSLOG_PID=%d", o.PID),
		}, "\n") + "\n"
	}
}

// cut shortens a line for syslog, not within a character.
func cut(line string) string {
	if len(line) <= maxLine {
		return line
	}
	n := maxLine - len("...")
	for n > 0 && !utf8.RuneStart(line[n]) {
		n--
	}
	return line[:n] + "..."
}
