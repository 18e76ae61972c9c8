//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postern/internal/smtptest"
)

// Fifty senders and eight runners at once, each a process: each message arrives
// once.
func TestQueueManyProcesses(t *testing.T) {
	const senders, runners, side = 50, 8, 12
	sink := smtptest.NewSink(t, smtptest.SinkOptions{})
	dir := withSpool(t, at(sink.Port()), "deliver = \"background\"\n")
	turn := make(chan struct{}, side) // so many side by side
	var all sync.WaitGroup
	for i := range senders + runners {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if i%(senders/runners) == 0 && i/(senders/runners) < runners {
				run(t, "", sendmail, "-q")
			}
			if i < senders {
				run(t, "Subject: x\n\nbody\n", sendmail, "-i", fmt.Sprintf("r%d@dest.example", i)).must(t)
			}
		})
	}
	all.Wait()
	settled(t)
	got := map[string]int{}
	for _, d := range sink.Deliveries() {
		for _, to := range d.To {
			got[to]++
		}
	}
	for to, n := range got {
		if n != 1 {
			t.Errorf("%s got it %d times", to, n)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*/*"))
	if err != nil || len(left) > 0 || len(got) != senders {
		t.Errorf("%d of %d arrived; left: %v %v", len(got), senders, left, err)
	}
}

// The process in the background has a session of its own, and nothing of its
// caller's open.
func TestQueueDetached(t *testing.T) {
	mute := smtptest.New(t, smtptest.Options{Script: smtptest.Polite().With("_banner", smtptest.Answer{Then: smtptest.Silence})})
	withSpool(t, at(mute.Port())+"command_timeout = \"20s\"\n", "")
	// A runner that kept descriptor 7 would keep this call waiting for its output.
	run(t, "Subject: x\n\nbody\n", "sh", "-c", "exec 7>&1 8</etc/passwd; exec "+sendmail+" -odb -i a@dest.example").must(t)
	pid := runner(t)
	// Its own end of the connection and of the spool are all that is open.
	proc := fmt.Sprintf("/proc/%d", pid)
	for fd := range 3 {
		if to, err := os.Readlink(fmt.Sprintf("%s/fd/%d", proc, fd)); err != nil || to != "/dev/null" {
			t.Errorf("descriptor %d is %s %v", fd, to, err)
		}
	}
	open, err := filepath.Glob(proc + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil && to == "/etc/passwd" {
			t.Errorf("%s is the caller's", fd)
		}
	}
	if cwd, err := os.Readlink(proc + "/cwd"); err != nil || cwd != "/" {
		t.Errorf("it works in %s %v", cwd, err)
	}
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("its session is %d %v", sid, err)
	}
	// Told to end, it ends, and the message is in the queue still.
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	mute.Close()
	eventually(t, "the runner ends", func() bool { // it is an orphan, and so ours to bury
		gone, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
		return gone == pid || err == unix.ECHILD
	})
	has(t, "mailq", run(t, "", "/usr/bin/mailq").stdout, "a@dest.example", "1 Request")
}

// runner is the process that runs the queue in the background.
func runner(t *testing.T) (pid int) {
	t.Helper()
	eventually(t, "a runner starts", func() bool {
		all := background(t)
		if len(all) == 0 {
			return false
		}
		pid = all[0]
		return true
	})
	return pid
}

// background are the processes that run the queue in the background.
func background(t *testing.T) (pids []int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(text, []byte("sendmail\x00-q\x00--due\x00")) {
			continue // it has ended, or is another
		}
		if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// settled waits until nobody runs the queue in the background, so that a spool can
// be looked at and removed.
func settled(t *testing.T) {
	t.Helper()
	eventually(t, "the background is quiet", func() bool { return len(background(t)) == 0 })
}

// eventually looks again and again for what takes place without our doing.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// disk is a small file system of its own.
func disk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A disk that is full, has no inodes, or is read-only: nothing is half-written,
// the mail goes at once, and when it cannot the caller is told.
func TestQueueLimits(t *testing.T) {
	const nobody = 2999
	big := "Subject: x\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 2000)
	for _, test := range []struct {
		name, options string
		exhaust       func(t *testing.T, disk string)
	}{
		{"full", "size=64k", func(*testing.T, string) {}},
		{"no inodes", "nr_inodes=7", func(*testing.T, string) {}},
		{"read-only", "size=1m", func(t *testing.T, disk string) {
			if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			mount := disk(t, test.options)
			dir := filepath.Join(mount, "spool")
			respool(t, dir, at(portPlain), "")
			// The spool is made while there is room.
			run(t, "", "mkdir", "-m", "700", dir, dir+"/queue", dir+"/active", dir+"/hold", dir+"/failed", dir+"/tmp")
			test.exhaust(t, mount)
			to := mailbox(t, "to")
			got := run(t, big, sendmail, "-odq", "-i", to)
			if got.status != 0 || !strings.Contains(got.stderr, "sending it at once") && !strings.Contains(got.stderr, "trying to send at once") {
				t.Errorf("smarthost there: %+v", got)
			}
			waitFor(t, to)
			respool(t, dir, at(nobody), "")
			for _, mode := range []string{"-odi", "-odq", "-odb"} {
				got = run(t, big, sendmail, mode, "-i", to)
				if got.status != 75 {
					t.Errorf("%s, smarthost away: %+v", mode, got)
				}
				has(t, "stderr", got.stderr, to+": ", "connection refused")
			}
			left, err := filepath.Glob(filepath.Join(dir, "*/*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v %v", left, err)
			}
		})
	}
}

