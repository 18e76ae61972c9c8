//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/smtptest"
)

// submission is a running sendmail -bD.
type submission struct {
	t   *testing.T
	cmd *exec.Cmd
	err bytes.Buffer
}

const submitSocket = "/run/postern/submit.sock"

// submitting starts the service and waits until it is ready.
func submitting(t *testing.T) *submission {
	t.Helper()
	ready := t.TempDir() + "/n"
	n, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: ready, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	s := &submission{t: t, cmd: exec.Command(sendmail, "-bD")}
	s.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+ready)
	s.cmd.Stderr = &s.err
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	if err := n.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if k, err := n.Read(buf); err != nil || string(buf[:k]) != "READY=1" {
		t.Fatalf("%v %q", err, buf[:k])
	}
	return s
}

// kill is kill -9; a service that is dead already stays so.
func (s *submission) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()         // waited for already, or killed
}

// asUser is a command line of an ordinary user who can gain no rights.
func asUser(uid string, arg ...string) []string {
	return append([]string{"--reuid", uid, "--regid", uid, "--clear-groups", "--no-new-privs"}, arg...)
}

// Ordinary users, under NoNewPrivileges, with a uid that nobody has, PHP as
// www-data: all send, and none can read the password.
func TestServiceUsers(t *testing.T) {
	withSpool(t, at(portPlain), "")
	if err := os.Remove(submitSocket); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	none := run(t, "\nx\n", "setpriv", asUser("33", sendmail, "a@dest.example")...)
	if none.status != 77 {
		t.Errorf("without a service: %+v", none)
	}
	has(t, "hint", none.stderr, "permission denied", "systemctl start postern.socket")
	submitting(t)
	for who, uid := range map[string]string{"www-data": "33", "uid54321": "54321", "nobody": "65534"} {
		to := mailbox(t, who)
		// An account that the system does not know has no name but what variables
		// say; here they are root's.
		run(t, "To: "+to+"\nBcc: root\nSubject: x\n\ngrüße\n", "setpriv", asUser(uid, "env", "-u", "LOGNAME", "-u", "USER", sendmail, "-t", "-i")...).must(t)
		got := waitFor(t, to)
		if got.sender != who+"@client.example" || got.body() != "grüße\n" {
			t.Errorf("%s: %+v", who, got)
		}
		has(t, who, got.header(), "Received: by "+hostName+" (postern, from user "+who+", uid "+uid+")", "From: ")
		hasNot(t, who, got.header(), "bcc")
	}
	to := mailbox(t, "php")
	run(t, "", "setpriv", asUser("33", "php", "-r", `exit(mail("`+to+`", "from PHP", "text\n.\nend", "X-A: b") ? 0 : 1);`)...).must(t)
	if got := waitFor(t, to); got.body() != "text\n.\nend\n" {
		t.Errorf("%q", got.body())
	}
	to = mailbox(t, "swaks")
	if got := run(t, "", "setpriv", asUser("33", "swaks", "--pipe", "/usr/sbin/sendmail -bs", "--from", "s@client.example", "--to", to)...); got.status != 0 {
		t.Errorf("%+v", got)
	}
	waitFor(t, to)
	if got := run(t, "", "setpriv", asUser("33", "/usr/bin/mailq")...); got.status != 77 {
		t.Errorf("mailq: %+v", got)
	}
}

// Two hundred callers at once, while the service is killed and started again: what
// was told 0 arrives, what was told 75 does not, unless its answer was lost.
func TestServiceKilledUnderLoad(t *testing.T) {
	sink := smtptest.NewSink(t, smtptest.SinkOptions{})
	withSpool(t, at(sink.Port()), "")
	s := submitting(t)
	const callers = 200
	var mu sync.Mutex
	told := make(map[string]outcome)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := range 100 {
				subject := fmt.Sprintf("m%d-%d.", i, n)
				got := run(t, "Subject: "+subject+"\n\nx\n", "setpriv", asUser("33", sendmail, "a@dest.example")...)
				mu.Lock()
				told[subject] = got
				mu.Unlock()
				if got.status != 75 {
					return
				}
				time.Sleep(50 * time.Millisecond) // as a caller that tries again does
			}
		})
	}
	for range 3 {
		n := len(sink.Deliveries())
		eventually(t, "twenty more were sent", func() bool { return len(sink.Deliveries()) >= n+20 })
		s.kill()
		s = submitting(t)
	}
	wg.Wait()
	limit := time.Now().Add(20 * time.Second)
	for n := -1; len(sink.Deliveries()) < callers || n != len(sink.Deliveries()); {
		if n = len(sink.Deliveries()); time.Now().After(limit) {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	seen := make(map[string]int)
	for _, d := range sink.Deliveries() {
		_, rest, _ := strings.Cut(string(d.Data), "\r\nSubject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		seen[subject]++
	}
	twice := 0
	for subject, got := range told {
		n := seen[subject]
		lost := got.status == 75 && strings.Contains(got.stderr, "perhaps delivered")
		if got.status == 0 && n == 0 || got.status == 75 && n > 0 && !lost || got.status != 0 && got.status != 75 {
			t.Errorf("%s: delivered %d times, told %+v", subject, n, got)
		}
		if n > 1 {
			twice++
		}
	}
	// Only what the smarthost had taken when the service was killed: four
	// connections, three times.
	if twice > 12 {
		t.Errorf("%d were sent twice", twice)
	}
	t.Logf("%d calls, %d messages, %d twice", len(told), len(seen), twice)
}

// -bd returns when the service is there.
func TestServiceDetached(t *testing.T) {
	withSpool(t, at(portPlain), "")
	run(t, "", sendmail, "-bd").must(t)
	pid := strings.TrimSpace(run(t, "", "pgrep", "-f", "^sendmail -bD").stdout)
	t.Cleanup(func() {
		run(t, "", "kill", pid)
		eventually(t, "the service ended", func() bool { return run(t, "", "pgrep", "-f", "^sendmail -bD").status == 1 })
	})
	to := mailbox(t, "to")
	run(t, "\nx\n", "setpriv", asUser("33", sendmail, to)...).must(t)
	waitFor(t, to)
	if got := run(t, "", sendmail, "-bd"); got.status != 71 || !strings.Contains(got.stderr, "another service listens") {
		t.Errorf("a second one: %+v", got)
	}
}
