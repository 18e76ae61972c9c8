//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/smtptest"
)

// On each genuine server: kept while the smarthost is down, listed and acted on
// by another host, sent by a third.
func TestSFTP(t *testing.T) {
	startSFTP(t)
	for _, s := range sftpServers() {
		t.Run(s.name, func(t *testing.T) {
			real, table := s.remote(t)
			const nobody = 2999
			if s.name == "internal-sftp" {
				table = strings.Replace(table, "ssh_user\"", "ssh_locked\"\npassphrase_file = \""+world.root+"/ssh_phrase\"", 1)
			}
			configure(t, at(nobody)+table)
			one, two := mailbox(t, "one"), mailbox(t, "two")
			on(t, "web1", "Subject: x\n\ngrüße\n.\n", sendmail, "-i", one, two).must(t)
			list := on(t, "web2", "", "/usr/bin/mailq", "-v")
			has(t, "mailq", list.stdout, one, two, "connection refused")
			if weaker := s.name == "proftpd"; weaker != strings.Contains(list.stderr, "the spool's host") {
				t.Errorf("mailq -v: %s", list.stderr)
			}
			check := on(t, "web2", "", sendmail, "--check").stdout
			has(t, "--check", check, "spool:      sftp://")
			if weaker := s.name == "proftpd"; weaker != strings.Contains(check, "weaker there: ") {
				t.Errorf("--check: %s", check)
			}
			if left, _ := filepath.Glob(real + "/tmp/*"); len(left) > 0 {
				t.Errorf("--check left %v", left)
			}
			info, err := os.Stat(real)
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the spool: %v %v", info.Mode(), err)
			}
			id := regexp.MustCompile(`(?m)^[a-z0-9]{12}`).FindString(list.stdout)
			on(t, "web2", "", "/usr/bin/mailq", "--hold", id).must(t)
			has(t, "on hold", on(t, "web1", "", "/usr/bin/mailq").stdout, id+"!", "on hold")
			configure(t, at(portPlain)+table)
			on(t, "drainer", "", sendmail, "-q").must(t)
			on(t, "web1", "", "/usr/bin/mailq", "--release", id).must(t)
			for _, to := range []string{one, two} { // release wakes a run of its own
				if got := waitFor(t, to); got.body() != "grüße\n.\n" {
					t.Errorf("%s: %q", to, got.body())
				}
			}
			waitEmpty(t, real)
		})
	}
}

// waitEmpty waits until no file is left in a spool.
func waitEmpty(t *testing.T, dir string) {
	t.Helper()
	var left []string
	for range 100 {
		if left, _ = filepath.Glob(dir + "/*/*"); len(left) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("left: %q", left)
}

// The contract and the invariants that rest on the file system, on the genuine
// servers.
func TestSFTPContract(t *testing.T) {
	startSFTP(t)
	program := filepath.Join(world.root, "spool.test")
	build := exec.Command("go", "test", "-c", "-o", program, "postern/internal/spool")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, s := range sftpServers() {
		t.Run(s.name, func(t *testing.T) {
			_, table := s.remote(t)
			dir := regexp.MustCompile(`127\.0\.0\.1:\d+(/[^"]*)`).FindStringSubmatch(table)[1]
			suites := "TestContract|TestI4OneClaimer|TestI6Strangers"
			if s.name == "proftpd" { // the stranger of them
				suites += "|TestI3Damage"
			}
			cmd := exec.Command(program, "-test.run", "^("+suites+")/genuine", "-test.v")
			cmd.Env = append(os.Environ(), fmt.Sprintf("POSTERN_SFTP=mailspool 127.0.0.1 %d %s %[3]s/ssh_known %[3]s/ssh_user", s.port, dir, world.root))
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestContract/genuine") {
				t.Errorf("%v: %s", err, tail(out, 4000))
			}
		})
	}
}