// as runs a command as an ordinary user.
func as(t *testing.T, uid int, stdin string, arg ...string) outcome {
	t.Helper()
	return run(t, stdin, "setpriv", append([]string{"--reuid=" + strconv.Itoa(uid), "--regid=65000", "--clear-groups"}, arg...)...)
}

// Whoever may read the spool sees the queue, without the password, without
// running what gives it, and without smarthost.toml.
func TestQueueReadable(t *testing.T) {
	dir := withSpool(t, at(portPlain), "")
	open(t, filepath.Dir(dir))
	run(t, "Subject: x\n\nbody\n", sendmail, "-odq", "-i", "a@dest.example").must(t)
	run(t, "", "chgrp", "-R", "65000", dir).must(t)
	run(t, "", "chmod", "-R", "g+rwX", dir).must(t)
	// The file is closed to him, and no service is there.
	if err := os.Remove(submitSocket); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	got := as(t, 65001, "", "/usr/bin/mailq")
	if got.status != 78 {
		t.Errorf("without any hint: %+v", got)
	}
	has(t, "stderr", got.stderr, "smarthost.toml: cannot be read", "POSTERN_SPOOL")
	got = as(t, 65001, "", "env", "POSTERN_SPOOL="+dir, "/usr/bin/mailq")
	has(t, "mailq", got.stdout+got.stderr, "a@dest.example", "1 Request")
	if got.status != 0 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	// The usual place needs no hint.
	if err := os.Symlink(dir, "/var/spool/postern"); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/var/spool/postern")
	has(t, "mailq", as(t, 65001, "", "/usr/bin/mailq", "--json").stdout, `"address":"a@dest.example"`)
	// The file is open, the password is not.
	ran := filepath.Join(filepath.Dir(dir), "ran")
	for _, password := range []string{`password_file = "/etc/shadow"`, `password_command = ["touch", "` + ran + `"]`} {
		respool(t, dir, at(portPlain)+"tls = \"none\"\nusername = \"u\"\n"+password+"\n", "")
		if err := os.Chmod("/etc/postern/smarthost.toml", 0o644); err != nil {
			t.Fatal(err)
		}
		got := as(t, 65001, "", "/usr/bin/mailq")
		has(t, "mailq", got.stdout, "a@dest.example")
		if got.status != 0 || got.stderr != "" {
			t.Errorf("%s: %+v", password, got)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("password_command was run")
	}
}

// open lets everybody through to a directory.
func open(t *testing.T, dir string) {
	t.Helper()
	for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if err := exec.Command("chmod", "o+x", dir).Run(); err != nil {
			t.Fatal(err)
		}
	}
}

// The members of a group share a spool, whatever their umask: what one queues
// another sends, and a third sees.
func TestQueueGroup(t *testing.T) {
	dir := withSpool(t, at(portPlain), "")
	open(t, filepath.Dir(dir))
	if err := os.Chmod("/etc/postern/smarthost.toml", 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "", "mkdir", dir).must(t)
	run(t, "", "chgrp", "65000", dir).must(t)
	run(t, "", "chmod", "0770", dir).must(t) // without set-gid: that is for us to see to
	one, two := mailbox(t, "one"), mailbox(t, "two")
	as(t, 65001, "Subject: x\n\nbody\n", "sh", "-c", "umask 077; "+sendmail+" -odq -i "+one).must(t)
	as(t, 65001, "", "sh", "-c", "umask 077; "+sendmail+" -qInothing").must(t) // makes the lock
	run(t, "Subject: x\n\nbody\n", "sh", "-c", "umask 077; "+sendmail+" -odq -i "+two).must(t)
	has(t, "mailq", as(t, 65003, "", "/usr/bin/mailq").stdout, one, two)
	as(t, 65002, "", "sh", "-c", "umask 077; "+sendmail+" -q").must(t)
	waitFor(t, one)
	waitFor(t, two)
	empty(t)
}

// A runner that stays sends when mail is due, and ends when told to.
func TestQueueStays(t *testing.T) {
	free := smtptest.New(t, smtptest.Options{Script: smtptest.Polite()})
	port := free.Port()
	free.Close() // nobody is there now
	dir := withSpool(t, at(port), "retry_min = \"1s\"\nretry_max = \"2s\"\n")
	run(t, "Subject: x\n\nbody\n", sendmail, "-i", "a@dest.example").must(t)
	cmd := exec.Command(sendmail, "-q15m")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has tried", func() bool {
		return strings.Contains(run(t, "", "/usr/bin/mailq", "--json").stdout, `"attempts":2`)
	})
	s := smtptest.New(t, smtptest.Options{Script: smtptest.Polite(), Address: fmt.Sprintf("127.0.0.1:%d", port)})
	eventually(t, "it is sent when it is due", func() bool {
		left, err := filepath.Glob(filepath.Join(dir, "[^l]*/*")) // live/ has the sign of the one that stays
		return err == nil && len(left) == 0
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v %s", err, stderr.String())
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*/*")); err != nil || len(left) > 0 {
		t.Errorf("it left %v %v", left, err)
	}
	if n := len(s.Sessions()); n != 1 {
		t.Errorf("%d connections", n)
	}
}
