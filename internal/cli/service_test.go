package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/smtptest"
)

// A user who may not read the configuration sends: the service gives names its
// domain, adds what is missing, tells who it was, and sends at once.
func TestServiceSends(t *testing.T) {
	st := newStation(t, "")
	who, _ := personOf(os.Getuid())
	status, out, stderr := st.user("To: a@x, joe\nBcc: secret@x\nSubject: hi\n\nbody ü\n",
		"-t", "-N", "failure,delay", "-R", "hdrs", "-V", "env1")
	if status != exOK || out != "" || stderr != "" {
		t.Fatalf("%d %q %q", status, out, stderr)
	}
	got := st.taken(1)[0]
	if got.From != who.login+"@service.example" || strings.Join(got.To, " ") != "a@x joe@service.example secret@x" {
		t.Errorf("envelope %s %v", got.From, got.To)
	}
	if got.Mail.EnvelopeID != "env1" || got.Mail.Return != "HDRS" || len(got.Rcpt[0].Notify) != 2 || got.Mail.Body != "8BITMIME" {
		t.Errorf("DSN %+v %+v", got.Mail, got.Rcpt)
	}
	header, body, _ := strings.Cut(string(got.Data), "\r\n\r\n")
	for _, want := range []string{
		fmt.Sprintf("Received: by host.example (postern, from user %s, uid %d) with ESMTP id ", who.login, os.Getuid()),
		"\r\nDate: ", "@service.example>\r\n", "\r\nTo: a@x, joe@service.example\r\n", who.login + "@service.example"} {
		if !strings.Contains(header, want) {
			t.Errorf("%q is missing in\n%s", want, header)
		}
	}
	if strings.Contains(header, "secret") || body != "body ü\r\n" {
		t.Errorf("%s\n\n%s", header, body)
	}
	log, err := os.ReadFile(st.path("log"))
	if want := fmt.Sprintf("nrcpt=3, uid=%d,", os.Getuid()); err != nil || !strings.Contains(string(log), want) {
		t.Errorf("log: %s %v", log, err)
	}
	if status := st.stop(); status != exOK {
		t.Errorf("status %d", status)
	}
	st.told("STOPPING=1")
}

// -f and -F are the user's; without -f the configured sender counts.
func TestServiceSender(t *testing.T) {
	st := newStation(t, "")
	st.stop()
	st.configure("from = \"app@service.example\"\n"+at(st.sink.Port()), "")
	st.start(nil)
	st.user("\nx\n", "a@x")
	if got := st.taken(1)[0]; got.From != "app@service.example" || !strings.Contains(string(got.Data), "app@service.example") {
		t.Errorf("%s\n%s", got.From, got.Data)
	}
	st.user("\nx\n", "-f", "me@y", "-F", "Me, too", "a@x")
	if got := st.taken(2)[1]; got.From != "me@y" || !strings.Contains(string(got.Data), "From: \"Me, too\" <me@y>\r\n") {
		t.Errorf("%s\n%s", got.From, got.Data)
	}
	st.user("\nx\n", "-f", "<>", "a@x")
	if got := st.taken(3)[2]; got.From != "" || !strings.Contains(string(got.Data), "From: MAILER-DAEMON@service.example\r\n") {
		t.Errorf("%s\n%s", got.From, got.Data)
	}
}

// The service's refusals come through with their status and a line each.
func TestServiceRefuses(t *testing.T) {
	st := newStation(t, "user_rate = \"3/h\"\nmax_size = \"10k\"")
	if status, _, stderr := st.user("\n"+strings.Repeat("x\n", 20000), "a@x"); status != exUnavailable || !strings.Contains(stderr, "a@x: ") {
		t.Errorf("too large: %d %q", status, stderr)
	}
	sent := 0
	for range 5 {
		status, _, stderr := st.user("\nx\n", "a@x")
		if status == exOK {
			sent++
		} else if status != exTempFail || !strings.Contains(stderr, "450 4.7.1 No more than 3 messages of one user in 1h0m0s") {
			t.Errorf("%d %q", status, stderr)
		}
	}
	if sent < 2 || sent > 3 {
		t.Errorf("%d sent", sent)
	}
	st.taken(sent)
}

