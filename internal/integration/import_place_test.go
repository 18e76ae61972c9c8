//go:build integration

package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
	"postern/internal/smtptest"
)

// otherMailers are Debian's packages of the programs that --import knows, with
// the libraries which a bare Debian may not have. Postfix is installed.
const otherMailers = "msmtp ssmtp nullmailer dma esmtp " +
	"libsecret-1-0 libesmtp6 libgsasl18 libgssglue1 libntlm0 libidn12 libglib2.0-0 libpcre2-8-0 libgnutls-openssl27"

// fetchMailers downloads and unpacks them, once. They cannot be installed: Debian
// allows one mail server. What would stand in the place of Postfix's is left out.
func fetchMailers() (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, "postern-integration", "mailers")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	get := exec.Command("sh", "-ec", `
		t=$(mktemp -d "$1.XXXXXX"); trap 'rm -rf "$t"' EXIT; cd "$t"
		apt-get download -q $2
		for f in *.deb; do dpkg -x "$f" all; done
		if [ -d all/lib ]; then cp -a all/lib/. all/usr/lib/; fi
		rm -f all/usr/sbin/sendmail all/usr/lib/sendmail all/usr/bin/mailq all/usr/bin/newaliases all/usr/sbin/mailq all/usr/sbin/newaliases
		mv all "$1"`, "sh", dir, otherMailers)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	if out, err := get.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching the packages of other mailers: %w\n%s", err, out)
	}
	return dir, nil
}

// away is a host of its own: this thread is alone in a network and mounts, where
// every name leads to one provider.
type away struct {
	home        string
	provider    *provider
	fingerprint string // of the provider's certificate, SHA-256 in hex
	message     string // what callers there send
}

// goAway takes the test's goroutine there for good. What it starts is there too.
func goAway(t *testing.T) *away {
	t.Helper()
	runtime.LockOSThread() // and the thread ends with the goroutine
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	mailers, err := fetchMailers()
	must("packages", err)
	must("namespaces", unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_NEWNET))
	must("private mounts", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must("lo", loopbackUp())
	must("192.0.2.7", secondAddress("192.0.2.7"))
	lower := "lowerdir=" + filepath.Join(mailers, "usr") + ":/usr"
	must("laying the mailers over /usr", unix.Mount("overlay", "/usr", "overlay", unix.MS_RDONLY, lower))
	must("files", shell(`
		mount -t tmpfs -o mode=755 tmpfs /home
		mkdir /home/over /home/work
		mount -t overlay -o lowerdir=/etc,upperdir=/home/over,workdir=/home/work overlay /etc
		mount -t tmpfs -o mode=755 tmpfs /usr/local/bin
		mount -t tmpfs -o mode=755 tmpfs /var/log
		mount -t tmpfs -o mode=755 tmpfs /var/spool
		mount -t tmpfs -o mode=755 tmpfs /var/lib/postfix
		chown postfix: /var/lib/postfix
		mkdir /home/joe /var/spool/postfix /etc/ssmtp /etc/dma /etc/nullmailer
		install -d -o root -g mail -m 2775 /var/spool/dma
		for d in . queue tmp failed; do install -d -o mail -g mail /var/spool/nullmailer/$d; done
		mkfifo /var/spool/nullmailer/trigger; chown mail /var/spool/nullmailer/trigger
		for p in msmtp ssmtp esmtp dma nullmailer-inject nullmailer-queue nullmailer-send /usr/lib/nullmailer/smtp; do
			if ldd "$(command -v $p)" | grep 'not found'; then echo "$p: a library is missing"; exit 1; fi
		done
		echo nameserver 127.0.0.1 >/etc/resolv.conf
		printf '127.0.0.1 localhost\n127.0.0.2 web1.client.example web1\n' >/etc/hosts
		echo web1.client.example >/etc/mailname
		: >/etc/aliases
		rm -f /etc/postern/smarthost.toml`))
	a := &away{home: "/home/joe"}
	a.certificates(t)
	a.names(t)
	return a
}

// secondAddress gives lo one more.
func secondAddress(ip string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo:1")
	if err == nil {
		err = req.SetInet4Addr(net.ParseIP(ip).To4())
	}
	if err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFADDR, req)
}

// shell runs a script; its output is in the error.
func shell(script string) error {
	cmd := exec.Command("sh", "-ec", script)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// providerNames are all servers of the fixtures.
var providerNames = []string{"localhost", "smtp.example.com", "mx.example.com", "mx1.example.com", "mail.example.com", "mail.oursite.example",
	"smtp.freemail.example", "mail.company.example", "smarthost.dom", "smarthost2.dom", "third.dom", "mail.isp.example", "smtp.somewhere.com"}

// addressOf is a name's own address, below 127.
func addressOf(name string) string {
	if name == "localhost" {
		return "127.0.0.1"
	}
	h := fnv.New32()
	h.Write([]byte(name))
	sum := h.Sum32()
	return fmt.Sprintf("127.%d.%d.%d", 1+sum>>16&0x7f, sum>>8&0xff, 1+sum&0x7f)
}

// certificates makes the provider's, of an authority that this host trusts, and
// the client's.
func (a *away) certificates(t *testing.T) {
	t.Helper()
	authority, err := smtptest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	server, err1 := authority.Server(providerNames...)
	client, err2 := authority.Client("joe")
	text, err3 := smtptest.CertificatePEM(client)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"/etc/ssl/certs/ca-certificates.crt": authority.PEM(), "/etc/ssl/private-ca.pem": authority.PEM(),
		"/etc/ssl/joe.pem": text, a.home + "/joe.key": text} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.fingerprint = fmt.Sprintf("%X", sha256.Sum256(server.Certificate[0]))
	names := make(map[string]string)
	for _, n := range providerNames {
		names[addressOf(n)] = n
	}
	// esmtp waits for ever when a session ticket comes ahead of an answer.
	a.provider = &provider{names: names, tls: &tls.Config{Certificates: []tls.Certificate{server},
		SessionTicketsDisabled: true, ClientAuth: tls.RequestClientCert}}
}

// names answers for all of them, and with an MX for example.com.
func (a *away) names(t *testing.T) {
	serveRecords(t, func(q dnsmessage.Question) (out []dnsmessage.Resource) {
		name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
		header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, Type: q.Type, TTL: 60}
		switch {
		case q.Type == dnsmessage.TypeA && slices.Contains(providerNames, name):
			body := &dnsmessage.AResource{A: [4]byte(net.ParseIP(addressOf(name)).To4())}
			return []dnsmessage.Resource{{Header: header, Body: body}}
		case q.Type == dnsmessage.TypeMX && name == "example.com":
			body := &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("mx1.example.com.")}
			return []dnsmessage.Resource{{Header: header, Body: body}}
		}
		return nil
	}, func(name string) bool { return slices.Contains(providerNames, strings.TrimSuffix(name, ".")) })
}

// run runs a program there, as root with joe's home.
func (a *away) run(t *testing.T, stdin, stdout string, name string, arg ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arg...)
	cmd.Dir = a.home
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + a.home, "USER=root", "LOGNAME=root"}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if stdout != "" {
		f, err := os.OpenFile(stdout, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.Stdout = f
	}
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), said.String()}
}

// file is where a fixture's name lies on this host.
func (a *away) file(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		name = rest
	}
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(a.home, name)
}

// put writes a file of a fixture, for root alone.
func (a *away) put(t *testing.T, name, text string) {
	t.Helper()
	if err := put(a.file(name), "", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
