//go:build containers

package containers

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/smtptest"
)

// outcome is how a command ended.
type outcome struct {
	status         int
	stdout, stderr string
}

func run(t *testing.T, dir, stdin, name string, arg ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arg...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	// What a container in the background inherits must not keep us waiting.
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func podmanRun(t *testing.T, stdin string, arg ...string) outcome {
	t.Helper()
	return run(t, root, stdin, filepath.Join(root, "podman"), arg...)
}

// hardened is "podman run" with everything taken away, as anybody.
func hardened(t *testing.T, stdin string, arg ...string) outcome {
	t.Helper()
	return podmanRun(t, stdin, append([]string{"run", "--rm", "--interactive", "--read-only", "--read-only-tmpfs=false", "--user", "1234567:1234567", "--cap-drop", "all",
		"--security-opt", "no-new-privileges"}, arg...)...)
}

func has(t *testing.T, what string, got outcome, status int, parts ...string) {
	t.Helper()
	if got.status != status {
		t.Errorf("%s: status %d, want %d\n%s%s", what, got.status, status, got.stdout, got.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(got.stdout+got.stderr, part) {
			t.Errorf("%s: %q is missing in:\n%s%s", what, part, got.stdout, got.stderr)
		}
	}
}

const (
	account, password = "web1@example.com", "the password"
	message           = "Subject: x\n\nbody\n"
)

// smarthost is the one of the compose example, with TLS from the first octet and a
// login, on loopback; its authority is where podman's wrapper looks for it.
func smarthost(t *testing.T) *smtptest.Sink {
	t.Helper()
	authority, err := smtptest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Server("smtp.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "ca.pem"), authority.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	sink := smtptest.NewSink(t, smtptest.SinkOptions{Implicit: true, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Accounts: map[string]string{account: password}})
	return sink
}

// open lets the smarthost be reached at port 465, until the end of the test.
func open(t *testing.T, sink *smtptest.Sink) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:465")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", sink.Addr())
			if err != nil {
				client.Close()
				continue
			}
			go func() { io.Copy(server, client); server.Close() }() //nolint:errcheck // either side may go
			go func() { io.Copy(client, server); client.Close() }() //nolint:errcheck // either side may go
		}
	}()
}

// arrived wants the one message that came since the last time.
func arrived(t *testing.T, sink *smtptest.Sink, nth int, from, to, text string) {
	t.Helper()
	got := sink.Deliveries()
	if len(got) != nth {
		t.Fatalf("%d messages, want %d", len(got), nth)
	}
	last := got[nth-1]
	if last.From != from || len(last.To) != 1 || last.To[0] != to || last.User != account || !last.TLS || !strings.Contains(string(last.Data), text) {
		t.Errorf("%+v\n%s", last, last.Data)
	}
}

// environment is how the images are configured.
func environment() []string {
	return []string{"--env", "POSTERN_SMARTHOST=smtps://web1%40example.com@smtp.example.com", "--env", "POSTERN_PASSWORD_FILE=/run/secrets/smtp",
		"--env", "POSTERN_DOMAIN=c.example", "--env", "POSTERN_SPOOL=/var/spool/postern", "--volume", filepath.Join(root, "tree/packaging/compose/smtp-password") + ":/run/secrets/smtp:ro"}
}

// Both images: any user, nothing writable but the spool, no right at all.
func TestImages(t *testing.T) {
	sink := smarthost(t)
	open(t, sink)
	for n, image := range []string{"postern", "postern:alpine"} {
		volume := "images" + string(rune('0'+n)) + ":/var/spool/postern"
		in := append(environment(), "--volume", volume)
		has(t, image, hardened(t, "", image, "--version"), 0, "postern ", "go1.")
		has(t, image, hardened(t, message, image, "-i", "to@dest.example"), 78, "POSTERN_SMARTHOST")
		sent := hardened(t, message, append(in, image, "-i", "to@dest.example")...)
		has(t, image, sent, 0, "status=sent")
		if strings.Contains(sent.stderr, "warning") {
			t.Error(sent.stderr)
		}
		arrived(t, sink, 2*n+1, "1234567@c.example", "to@dest.example", "body")
		// What does not fit in memory waits in the spool: there is no /tmp.
		large := "Subject: x\n\n" + strings.Repeat("0123456789\n", 300_000) + "the end\n"
		has(t, image, hardened(t, large, append(in, image, "-i", "to@dest.example")...), 0, "status=sent")
		arrived(t, sink, 2*n+2, "1234567@c.example", "to@dest.example", "the end")
	}
	has(t, "shell", hardened(t, "", append(environment(), "--volume", "images0:/var/spool/postern", "--entrypoint", "/bin/sh", "postern:alpine", "-ec",
		"mailq; newaliases; test -x /usr/lib/sendmail; stat -c %a /var/spool/postern")...), 0, "Mail queue is empty", "1777")
}