// A host that dies while it sends: its message stays its own until the lease has
// ended by the clock of the spool's host, then another sends it.
func TestSFTPTakeOver(t *testing.T) {
	startSFTP(t)
	silent := smtptest.New(t, smtptest.Options{Script: smtptest.Polite("PIPELINING").With("DATA", smtptest.Answer{Then: smtptest.Silence})})
	real, table := sftpServers()[0].remote(t)
	configure(t, at(silent.Port())+table)
	on(t, "web1", killedMessage, sendmail, "-odq", "-i", "-f", "s@client.example", "a@dest.example").must(t)
	dying := exec.Command("unshare", "--uts", "sh", "-c", `hostname dying && exec "$@"`, "sh", sendmail, "-q")
	if err := dying.Start(); err != nil {
		t.Fatal(err)
	}
	waitForFile(t, real+"/active/*")
	if err := dying.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	dying.Wait() //nolint:errcheck // killed on purpose
	sink := smtptest.NewSink(t, smtptest.SinkOptions{})
	configure(t, at(sink.Port())+table)
	on(t, "drainer", "", sendmail, "-q").must(t)
	if n := copies(t, "within the lease", sink); n != 0 {
		t.Fatalf("%d copies within the lease", n)
	}
	has(t, "mailq", on(t, "web1", "", "/usr/bin/mailq").stdout, "* ", "a@dest.example")
	old := time.Now().Add(-6 * time.Minute)
	for _, name := range waitForFile(t, real+"/live/*") {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	on(t, "drainer", "", sendmail, "-q").must(t)
	if n := copies(t, "behind the lease", sink); n != 1 {
		t.Errorf("%d copies behind the lease", n)
	}
	if left, _ := filepath.Glob(real + "/[ahqft]*/*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func waitForFile(t *testing.T, pattern string) []string {
	t.Helper()
	for range 200 {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no %s after 10 s", pattern)
	return nil
}

// Two hosts drain at the same time: each message goes out once.
func TestSFTPTwoDrainers(t *testing.T) {
	startSFTP(t)
	sink := smtptest.NewSink(t, smtptest.SinkOptions{})
	for _, s := range sftpServers()[1:] { // they differ in how they rename
		t.Run(s.name, func(t *testing.T) {
			_, table := s.remote(t)
			configure(t, at(sink.Port())+table)
			const messages = 10
			want := map[string]int{}
			for i := range messages {
				to := fmt.Sprintf("%s-%d@dest.example", s.name, i)
				want[to] = 0
				on(t, "web1", "Subject: x\n\nbody\n", sendmail, "-odq", "-i", to).must(t)
			}
			both := exec.Command("sh", "-c", `for h in one two; do unshare --uts sh -c 'hostname $0 && exec "$@"' $h `+sendmail+` -q & done; wait`)
			if out, err := both.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
			for _, d := range sink.Deliveries() {
				for _, to := range d.To {
					if _, ours := want[to]; ours {
						want[to]++
					}
				}
			}
			for to, n := range want {
				if n != 1 {
					t.Errorf("%s got it %d times", to, n)
				}
			}
			empty(t)
		})
	}
}

// While the other host is away fallback_dir takes the mail, and what comes next
// takes it along. Without one the caller is told.
func TestSFTPAway(t *testing.T) {
	startSFTP(t)
	s := sftpServers()[0]
	real, table := s.remote(t)
	away := strings.Replace(table, ":2201", ":2998", 1)
	fallback := filepath.Join(t.TempDir(), "fallback")
	with := fmt.Sprintf("fallback_dir = %q\n", fallback)
	configure(t, at(2999)+away)
	got := run(t, "Subject: x\n\nbody\n", sendmail, "-odq", "-i", "nobody@dest.example")
	if got.status != 75 {
		t.Errorf("without a fallback: %+v", got)
	}
	has(t, "stderr", got.stderr, "could not be kept", "127.0.0.1:2998", "connection refused")
	one, two, three := mailbox(t, "one"), mailbox(t, "two"), mailbox(t, "three")
	configure(t, at(2999)+away+with)
	run(t, "Subject: x\n\nbody\n", sendmail, "-odq", "-i", one).must(t)
	has(t, "mailq", run(t, "", "/usr/bin/mailq").stdout, one)
	configure(t, at(2999)+table+with) // it is back
	run(t, "Subject: x\n\nbody\n", sendmail, "-odq", "-i", two).must(t)
	if found, _ := filepath.Glob(real + "/queue/*"); len(found) != 2 {
		t.Errorf("the next message did not take the other along: %q", found)
	}
	configure(t, at(2999)+away+with)
	run(t, "Subject: x\n\nbody\n", sendmail, "-odq", "-i", three).must(t)
	configure(t, at(portPlain)+table+with)
	run(t, "", sendmail, "-q").must(t)
	for _, to := range []string{one, two, three} {
		waitFor(t, to)
	}
	empty(t)
	configure(t, at(portPlain)+away+with) // and from there, if it stays away
	four := mailbox(t, "four")
	run(t, "Subject: x\n\nbody\n", sendmail, "-odq", "-i", four).must(t)
	run(t, "", sendmail, "-q")
	waitFor(t, four)
}

// While the smarthost takes the mail the other host is not asked at all.
func TestSFTPNotNeeded(t *testing.T) {
	startSFTP(t)
	real, table := sftpServers()[0].remote(t)
	configure(t, at(portPlain)+table)
	to := mailbox(t, "to")
	run(t, "Subject: x\n\nbody\n", sendmail, "-i", to).must(t)
	waitFor(t, to)
	if _, err := os.Stat(real); err == nil {
		t.Error("the spool was made")
	}
}

// OpenSSH makes durable what is published: the file, then the directory.
func TestSFTPDurable(t *testing.T) {
	startSFTP(t)
	_, table := sftpServers()[1].remote(t)
	configure(t, at(2999)+table)
	log := filepath.Join(world.root, "sshd.strace")
	name := filepath.Join(world.root, "sshd_2204")
	text, err := os.ReadFile(filepath.Join(world.root, "sshd_2202"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), "2202", "2204", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := world.daemon("strace", "-f", "-o", log, "-e", "trace=openat,fsync,close,rename", "/usr/sbin/sshd", "-D", "-e", "-f", name); err != nil {
		t.Fatal(err)
	}
	if err := waitForPort(2204); err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(world.root, "ssh_known_2204")
	key, err := os.ReadFile(filepath.Join(world.root, "ssh_host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(known, []byte("[127.0.0.1]:2204 "+string(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	table = strings.Replace(strings.Replace(table, ":2202", ":2204", 1), "ssh_known", "ssh_known_2204", 1)
	configure(t, at(2999)+table)
	for range 2 { // the first makes the directories
		run(t, "Subject: x\n\nbody\n", sendmail, "-odq", "-i", "a@dest.example").must(t)
	}
	traced, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	order := regexp.MustCompile(`/tmp/[^"]*", O_WRONLY\|O_CREAT\|O_EXCL[^\n]* = (\d+)\n(?:.*\n)*?.*fsync\((\d+)\) *= 0\n(?:.*\n)*?.*rename\("[^"]*/tmp/[^"]*", "[^"]*/queue/[^"]*"\) = 0\n(?:.*\n)*?.*fsync\((\d+)\) *= 0`)
	if m := order.FindAllSubmatch(traced, -1); len(m) != 2 || string(m[1][1]) != string(m[1][2]) || string(m[1][1]) == string(m[1][3]) {
		t.Errorf("%q\n%s", m, tail(traced, 3000))
	}
}

// A host key that is not known is refused with the line to add, which helps.
func TestSFTPHostKey(t *testing.T) {
	startSFTP(t)
	_, table := sftpServers()[0].remote(t)
	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	table = strings.Replace(table, world.root+"/ssh_known", known, 1)
	configure(t, at(2999)+table)
	got := run(t, "", "/usr/bin/mailq")
	has(t, "stderr", got.stderr, "host key is not known", "SHA256:", known)
	line := regexp.MustCompile(`\[127\.0\.0\.1\]:2201 ssh-ed25519 \S+`).FindString(got.stderr)
	if got.status == 0 || line == "" {
		t.Fatalf("%+v", got)
	}
	if err := os.WriteFile(known, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty(t)
}

// A message of 100 MB goes there and back in bounded memory.
func TestSFTPMemory(t *testing.T) {
	startSFTP(t)
	const most = 40 << 10 // KiB
	_, table := sftpServers()[0].remote(t)
	sink := smtptest.NewSink(t, smtptest.SinkOptions{MaxMessageBytes: 200 << 20})
	configure(t, at(sink.Port())+table)
	line := strings.Repeat("text ", 13) + "\n"
	text := &repeated{line: line, left: 100 << 20 / len(line)}
	for what, rss := range map[string]int64{
		"there": measured(t, text, sendmail, "-odq", "-i", "a@dest.example"),
		"back":  measured(t, strings.NewReader(""), sendmail, "-q"),
	} {
		if rss > most {
			t.Errorf("%s: %d KiB of memory, want at most %d", what, rss, most)
		} else {
			t.Logf("%s: %d KiB of memory", what, rss)
		}
	}
	if n := len(sink.Deliveries()); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}
