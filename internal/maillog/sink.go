package maillog

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	facilityMail = 2 << 3
	maxLine      = 2000 // octets of a line to syslog; longer ones are cut
	maxWrite     = 4096 // octets that a pipe keeps together (PIPE_BUF), for lines that are written at once

	// After so many lost lines in a row the daemon is looked for once in a pause
	// only: a container has none, and a message a thousand recipients.
	patience = 3
	pause    = time.Second

	// A daemon has room for 10 lines or so (net.unix.max_dgram_qlen), and we make
	// them faster than it reads. It is waited for, but not for long.
	roomWait = 250 * time.Millisecond
	roomMost = time.Second // in all, a minute
)

// open makes the sink that o names.
func open(o Options) (sink, error) {
	switch o.To {
	case "none":
		return nil, nil
	case "stderr":
		return &stream{w: o.Stderr}, nil
	case "journal":
		return &socket{path: orDefault(o.JournalPath, "/run/systemd/journal/socket"), format: journalFormat(o), now: o.Now}, nil
	case "", "syslog":
		return &socket{path: orDefault(o.SyslogPath, "/dev/log"), format: syslogFormat(o), now: o.Now}, nil
	}
	return openFile(o)
}

// cuts reports a log whose long lines are cut, see maxLine.
func (o *Options) cuts() bool { return o.To == "" || o.To == "syslog" }

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// stream is standard error or a file: a write for each line, or for as many as
// maxWrite holds while they are held.
type stream struct {
	w      io.Writer
	prefix func([]byte) []byte // nil for none
	closer io.Closer
	held   int
	buf    []byte // whole lines
}

func (s *stream) write(_ level, line []byte) error {
	whole := len(s.buf)
	if s.prefix != nil {
		s.buf = s.prefix(s.buf)
	}
	s.buf = append(append(s.buf, line...), '\n')
	var err error
	if whole > 0 && len(s.buf) > maxWrite {
		_, err = s.w.Write(s.buf[:whole])
		s.buf = s.buf[:copy(s.buf, s.buf[whole:])]
	}
	if s.held > 0 && len(s.buf) <= maxWrite {
		return err
	}
	return errors.Join(err, s.flush())
}

func (s *stream) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

func (s *stream) hold(on bool) error {
	if on {
		s.held++
		return nil
	}
	if s.held--; s.held > 0 {
		return nil
	}
	return s.flush()
}

func (s *stream) close() error {
	err := s.flush()
	if s.closer == nil {
		return err
	}
	return errors.Join(err, s.closer.Close())
}

// openFile opens a log file.
func openFile(o Options) (sink, error) {
	f, err := newFile(o.To)
	if err != nil {
		return nil, err
	}
	w := &file{o.To, f}
	s := &stream{w: w, closer: w}
	if o.Format != "json" {
		clock, rest := stamp{layout: time.RFC3339, now: o.Now}, fmt.Sprintf(" %s %s[%d]: ", o.Host, o.Tag, o.PID)
		s.prefix = func(b []byte) []byte { return append(clock.append(b), rest...) }
	}
	return s, nil
}

// stamp writes the time in a layout without parts of a second; many lines have
// the same.
type stamp struct {
	layout string
	now    func() time.Time
	second int64
	text   []byte
}

func (s *stamp) append(b []byte) []byte {
	now := s.now()
	if second := now.Unix(); s.text == nil || second != s.second {
		s.second, s.text = second, now.AppendFormat(s.text[:0], s.layout)
	}
	return append(b, s.text...)
}

// socket is a datagram socket of syslog or the journal. It is connected anew
// when a line does not go through, and hardly waits.
type socket struct {
	path   string
	format func(b []byte, l level, line []byte) []byte
	now    func() time.Time
	buf    []byte // the datagram
	fd     int
	open   bool
	stream bool // old daemons; a NUL ends a line there, as glibc has it

	full   bool          // there was no room within roomWait
	waited time.Duration // for room, since
	since  time.Time

	lost  int       // lines in a row
	again time.Time // when to look for the daemon once more
	why   error     // it was not there
}

// hold does nothing: a datagram is a line.
func (s *socket) hold(bool) error { return nil }

func (s *socket) write(l level, line []byte) error {
	if s.lost >= patience && s.now().Before(s.again) {
		return s.why
	}
	s.buf = s.format(s.buf[:0], l, line)
	if s.why = s.try(s.buf); s.why == nil {
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
	for tries := 0; ; tries++ {
		err := unix.Sendto(s.fd, datagram, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
		if err == nil {
			s.full = false
		}
		// Others may take the room that there was.
		if err != unix.EAGAIN || tries == 100 || !s.awaitRoom() {
			return err
		}
	}
}

// awaitRoom reports that a line may go through now. One that waited in vain is
// the last to wait until there is room again: the daemon hangs.
func (s *socket) awaitRoom() bool {
	began := s.now()
	if began.Sub(s.since) >= time.Minute {
		s.since, s.waited = began, 0
	}
	if s.full || s.waited >= roomMost {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, int(roomWait.Milliseconds()))
	s.full = n == 0 && err == nil
	s.waited += s.now().Sub(began)
	return n > 0 || err == unix.EINTR
}

func (s *socket) close() error {
	if !s.open {
		return nil
	}
	s.open = false
	return unix.Close(s.fd)
}

// syslogFormat is what syslog(3) of glibc sends: RFC 3164 without a host.
func syslogFormat(o Options) func([]byte, level, []byte) []byte {
	clock, rest := stamp{layout: time.Stamp, now: o.Now}, fmt.Sprintf(" %s[%d]: ", o.Tag, o.PID)
	return func(b []byte, l level, line []byte) []byte {
		b = strconv.AppendInt(append(b, '<'), facilityMail|int64(l), 10)
		b = clock.append(append(b, '>'))
		return appendCut(append(b, rest...), line)
	}
}

// journalFormat is systemd's native protocol: a field a line. There is no line
// end in what is printable.
func journalFormat(o Options) func([]byte, level, []byte) []byte {
	rest := fmt.Sprintf("\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=%s\nSYSLOG_PID=%d\n", o.Tag, o.PID)
	return func(b []byte, l level, line []byte) []byte {
		b = append(append(b, "MESSAGE="...), line...)
		b = strconv.AppendInt(append(b, "\nPRIORITY="...), int64(l), 10)
		return append(b, rest...)
	}
}

// appendCut shortens a line for syslog, not within a character.
func appendCut(b, line []byte) []byte {
	if len(line) <= maxLine {
		return append(b, line...)
	}
	n := maxLine - len(ellipsis)
	for n > 0 && !utf8.RuneStart(line[n]) {
		n--
	}
	return append(append(b, line[:n]...), ellipsis...)
}