// Mail that waits in a volume outlives its container; the health check tells.
func TestVolume(t *testing.T) {
	sink := smarthost(t)
	in := append(environment(), "--volume", "waits:/var/spool/postern")
	has(t, "away", hardened(t, message, append(in, "postern", "-i", "to@dest.example")...), 0, "status=deferred")
	has(t, "mailq", hardened(t, "", append(in, "--entrypoint", "/usr/bin/mailq", "postern")...), 0, "to@dest.example", "connection refused")

	drainer := append([]string{"run", "--detach", "--name", "drainer", "--read-only", "--user", "1234567:1234567", "--cap-drop", "all",
		"--security-opt", "no-new-privileges"}, append(in, "postern")...)
	has(t, "drainer", podmanRun(t, "", drainer...), 0)
	t.Cleanup(func() { podmanRun(t, "", "rm", "--force", "drainer") })
	has(t, "health", podmanRun(t, "", "healthcheck", "run", "drainer"), 1, "unhealthy")
	has(t, "restart", podmanRun(t, "", "restart", "drainer"), 0)
	open(t, sink)
	has(t, "queue run", podmanRun(t, "", "exec", "drainer", "/usr/sbin/sendmail", "-q"), 0)
	arrived(t, sink, 1, "1234567@c.example", "to@dest.example", "body")
	has(t, "health", podmanRun(t, "", "healthcheck", "run", "drainer"), 0)
	has(t, "stop", podmanRun(t, "", "stop", "--time", "20", "drainer"), 0)
	has(t, "status", podmanRun(t, "", "inspect", "--format", "{{.State.ExitCode}} {{.Config.User}} {{.Config.Cmd}}", "drainer"), 0, "0 1234567:1234567 [-q1m]")
}

// What the README says to add to an image of one's own is enough for mail().
func TestReadme(t *testing.T) {
	sink := smarthost(t)
	open(t, sink)
	has(t, "mail()", hardened(t, "", append(environment(), "--env", "POSTERN_FROM="+account, "--tmpfs", "/tmp", "--env", "POSTERN_SPOOL=", "php-readme",
		"php", "-r", "exit(mail('to@dest.example', 'from PHP', 'body') ? 0 : 9);")...), 0)
	arrived(t, sink, 1, account, "to@dest.example", "Subject: from PHP")
	has(t, "health", podmanRun(t, "", "image", "inspect", "php-readme"), 0, `"--health"`)
}

// The compose example as it is: the application's mail waits while the smarthost is
// away, and the drainer sends it.
func TestCompose(t *testing.T) {
	sink := smarthost(t)
	dir := filepath.Join(root, "tree/packaging/compose")
	compose := func(arg ...string) outcome {
		t.Helper()
		return run(t, dir, "", "podman-compose", append([]string{"--podman-path", filepath.Join(root, "podman")}, arg...)...)
	}
	has(t, "up", compose("up", "--detach"), 0)
	t.Cleanup(func() { compose("down") })
	has(t, "application", podmanRun(t, "", "wait", "compose_app_1"), 0, "0\n")
	has(t, "mailq", compose("exec", "-T", "drainer", "/usr/bin/mailq"), 0, "you@example.com", "connection refused")
	open(t, sink)
	has(t, "queue run", compose("exec", "-T", "drainer", "/usr/sbin/sendmail", "-q"), 0)
	arrived(t, sink, 1, account, "you@example.com", "Subject: hello from a container")
	has(t, "log", podmanRun(t, "", "logs", "compose_app_1"), 0, "status=deferred")
}
