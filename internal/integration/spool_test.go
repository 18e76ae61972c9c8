//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postern/internal/smtptest"
)

// withSpool configures a smarthost with a spool of its own and returns its
// directory. More is added to the [spool] table.
func withSpool(t *testing.T, smarthost, more string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "spool")
	t.Cleanup(func() { settled(t) })
	respool(t, dir, smarthost, more)
	return dir
}

// respool configures another smarthost for a spool.
func respool(t *testing.T, dir, smarthost, more string) {
	t.Helper()
	configure(t, smarthost+fmt.Sprintf("[spool]\ndir = %q\n%s", dir, more))
}

func at(port int) string { return fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", port) }

// empty fails the test unless the queue is.
func empty(t *testing.T) {
	t.Helper()
	if got := run(t, "", "/usr/bin/mailq"); got.stdout != "Mail queue is empty\n" {
		t.Errorf("mailq: %s%s", got.stdout, got.stderr)
	}
}

// The smarthost is down for a while; then the mail is there, as it was written.
func TestSpoolSmarthostDown(t *testing.T) {
	const nobody = 2999
	dir := withSpool(t, at(nobody), "")
	one, two := mailbox(t, "one"), mailbox(t, "two")
	run(t, "To: "+one+", "+two+"\nSubject: x\n\ngrüße\n.\n", sendmail, "-t", "-i").must(t)
	has(t, "mailq", run(t, "", "/usr/bin/mailq").stdout, one, two, "connection refused")
	got := run(t, "", sendmail, "-q")
	if got.status != 0 {
		t.Errorf("-q: %+v", got)
	}
	has(t, "stderr", got.stderr, "connection refused")
	respool(t, dir, at(portPlain), "")
	run(t, "", sendmail, "-q").must(t)
	for _, to := range []string{one, two} {
		if got := waitFor(t, to); got.body() != "grüße\n.\n" {
			t.Errorf("%s: %q", to, got.body())
		}
	}
	empty(t)
}

// Greylisting: the good one has it at once, the other waits, with the server's
// words in mailq.
func TestSpoolGreylisted(t *testing.T) {
	dir := withSpool(t, at(portPlain), "")
	to := mailbox(t, "to")
	run(t, "Subject: x\n\nbody\n", sendmail, "-i", to, "later@dest.example").must(t)
	waitFor(t, to)
	got := run(t, "", "/usr/bin/mailq").stdout
	has(t, "mailq", got, "later@dest.example", "451 4.7.1", "Greylisted", "next try")
	hasNot(t, "mailq", got, to)
	respool(t, dir, at(portExim), "") // which takes it
	run(t, "", sendmail, "-q").must(t)
	waitForExim(t, "later@dest.example")
	empty(t)
}

// In the background: the caller is free at once, the mail arrives nevertheless.
func TestSpoolBackground(t *testing.T) {
	withSpool(t, at(portPlain), "deliver = \"background\"\n")
	var all []string
	for i := range 20 {
		to := mailbox(t, fmt.Sprintf("to%d", i))
		all = append(all, to)
		run(t, "Subject: x\n\nbody\n", sendmail, "-i", to).must(t)
	}
	for _, to := range all {
		waitFor(t, to)
	}
}

// One recipient of three is refused: the others get it, and a report that a
// foreign parser understands lies in the sender's mailbox.
func TestSpoolReport(t *testing.T) {
	withSpool(t, at(portPlain), "")
	sender, one, two := mailbox(t, "sender"), mailbox(t, "one"), mailbox(t, "two")
	run(t, "Subject: grüße\nMessage-ID: <orig@client.example>\n\nbody\n", sendmail, "-odq", "-i", "-f", sender, "-V", "envid7", one, "refused@dest.example", two).must(t)
	run(t, "", sendmail, "-q").must(t)
	waitFor(t, one)
	waitFor(t, two)
	report := waitFor(t, sender)
	if report.sender != "" {
		t.Errorf("envelope sender of the report: %q", report.sender)
	}
	parsed := run(t, report.raw, "python3", "-c", `
import sys, email, email.policy
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
assert m.get_content_type() == "multipart/report", m.get_content_type()
assert m.get_param("report-type") == "delivery-status"
assert m["Auto-Submitted"] == "auto-replied" and m["In-Reply-To"] == "<orig@client.example>"
text, status, headers = m.get_payload()
assert not m.defects and not status.defects, (m.defects, status.defects)
message, recipient = status.get_payload()
print(message["Reporting-MTA"], message["Original-Envelope-Id"])
print(recipient["Final-Recipient"], recipient["Action"], recipient["Status"])
print(recipient["Diagnostic-Code"])
print(headers.get_content_type(), text.get_content().split("\n")[0])
`)
	if parsed.status != 0 {
		t.Fatalf("the report is no proper DSN: %s\n%s", parsed.stderr, report.raw)
	}
	// Perl's parser, which mailing list managers use.
	perl := run(t, report.raw, "perl", "-MMail::DeliveryStatus::BounceParser", "-e", `
my $b = Mail::DeliveryStatus::BounceParser->new(\*STDIN);
die "no bounce" unless $b->is_bounce;
print join("|", $_->get("email"), $_->get("std_reason"), $_->get("Status"), $_->get("Action")), "\n" for $b->reports;
print "message-id ", $b->orig_message_id, "\n";
`)
	if perl.stdout != "refused@dest.example|user_unknown|5.1.1|failed\nmessage-id <orig@client.example>\n" {
		t.Errorf("Mail::DeliveryStatus::BounceParser: %+v", perl)
	}
	has(t, "report", parsed.stdout, "dns; "+hostName+" envid7", "rfc822; refused@dest.example failed 5.1.1", "smtp; 550 5.1.1", "text/rfc822-headers This is the mail system at "+hostName)
	empty(t)
}

// A server that dies after the final dot: kept, marked, sent again.
func TestSpoolLostAnswer(t *testing.T) {
	dying := smtptest.New(t, smtptest.Options{Script: smtptest.Polite("PIPELINING").With("_content", smtptest.Answer{Then: smtptest.Reset})})
	dir := withSpool(t, at(dying.Port()), "")
	to := mailbox(t, "to")
	run(t, "Subject: x\n\nbody\n", sendmail, "-i", to).must(t)
	has(t, "mailq", run(t, "", "/usr/bin/mailq").stdout, to, "maybe delivered")
	respool(t, dir, at(portPlain), "")
	run(t, "", sendmail, "-q").must(t)
	waitFor(t, to)
	empty(t)
}

// calls counts the system calls of a command, by name.
func calls(t *testing.T, stdin string, arg ...string) map[string]int {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	if got := run(t, stdin, "strace", append([]string{"-f", "-o", log}, arg...)...); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for _, m := range regexp.MustCompile(`(?m)^\d+ +(\w+)\(`).FindAllStringSubmatch(string(text), -1) {
		count[m[1]]++
	}
	return count
}

// killable are the system calls that change or tell something; between them a
// kill makes no difference.
func killable(count map[string]int) (points []string) {
	const most = 12 // of each kind: later ones are in loops over the same steps
	for _, name := range []string{"openat", "openat2", "mkdirat", "write", "fsync", "close", "renameat", "unlinkat", "flock", "sendto", "connect", "pread64", "read", "fcntl", "newfstatat", "getdents64"} {
		for n := range min(count[name], most) {
			points = append(points, fmt.Sprintf("%s:signal=KILL:when=%d", name, n+1))
		}
	}
	return points
}

// kill runs a command that dies at one system call.
func kill(t *testing.T, stdin, point string, arg ...string) outcome {
	t.Helper()
	name, _, _ := strings.Cut(point, ":") // only what is traced can be tampered with
	return run(t, stdin, "strace", append([]string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + name, "-e", "inject=" + point}, arg...)...)
}

