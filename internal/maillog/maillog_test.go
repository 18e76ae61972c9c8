package maillog

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func options(to string) Options {
	return Options{To: to, Format: "text", Tag: "postern/sendmail", Host: "web1", PID: 42,
		Now: func() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }}
}

func delivery() Delivery {
	return Delivery{ID: "a1b2c3", Recipient: "r@d", Sender: "s@d", Relay: "smtp.example.com[192.0.2.1]:587",
		Delay: 410 * time.Millisecond, DSN: "2.0.0", Status: "sent", Reply: "250 2.0.0 Ok: queued as 4C7"}
}

// syslogd is a daemon's end of a socket.
func syslogd(t *testing.T, kind string) (path string, read func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram(kind, &net.UnixAddr{Name: path, Net: kind})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return path, func() string {
		buf := make([]byte, 1<<16)
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

// The lines, as pflogsumm and fail2ban read them.
func TestText(t *testing.T) {
	tests := []struct {
		why  string
		log  func(*Logger)
		want string
	}{
		{"sent", func(l *Logger) { l.Delivery(delivery()) },
			"a1b2c3: to=<r@d>, relay=smtp.example.com[192.0.2.1]:587, delay=0.41, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4C7)"},
		{"a long delay has no decimals", func(l *Logger) { d := delivery(); d.Delay = 83 * time.Second; l.Delivery(d) },
			"a1b2c3: to=<r@d>, relay=smtp.example.com[192.0.2.1]:587, delay=83, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4C7)"},
		{"whom the caller named, as Postfix has it", func(l *Logger) { d := delivery(); d.Original = "root@d"; l.Delivery(d) },
			"a1b2c3: to=<r@d>, orig_to=<root@d>, relay=smtp.example.com[192.0.2.1]:587, delay=0.41, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4C7)"},
		{"accepted", func(l *Logger) { l.Accepted("a1", "s@d", 33, 1234, 2, "1@d") },
			"a1: from=<s@d>, size=1234, nrcpt=2, uid=33, message-id=<1@d>"},
		{"refused", func(l *Logger) { l.Refused("no recipients", 64) }, "reject: no recipients, status=64"},
		{"warning", func(l *Logger) { l.Warning("spool is full") }, "warning: spool is full"},
		{"a reply cannot begin a line or move a terminal", func(l *Logger) { d := delivery(); d.Reply = "250 a\r\nb\x1b[2Jc\xffd\u202e"; l.Delivery(d) },
			`a1b2c3: to=<r@d>, relay=smtp.example.com[192.0.2.1]:587, delay=0.41, dsn=2.0.0, status=sent (250 a; b\u{1b}[2Jc\xffd\u{202e})`},
	}
	for _, test := range tests {
		var b bytes.Buffer
		o := options("stderr")
		o.Stderr = &b
		l := Open(o)
		test.log(l)
		if b.String() != test.want+"\n" {
			t.Errorf("%s:\n got %q\nwant %q", test.why, b.String(), test.want)
		}
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	o := options("stderr")
	o.Stderr, o.Format = &b, "json"
	l := Open(o)
	d := delivery()
	d.Reply = "250 \x1b\n"
	l.Delivery(d)
	l.Accepted("a1", "s@d", 33, 1234, 2, "1@d")
	l.Refused("no recipients", 64)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %q", len(lines), b.String())
	}
	for i, want := range []string{"delivery", "accepted", "refused"} {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		if got["event"] != want || got["time"] == "" || got["level"] == "" {
			t.Errorf("got %v, want event %s", got, want)
		}
	}
	if !strings.Contains(lines[0], `"to":"r@d","from":"s@d"`) || !strings.Contains(lines[0], `"delay":0.41`) {
		t.Errorf("keys: %s", lines[0])
	}
}

func TestSyslog(t *testing.T) {
	path, read := syslogd(t, "unixgram")
	o := options("syslog")
	o.SyslogPath = path
	l := Open(o)
	defer l.Close()
	l.Delivery(delivery())
	if got, want := read(), "<22>Nov 24 12:00:00 postern/sendmail[42]: a1b2c3: to=<r@d>"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q", got)
	}
	d := delivery()
	d.Status, d.Reply = "deferred", strings.Repeat("ü", 5000)
	l.Delivery(d)
	if got := read(); !strings.HasPrefix(got, "<20>") || len(got) > 2100 || !strings.HasSuffix(got, "ü...") {
		t.Errorf("got %d octets ending in %q", len(got), got[len(got)-10:])
	}
}

// What would move a terminal is escaped in JSON too, and it is still JSON.
func TestJSONEscapes(t *testing.T) {
	const reply = "a\u202eb\u0085c\x1b[31m \u200b\U000e0001\x7f Grüße 語"
	var b bytes.Buffer
	o := options("stderr")
	o.Stderr, o.Format = &b, "json"
	Open(o).Delivery(Delivery{Status: "sent", Reply: reply})
	var got struct{ Reply string }
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got.Reply != reply {
		t.Errorf("%q: %v, reply %q", b.String(), err, got.Reply)
	}
	for _, raw := range []string{"\u202e", "\u0085", "\x1b", "\u200b", "\U000e0001", "\x7f"} {
		if strings.Contains(b.String(), raw) {
			t.Errorf("%q is in the line as it is", raw)
		}
	}
	if !strings.Contains(b.String(), "Grüße 語") {
		t.Errorf("what can be read is not: %s", b.String())
	}
}

// The caller names the tag (-L), which stands in front of every line.
func TestTagIsEscaped(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		file := filepath.Join(t.TempDir(), "log")
		o := options(file)
		o.Tag, o.Format = "x\x1b[31m\ny", format
		l := Open(o)
		l.Warning("w")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(text), "\x1b") || strings.Count(string(text), "\n") != 1 {
			t.Errorf("%s: %q, %v", format, text, err)
		}
	}
}