// What such a user cannot do is said with the status for it.
func TestServiceUserLimits(t *testing.T) {
	st := newStation(t, "")
	if status, _, stderr := st.user("", "mailq"); status != exNoPerm || !strings.Contains(stderr, "the queue is the submission service's") {
		t.Errorf("mailq: %d %q", status, stderr)
	}
	if status, out, _ := st.user("EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<a@x>\r\nDATA\r\n\r\nx\r\n.\r\n", "-bs"); status != exOK || !strings.Contains(out, "\r\n250 2.0.0 Ok: queued as ") {
		t.Errorf("-bs: %d %q", status, out)
	}
	st.taken(1)
	if status, out, stderr := st.user("", "--check", "a@x"); status != exOK || !strings.Contains(out, "mail can be sent") {
		t.Errorf("--check: %d %q %q", status, out, stderr)
	}
	st.stop()
	if status, _, stderr := st.user("\nx\n", "a@x"); status != exTempFail || stderr == "" {
		t.Errorf("no service: %d %q", status, stderr)
	}
	if status, out, _ := st.user("", "-bs"); status != exTempFail || !strings.HasPrefix(out, "421 4.3.2 ") {
		t.Errorf("no service, -bs: %d %q", status, out)
	}
}

// Who may not read the file is told where the service should be.
func TestHandOver(t *testing.T) {
	denied := &config.Error{File: config.SystemPath, Err: fs.ErrPermission}
	a := &app{getenv: func(string) string { return "" }}
	socket := filepath.Join(t.TempDir(), "s")
	here := func(name string) string {
		if name == "POSTERN_SOCKET" {
			return socket
		}
		return ""
	}
	for _, c := range []struct {
		why   string
		err   error
		there bool // the socket
		o     options
		priv  bool
		use   bool
		hint  bool
	}{
		{"not readable, service there", denied, true, options{}, false, true, false},
		{"not readable, no service", denied, false, options{}, false, false, true},
		{"a file of his own choice", denied, true, options{config: config.SystemPath}, false, false, false},
		{"more rights than his", denied, true, options{}, true, false, false},
		{"another file is not readable", &config.Error{File: "/home/x/smarthost.toml", Err: fs.ErrPermission}, true, options{}, false, false, false},
		{"the file is wrong", &config.Error{File: config.SystemPath, Msg: "unknown key"}, true, options{}, false, false, false},
		{"no file, the socket is named", config.ErrNoConfig, true, options{}, false, true, false},
	} {
		a.getenv, a.privileged = here, c.priv
		os.Remove(socket)
		if c.there {
			if err := os.WriteFile(socket, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cfg, hint := a.handOver(&c.o, c.err)
		if (cfg != nil) != c.use || (hint != "") != c.hint {
			t.Errorf("%s: %v %q", c.why, cfg, hint)
		}
	}
	if _, hint := (&app{getenv: func(string) string { return "" }}).handOver(&options{}, denied); !strings.Contains(hint, config.SystemSocket) && hint != "" {
		t.Error(hint)
	}
}

// SIGHUP changes the smarthost for what comes then; a wrong file changes nothing.
func TestServiceReloads(t *testing.T) {
	st := newStation(t, "")
	hangUp := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		st.told("RELOADING=1")
		st.told("READY=1")
	}
	good, err := os.ReadFile(st.path("c.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(st.path("c.toml"), append([]byte("wrong = 1\n"), good...), 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp()
	st.user("\nx\n", "a@x")
	st.taken(1)
	other := smtptest.NewSink(t, smtptest.SinkOptions{})
	st.configure(at(other.Port()), "max_size = \"1M\"")
	text, err := os.ReadFile(st.path("c.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(st.path("c.toml"), append(text, "format = \"json\"\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	hangUp()
	first := st.sink
	st.sink = other
	st.user("\nx\n", "a@x")
	st.taken(1)
	log, err := os.ReadFile(st.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the old configuration stays in force: ",
		"[service]: what has changed there but user_rate comes into force when the service is restarted",
		"[log]: what has changed there comes into force when the service is restarted"} {
		if !strings.Contains(string(log), want) {
			t.Errorf("%q is missing in %s", want, log)
		}
	}
	if n := len(first.Deliveries()); n != 1 {
		t.Errorf("%d went to the first smarthost", n)
	}
}

// Two hundred callers at once while the service is stopped and started. Who is told
// 75 comes again, with another subject: what was answered 0 is delivered, once, and
// nothing else is.
func TestServiceRestartsUnderLoad(t *testing.T) {
	st := newStation(t, "user_connections = 20\nmax_connections = 50")
	const callers = 200
	var mu sync.Mutex
	told := make(map[string]bool)
	call := func(subject string) bool {
		status, _, stderr := st.user("Subject: "+subject+"\n\nx\n", "a@x")
		if status != exOK && status != exTempFail {
			t.Errorf("%s: %d %s", subject, status, stderr)
		}
		mu.Lock()
		defer mu.Unlock()
		told[subject] = status == exOK
		return status == exOK
	}
	limit := time.Now().Add(30 * time.Second)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := 0; time.Now().Before(limit) && !call(fmt.Sprintf("message %d.%d.", i, n)); n++ {
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for i := range 3 {
		st.taken(40 * (i + 1))
		if status := st.stop(); status != exOK {
			t.Errorf("status %d", status)
		}
		st.start(nil)
	}
	wg.Wait()
	seen := make(map[string]int)
	for _, d := range st.taken(callers) {
		_, rest, _ := strings.Cut(string(d.Data), "\r\nSubject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		seen[subject]++
	}
	for subject, ok := range told {
		if n := seen[subject]; ok != (n == 1) || n > 1 {
			t.Errorf("%s told %v, delivered %d times", subject, ok, n)
		}
	}
	st.stop() // what was sent is out of the queue then
	if len(seen) != callers || len(st.queued()) > 0 {
		t.Errorf("%d messages, queued %v", len(seen), st.queued())
	}
}

// A spool that takes nothing: the caller is told, and nothing is kept.
func TestServiceSpoolFails(t *testing.T) {
	st := newStation(t, "")
	if err := errors.Join(os.RemoveAll(st.path("spool/tmp")), os.WriteFile(st.path("spool/tmp"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := st.user("\nx\n", "a@x")
	if status != exTempFail || !strings.Contains(stderr, "451 4.3.0 The message could not be kept") {
		t.Errorf("%d %q", status, stderr)
	}
	if got := st.queued(); len(got) > 0 || len(st.sink.Deliveries()) > 0 {
		t.Errorf("queued %v", got)
	}
}

// A second service on the same socket does not start, nor one on a socket that
// everybody in the network could reach, nor with more rights than the caller's.
func TestServiceDoesNotStart(t *testing.T) {
	st := newStation(t, "")
	run := func(change func(*app), args ...string) (int, string) {
		a := st.app(nil, args...)
		if change != nil {
			change(a)
		}
		return a.run(context.Background()), a.err.(*lockedBuffer).String()
	}
	if status, stderr := run(nil, "-bD"); status != exOSErr || !strings.Contains(stderr, "another service listens on") {
		t.Errorf("%d %q", status, stderr)
	}
	if status, stderr := run(func(a *app) { a.privileged, a.argv = true, []string{"sendmail", "-bD"} }, "-bD"); status != exNoPerm {
		t.Errorf("%d %q", status, stderr)
	}
	st.stop()
	st.configure(at(1), "listen = \"0.0.0.0:2525\"")
	if status, stderr := run(nil, "-bD"); status != exConfig || !strings.Contains(stderr, "may only be a loopback address") {
		t.Errorf("%d %q", status, stderr)
	}
}

// On loopback the service does not know who calls, and says so.
func TestServiceLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	st := newStation(t, fmt.Sprintf("listen = %q", address))
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("EHLO root\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := st.taken(1)[0]; !strings.Contains(string(got.Data), "Received: by host.example (postern, from 127.0.0.1:") {
		t.Errorf("%s", got.Data)
	}
}