const killedMessage = "From: a@client.example\nDate: Tue, 24 Nov 2026 12:00:00 +0000\nMessage-ID: <1@client.example>\n\nline one\nline two\n"

// copies counts what a sink took, and fails the test for anything that is not the
// whole message.
func copies(t *testing.T, why string, sink *smtptest.Sink) int {
	t.Helper()
	want := strings.ReplaceAll(killedMessage, "\n", "\r\n")
	for _, d := range sink.Deliveries() {
		if string(d.Data) != want || d.From != "s@client.example" || len(d.To) != 1 {
			t.Errorf("%s: a message that nobody wrote: %+v %q", why, d, d.Data)
		}
	}
	return len(sink.Deliveries())
}

// A kill at any system call of an enqueue leaves the whole message or none, and
// what said "kept" is kept.
func TestSpoolKilledEnqueue(t *testing.T) {
	enqueue := []string{sendmail, "-odq", "-i", "-f", "s@client.example", "a@dest.example"}
	withSpool(t, at(portPlain), "")
	died := 0
	for _, point := range killable(calls(t, killedMessage, enqueue...)) {
		sink := smtptest.NewSink(t, smtptest.SinkOptions{})
		dir := withSpool(t, at(sink.Port()), "")
		got := kill(t, killedMessage, point, enqueue...)
		died += dead(got)
		run(t, "", sendmail, "-q").must(t)
		if n := copies(t, point, sink); n > 1 || got.status == 0 && n != 1 {
			t.Errorf("%s: status %d, %d copies", point, got.status, n)
		}
		left, err := filepath.Glob(filepath.Join(dir, "*/*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: left in the spool: %v", point, left)
		}
		sink.Close()
	}
	enough(t, died)
	t.Logf("%d kills", died)
}