func TestJournal(t *testing.T) {
	path, read := syslogd(t, "unixgram")
	o := options("journal")
	o.JournalPath = path
	l := Open(o)
	defer l.Close()
	l.Warning("a\nPRIORITY=0")
	want := "MESSAGE=warning: a; PRIORITY=0\nPRIORITY=4\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postern/sendmail\nSYSLOG_PID=42\n"
	if got := read(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A daemon that does not read never holds us up: this ends, or the test hangs.
func TestSyslogFull(t *testing.T) {
	path, _ := syslogd(t, "unixgram")
	o := options("syslog")
	o.SyslogPath = path
	l := Open(o)
	defer l.Close()
	for range 10_000 {
		l.Delivery(delivery())
	}
	if l.Err() == nil {
		t.Error("10,000 lines that nobody read went through")
	}
}

// No daemon is no harm; one that comes back is found.
func TestSyslogAway(t *testing.T) {
	o := options("syslog")
	o.SyslogPath = filepath.Join(t.TempDir(), "log")
	l := Open(o)
	defer l.Close()
	l.Warning("lost")
	if l.Err() == nil {
		t.Error("no error for a socket that is not there")
	}
	listen := func() *net.UnixConn {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: o.SyslogPath, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	buf := make([]byte, 1000)
	for range 2 { // it also comes back a second time, with the first connection open
		conn := listen()
		l.Warning("heard")
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := conn.Read(buf); err != nil || !strings.HasSuffix(string(buf[:n]), "heard") {
			t.Errorf("%q %v", buf[:n], err)
		}
		conn.Close()
		os.Remove(o.SyslogPath)
	}
}

// A daemon that is not there is not looked for at each line of thousands, but
// is found a moment later.
func TestSyslogAwayLong(t *testing.T) {
	o := options("syslog")
	now := o.Now()
	o.Now = func() time.Time { return now }
	o.SyslogPath = filepath.Join(t.TempDir(), "log")
	l := Open(o)
	defer l.Close()
	for range patience {
		l.Warning("lost")
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: o.SyslogPath, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l.Warning("not tried")
	now = now.Add(pause)
	l.Warning("heard")
	l.Warning("heard again")
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 1000)
	for _, want := range []string{"heard", "heard again"} {
		if n, err := conn.Read(buf); err != nil || !strings.HasSuffix(string(buf[:n]), want) {
			t.Errorf("%q %v, not %q", buf[:n], err, want)
		}
	}
}

// A stream socket, as old daemons have it, gets a NUL behind each line.
func TestSyslogStream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o := options("syslog")
	o.SyslogPath = path
	l := Open(o)
	l.Warning("one")
	l.Warning("two")
	l.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var b bytes.Buffer
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := b.ReadFrom(conn); err != nil {
		t.Fatal(err)
	}
	if parts := strings.Split(b.String(), "\x00"); len(parts) != 3 || !strings.HasSuffix(parts[1], "two") {
		t.Errorf("%q", b.String())
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.log")
	for range 2 {
		l := Open(options(path))
		l.Delivery(delivery())
		if err := l.Close(); err != nil || l.Err() != nil {
			t.Fatal(err, l.Err())
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "2026-11-24T12:00:00Z web1 postern/sendmail[42]: a1b2c3: to=<r@d>"); n != 2 {
		t.Errorf("%d lines: %s", n, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// A link in a directory that others may write could make us write anywhere.
func TestFileLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "victim"), filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	l := Open(options(filepath.Join(dir, "log")))
	l.Warning("x")
	if l.Err() == nil {
		t.Error("a link was followed")
	}
	if _, err := os.Stat(filepath.Join(dir, "victim")); err == nil {
		t.Error("the victim was made")
	}
}

func TestNil(t *testing.T) {
	var l *Logger
	l.Delivery(delivery())
	l.Warning("x")
	if l.Err() != nil || l.Close() != nil {
		t.Error("a nil logger is silent")
	}
	Open(options("none")).Warning("x")
}

// Whatever a delivery says, it is one line of text.
func FuzzDelivery(f *testing.F) {
	f.Add("a@b", "250 ok\r\n<22>x", "sent")
	f.Add("\x1b[2J", "\xff\xfe", "\u2028")
	f.Fuzz(func(t *testing.T, to, reply, status string) {
		var b bytes.Buffer
		o := options("stderr")
		o.Stderr = &b
		Open(o).Delivery(Delivery{ID: "x", Recipient: to, Reply: reply, Status: status})
		line, found := strings.CutSuffix(b.String(), "\n")
		if !found || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' }) {
			t.Fatalf("%q", b.String())
		}
	})
}

func BenchmarkDelivery(b *testing.B) {
	o := options("stderr")
	o.Stderr = &bytes.Buffer{}
	l := Open(o)
	b.ReportAllocs()
	for b.Loop() {
		l.Delivery(delivery())
		o.Stderr.(*bytes.Buffer).Reset()
	}
}

// A delay is what a float would be, rounded.
func TestSeconds(t *testing.T) {
	for ms := -1200; ms < 12_000; ms++ {
		if ms%10 == 5 || ms%10 == -5 { // floats go either way
			continue
		}
		d, digits := time.Duration(ms)*time.Millisecond, 2
		if ms >= 10_000 {
			digits = 0
		}
		if got, want := string(appendSeconds(nil, d)), strconv.FormatFloat(d.Seconds(), 'f', digits, 64); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
