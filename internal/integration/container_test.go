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

	"golang.org/x/sys/unix"
)

// image makes what packaging/Dockerfile copies into an image FROM scratch, by the
// commands that stand there, since there is no container engine here.
func image(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../packaging/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	build := regexp.MustCompile(`(?m)^RUN (make build(?:.*\\\n)*.*)`).FindStringSubmatch(string(text))
	if build == nil || strings.Count(string(text), "\nCOPY --from=build /out/ /\n") != 2 {
		t.Fatal("packaging/Dockerfile is not what this test knows")
	}
	out := filepath.Join(world.root, "image")
	cmd := exec.Command("sh", "-ec", strings.ReplaceAll(build[1], "/out", out))
	cmd.Dir = "../.."
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return out
}

// container is a root as a container engine gives it to a program.
type container struct{ root string }

// newContainer mounts the image read-only, with a volume for the spool and /proc.
func newContainer(t *testing.T) container {
	t.Helper()
	root := image(t)
	mount := func(what, where, kind string, flags uintptr, data string) {
		t.Helper()
		if err := unix.Mount(what, where, kind, flags, data); err != nil {
			t.Fatalf("mounting %s: %v", where, err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(where, unix.MNT_DETACH); err != nil {
				t.Error(where, err)
			}
		})
	}
	if err := put(root+"/etc/hosts", "127.0.0.1 smarthost.test\n", 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"proc", "run"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount(root, root, "", unix.MS_BIND, "")
	mount("proc", root+"/proc", "proc", 0, "")
	mount("tmpfs", root+"/run", "tmpfs", 0, "mode=755")
	mount("tmpfs", root+"/var/spool/postern", "tmpfs", 0, "mode=1777")
	if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return container{root}
}

// run runs a command in it as an arbitrary user, with no-new-privileges.
func (c container) run(t *testing.T, stdin string, env []string, arg ...string) outcome {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(arg[0], arg[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	cmd.Env, cmd.Dir = env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root, Credential: &syscall.Credential{Uid: 1234567, Gid: 1234567}}
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// A uid without a name, a root that cannot be written, no /tmp, no shell, no file:
// mail of any size goes out, waits, goes out later, and the health is known.
func TestContainer(t *testing.T) {
	c := newContainer(t)
	t.Run("Queue", func(t *testing.T) { containerQueue(t, c) })
	t.Run("Secret", func(t *testing.T) { containerSecret(t, c) })
}

func containerQueue(t *testing.T, c container) {
	env := []string{fmt.Sprintf("POSTERN_SMARTHOST=smtp://127.0.0.1:%d", portPlain), "POSTERN_DOMAIN=client.example", "POSTERN_LOG=stderr",
		"POSTERN_SPOOL=/var/spool/postern"}
	if got := c.run(t, "", env, "/usr/sbin/sendmail", "--version"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	to := mailbox(t, "to")
	got := c.run(t, "Subject: x\n\nbody\n", env, "/usr/sbin/sendmail", "-i", to)
	if got.status != 0 {
		t.Fatalf("%+v", got)
	}
	has(t, "log", got.stderr, "status=sent")
	if got := waitFor(t, to); got.sender != "uid1234567@client.example" {
		t.Errorf("sender %q", got.sender)
	}

	// 3 MB wait in a file while they are read: there is no /tmp, so in the spool.
	to = mailbox(t, "large")
	got = c.run(t, "Subject: x\n\n"+strings.Repeat("0123456789\n", 300_000), env, "/usr/sbin/sendmail", "-i", to)
	if got.status != 0 {
		t.Fatalf("%+v", got)
	}
	if got := waitFor(t, to); len(got.raw) < 3_300_000 {
		t.Errorf("%d octets", len(got.raw))
	}
	// Without spool, /tmp and /dev/shm it says what to do, and loses nothing.
	got = c.run(t, "Subject: x\n\n"+strings.Repeat("0123456789\n", 300_000), env[:3], "/usr/sbin/sendmail", "-i", to)
	if got.status != 75 {
		t.Errorf("%+v", got)
	}
	has(t, "stderr", got.stderr, "set TMPDIR to a directory")

	away := append([]string{"POSTERN_SMARTHOST=smtp://127.0.0.1:1"}, env[1:]...)
	to = mailbox(t, "later")
	if got := c.run(t, "Subject: x\n\nbody\n", away, "/usr/sbin/sendmail", "-i", to); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	got = c.run(t, "", env, "/usr/sbin/sendmail", "--health")
	if got.status != 75 {
		t.Errorf("%+v", got)
	}
	has(t, "health", got.stdout, "waiting:      1", "failing: the smarthost cannot be used")
	if got := c.run(t, "", env, "/usr/bin/mailq"); !strings.Contains(got.stdout, to) {
		t.Errorf("%+v", got)
	}
	if got := c.run(t, "", env, "/usr/sbin/sendmail", "-q"); got.status != 0 {
		t.Errorf("%+v", got)
	}
	waitFor(t, to)
	if got := c.run(t, "", env, "/usr/sbin/sendmail", "--health", "--report=json"); got.status != 0 || !strings.Contains(got.stdout, `"status":"ok"`) {
		t.Errorf("%+v", got)
	}
}

// A password in a secret file, over verified TLS; nothing shows it.
func containerSecret(t *testing.T, c container) {
	ca, err := os.ReadFile(filepath.Join(world.root, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"/run/secrets/smtp": accountPassword + "\n", "/run/ca.pem": string(ca)} {
		if err := put(c.root+name, text, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{fmt.Sprintf("POSTERN_SMARTHOST=smtps://%s@smarthost.test:%d", strings.ReplaceAll(accountName, "@", "%40"), portImplicit),
		"POSTERN_PASSWORD_FILE=/run/secrets/smtp", "POSTERN_DOMAIN=client.example", "POSTERN_LOG=stderr"}
	got := c.run(t, "Subject: x\n\nbody\n", env, "/usr/sbin/sendmail", "-i", "a@dest.example")
	if got.status != 69 || !strings.Contains(got.stderr, "certificate") { // not an authority of the image
		t.Errorf("%+v", got)
	}
	to := mailbox(t, "to")
	got = c.run(t, "Subject: x\n\nbody\n", append(env, "SSL_CERT_FILE=/run/ca.pem"), "/usr/sbin/sendmail", "-v", "-i", to)
	if got.status != 0 {
		t.Errorf("%+v", got)
	}
	secretOf(t, "-v", got)
	has(t, "trace", waitFor(t, to).trace, "Authenticated sender: "+accountName)
}