// A kill at any system call of a run never loses a message, and sends at most the
// one in flight twice.
func TestSpoolKilledRun(t *testing.T) {
	enqueue := func(t *testing.T) {
		run(t, killedMessage, sendmail, "-odq", "-i", "-f", "s@client.example", "a@dest.example").must(t)
	}
	first := smtptest.NewSink(t, smtptest.SinkOptions{})
	withSpool(t, at(first.Port()), "")
	enqueue(t)
	twice, died := 0, 0
	for _, point := range killable(calls(t, "", sendmail, "-q")) {
		sink := smtptest.NewSink(t, smtptest.SinkOptions{})
		dir := withSpool(t, at(sink.Port()), "")
		enqueue(t)
		died += dead(kill(t, "", point, sendmail, "-q"))
		run(t, "", sendmail, "-q").must(t)
		n := copies(t, point, sink)
		if n < 1 || n > 2 {
			t.Errorf("%s: %d copies", point, n)
		}
		if n == 2 {
			twice++
		}
		left, err := filepath.Glob(filepath.Join(dir, "*/*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: left in the spool: %v", point, left)
		}
		sink.Close()
	}
	enough(t, died)
	if twice == 0 {
		t.Error("no kill came between the server's answer and the end of the file: the test misses the point")
	}
	t.Logf("%d kills, %d at which the message in flight went twice", died, twice)
}

// dead is 1 if the command was killed.
func dead(o outcome) int {
	if o.status == -1 || o.status == 128+9 {
		return 1
	}
	return 0
}

// enough fails the test if hardly any kill took place: threads share the calls in
// another way each time, so a few may miss.
func enough(t *testing.T, died int) {
	t.Helper()
	if died < 20 {
		t.Errorf("only %d kills took place", died)
	}
}

// The packages' programs must be there; a missing one is a failure, not a skip.
func TestProgramsAreThere(t *testing.T) {
	for _, name := range []string{"strace", "python3", "perl", "php", "bsd-mailx", "s-nail", "mutt", "git", "cron"} {
		if _, err := exec.LookPath(name); err != nil {
			if _, err := os.Stat("/usr/sbin/" + name); err != nil {
				t.Error(err)
			}
		}
	}
}
