// Package maillog writes the mail log: one method for each kind of event, one
// line for each event, wherever it goes. The text form is the one of Postfix,
// which pflogsumm, logwatch, fail2ban and their like read.
//
// Logging never fails a delivery, nor holds it up for more than a second a
// minute: a syslog that is dead or hangs loses lines, not mail. Nothing from
// outside can begin a second line or move a terminal: control characters are
// escaped.
package maillog

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Options say where the log goes and who writes it.
type Options struct {
	To     string // syslog, journal, stderr, none, or an absolute path
	Format string // text or json
	Tag    string // program name in the line
	Host   string // for a file
	PID    int
	Now    func() time.Time
	Stderr io.Writer
	// Linger is how long the line of an accepted message may wait for the next one.
	// A process that is killed meanwhile has not logged it.
	Linger time.Duration

	SyslogPath  string // default /dev/log
	JournalPath string // default /run/systemd/journal/socket
}

// Logger writes events. A nil one writes nothing. It may be used by several
// goroutines.
type Logger struct {
	o    Options
	mu   sync.Mutex
	to   sink
	er   error
	line []byte // room for the next one
	late lingering
}

// level is a syslog severity.
type level int

const (
	levelWarning level = 4
	levelInfo    level = 6
)

// sink takes finished lines, one at a time, and does not keep them.
type sink interface {
	write(l level, line []byte) error
	// hold lets lines wait for each other, until it is called with false. A sink
	// that sends each line on its own does not care.
	hold(on bool) error
	close() error
}

// Open makes a logger. It never fails: what cannot be opened is silent, and Err
// says why.
func Open(o Options) *Logger {
	o.Tag = printable(o.Tag) // the caller may choose it
	l := &Logger{o: o}
	l.to, l.er = open(o)
	return l
}

// Err is why the log cannot be written, nil if it can as far as is known.
func (l *Logger) Err() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.er
}

// Close ends the log.
func (l *Logger) Close() error {
	if l == nil || l.to == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.catchUp()
	return l.to.close()
}

// Delivery is the outcome of a message for one recipient.
type Delivery struct {
	ID        string
	Recipient string
	Original  string // what the caller named, if an alias stood for it
	Sender    string
	Relay     string // "host[ip]:port", or "none"
	Delay     time.Duration
	DSN       string // "2.0.0"
	Status    string // sent, deferred, bounced, unknown
	Reply     string // what the server said
	TLS       string // version and cipher, "" without
	Size      int64
}

// Delivery logs an outcome.
func (l *Logger) Delivery(d Delivery) {
	if l == nil || l.to == nil {
		return
	}
	severity := levelInfo
	if d.Status != "sent" {
		severity = levelWarning
	}
	if l.o.Format == "json" {
		l.event(severity, "", "delivery", d.attrs()...)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = d.appendText(l.line[:0])
	if !isPlain(l.line) {
		l.line = []byte(printable(string(l.line)))
	}
	l.put(severity, l.line)
}

// appendText is the line in text. A message may have thousands of them, so they
// are made in place.
func (d *Delivery) appendText(b []byte) []byte {
	b = append(append(append(b, d.ID...), ": to=<"...), d.Recipient...)
	if d.Original != "" {
		b = append(append(b, ">, orig_to=<"...), d.Original...)
	}
	b = append(append(b, ">, relay="...), d.Relay...)
	b = appendSeconds(append(b, ", delay="...), d.Delay)
	b = append(append(b, ", dsn="...), d.DSN...)
	b = append(append(b, ", status="...), d.Status...)
	b = append(append(b, " ("...), d.Reply...)
	return append(b, ')')
}

// Together runs f, which may log many lines: to a file or standard error they go
// in few writes then.
func (l *Logger) Together(f func()) {
	l.hold(true)
	defer l.hold(false)
	f()
}

func (l *Logger) hold(on bool) {
	if l == nil || l.to == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(l.to.hold(on))
}

// attrs are what the JSON form tells.
func (d *Delivery) attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("id", d.ID), slog.String("to", d.Recipient), slog.String("from", d.Sender), slog.String("relay", d.Relay),
		slog.Float64("delay", d.Delay.Seconds()), slog.String("dsn", d.DSN), slog.String("status", d.Status),
		slog.String("reply", d.Reply), slog.String("tls", d.TLS), slog.Int64("size", d.Size)}
	if d.Original != "" {
		attrs = append(attrs, slog.String("orig_to", d.Original))
	}
	return attrs
}

// Accepted logs a message that was read and is about to be sent.
func (l *Logger) Accepted(id, sender string, uid int, size int64, recipients int, messageID string) {
	if l == nil || l.to == nil {
		return
	}
	text := fmt.Sprintf("%s: from=<%s>, size=%d, nrcpt=%d, uid=%d, message-id=<%s>", id, sender, size, recipients, uid, messageID)
	text = l.form(levelInfo, text, "accepted", []slog.Attr{
		slog.String("id", id), slog.String("from", sender), slog.Int("uid", uid), slog.Int64("size", size),
		slog.Int("nrcpt", recipients), slog.String("message_id", messageID)})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.linger(text)
}

// Refused logs a submission that came to nothing, with the exit status.
func (l *Logger) Refused(reason string, status int) {
	l.event(levelWarning, "reject: "+reason+", status="+strconv.Itoa(status), "refused",
		slog.String("reason", reason), slog.Int("status", status))
}

// Warning logs what an administrator should see.
func (l *Logger) Warning(text string) {
	l.event(levelWarning, "warning: "+text, "warning", slog.String("text", text))
}

// event writes one line in the configured form.
func (l *Logger) event(severity level, text, event string, attrs ...slog.Attr) {
	if l == nil || l.to == nil {
		return
	}
	text = l.form(severity, text, event, attrs)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = append(l.line[:0], text...)
	l.put(severity, l.line)
}

// form is the line of an event in the configured form.
func (l *Logger) form(severity level, text, event string, attrs []slog.Attr) string {
	if l.o.Format == "json" {
		return l.json(severity, event, attrs)
	}
	return printable(text)
}

// put writes a line that can do no harm; mu is held.
func (l *Logger) put(severity level, line []byte) {
	l.catchUp()
	l.note(l.to.write(severity, line))
}

// note keeps the first error: a log that cannot be written must not stop the
// mail. mu is held.
func (l *Logger) note(err error) {
	if l.er == nil {
		l.er = err
	}
}

// appendSeconds writes a delay as Postfix does: two digits that count.
func appendSeconds(b []byte, d time.Duration) []byte {
	switch {
	case d >= 10*time.Second:
		return strconv.AppendFloat(b, d.Seconds(), 'f', 0, 64)
	case d < 0: // a clock was set
		return strconv.AppendFloat(b, d.Seconds(), 'f', 2, 64)
	}
	hundredths := int64((d + 5*time.Millisecond) / (10 * time.Millisecond))
	b = append(strconv.AppendInt(b, hundredths/100, 10), '.')
	return append(b, '0'+byte(hundredths/10%10), '0'+byte(hundredths%10))
}

// isPlain reports a line of printable ASCII, which stays as it is.
func isPlain[T string | []byte](line T) bool {
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			return false
		}
	}
	return true
}

// printable makes one line of s: line ends become "; ", other control
// characters, format characters and what is not UTF-8 are escaped.
func printable(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	s = strings.ReplaceAll(strings.TrimRight(s, "\r\n"), "\r\n", "\n")
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '\n':
			b.WriteString("; ")
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strconv.IsPrint(r):
			b.WriteString(s[:n])
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		s = s[n:]
	}
	return b.String()
}
