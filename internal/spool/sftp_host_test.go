package spool_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// connectWith tells how connecting ends.
func connectWith(t *testing.T, o spool.SFTPOptions) error {
	t.Helper()
	f := spool.NewSFTP(context.Background(), o, time.Now)
	defer f.Close()
	_, err := f.Weaker()
	return err
}

func rsaSigner(t *testing.T) ssh.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func TestSFTPHostKey(t *testing.T) {
	server := spooltest.NewSFTPServer(t)
	rsaKey := rsaSigner(t)
	server.Config.AddHostKey(rsaKey)
	other, _ := spooltest.NewKey(t)
	authority, _ := spooltest.NewKey(t)
	right, rsaLine := serial(server.Host.PublicKey()), serial(rsaKey.PublicKey())
	for _, row := range []struct {
		why   string
		known string
		want  []string // in the error; none for success
	}{
		{"the key is known", "[sftp.example]:2222 " + right, nil},
		{"one of several names", "a.example,[sftp.example]:2222,b.example " + right, nil},
		{"hashed names", knownhosts.HashHostname("[sftp.example]:2222") + " " + right, nil},
		{"only the key of another type is known: that type is asked for", "[sftp.example]:2222 " + rsaLine, nil},
		{"both are known", "[sftp.example]:2222 " + rsaLine + "\n[sftp.example]:2222 " + right, nil},
		{"nothing is known", "", []string{"not known", ssh.FingerprintSHA256(server.Host.PublicKey()),
			"\n[sftp.example]:2222 " + right}},
		{"port 22 is another server", "sftp.example " + right, []string{"not known", "\n[sftp.example]:2222 " + right}},
		{"another host with that key", "other.example " + right, []string{"not known"}},
		{"the key has changed", "[sftp.example]:2222 " + serial(other.PublicKey()),
			[]string{"not the known one", "in the middle", "line 1", ssh.FingerprintSHA256(server.Host.PublicKey()), "\n[sftp.example]:2222 " + right}},
		{"changed, hashed", "# comment\n" + knownhosts.HashHostname("[sftp.example]:2222") + " " + serial(other.PublicKey()),
			[]string{"not the known one", "line 2"}},
		{"the key is revoked", "[sftp.example]:2222 " + right + "\n@revoked * " + right, []string{"revoked", "line 2"}},
		{"an authority is known, and the server has no certificate", "@cert-authority [*.example]:2222 " + serial(authority.PublicKey()),
			[]string{"no host key of the type", "ssh-keyscan -p 2222 sftp.example"}},
		{"a line that is damaged", "[sftp.example]:2222 ssh-ed25519 AAAA\n", []string{"known_hosts:1"}},
	} {
		o := server.Options()
		o.KnownHosts = []string{spooltest.WriteFile(t, "known_hosts", row.known+"\n")}
		err := connectWith(t, o)
		if len(row.want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", row.why, err)
			}
			continue
		}
		for _, part := range row.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is missing in: %v", row.why, part, err)
			}
		}
	}
	// The line that the error gives is the one that helps, as it stands.
	o := server.Options()
	o.KnownHosts = []string{spooltest.WriteFile(t, "known_hosts", "")}
	_, line, _ := strings.Cut(connectWith(t, o).Error(), "\n")
	o.KnownHosts = []string{spooltest.WriteFile(t, "known_hosts", line+"\n")}
	if err := connectWith(t, o); err != nil {
		t.Errorf("with the line to add: %v", err)
	}
}

// The line to add helps for addresses of IPv6 too, with port 22 and others.
func TestSFTPHostKeyLines(t *testing.T) {
	server := spooltest.NewSFTPServer(t)
	for _, port := range []int{22, 2222} {
		for _, host := range []string{"::1", "2001:db8::7", "192.0.2.1", "h.example"} {
			o := server.Options()
			o.Host, o.Port = host, port
			o.KnownHosts = []string{spooltest.WriteFile(t, "known_hosts", "")}
			err := connectWith(t, o)
			if _, ok := errors.AsType[*spool.HostKeyError](err); !ok {
				t.Fatalf("%s port %d: %v", host, port, err)
			}
			_, line, _ := strings.Cut(err.Error(), "\n")
			o.KnownHosts = []string{spooltest.WriteFile(t, "known_hosts", line+"\n")}
			if err := connectWith(t, o); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

func serial(k ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) }

// certificate signs a key.
func certificate(t *testing.T, kind uint32, key ssh.PublicKey, principal string, authority ssh.Signer) *ssh.Certificate {
	t.Helper()
	c := &ssh.Certificate{Key: key, CertType: kind, ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity}
	if err := c.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSFTPHostCertificate(t *testing.T) {
	authority, _ := spooltest.NewKey(t)
	for principal, good := range map[string]bool{"sftp.example": true, "other.example": false} {
		server := spooltest.NewSFTPServer(t)
		c := certificate(t, ssh.HostCert, server.Host.PublicKey(), principal, authority)
		signer, err := ssh.NewCertSigner(c, server.Host)
		if err != nil {
			t.Fatal(err)
		}
		server.Config.AddHostKey(signer)
		o := server.Options()
		o.KnownHosts = []string{spooltest.WriteFile(t, "known_hosts", "@cert-authority [*.example]:2222 "+serial(authority.PublicKey())+"\n")}
		if err := connectWith(t, o); (err == nil) != good {
			t.Errorf("certificate of %s: %v", principal, err)
		}
	}
}

func TestSFTPLogin(t *testing.T) {
	server := spooltest.NewSFTPServer(t)
	_, wrong := spooltest.NewKey(t)
	user, key := spooltest.NewKey(t)
	authority, _ := spooltest.NewKey(t)
	checker := ssh.CertChecker{IsUserAuthority: func(k ssh.PublicKey) bool { return serial(k) == serial(authority.PublicKey()) }}
	plain := server.Config.PublicKeyCallback
	server.Config.PublicKeyCallback = func(c ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if p, err := checker.Authenticate(c, k); err == nil {
			return p, nil
		}
		if serial(k) == serial(user.PublicKey()) && c.User() == "agent" {
			return nil, nil
		}
		return plain(c, k)
	}
	server.Config.PasswordCallback = func(c ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
		if string(p) == "secret word" && c.User() == "password" {
			return nil, nil
		}
		return nil, errors.New("wrong")
	}
	server.Config.KeyboardInteractiveCallback = func(c ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		answers, err := ask("", "", []string{"Password: "}, []bool{false})
		if err == nil && c.User() == "pam" && answers[0] == "secret word" {
			return nil, nil
		}
		return nil, errors.New("wrong")
	}
	secret := func(s string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return s, nil }
	}
	certified := spooltest.WriteKey(t, key, "")
	text := ssh.MarshalAuthorizedKey(certificate(t, ssh.UserCert, user.PublicKey(), "certified", authority))
	if err := os.WriteFile(certified+"-cert.pub", text, 0o600); err != nil {
		t.Fatal(err)
	}
	loose := spooltest.WriteKey(t, key, "")
	if err := os.Chmod(loose, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		why    string
		change func(*spool.SFTPOptions)
		want   string // "" for success
	}{
		{"the key", func(*spool.SFTPOptions) {}, ""},
		{"a key that the server does not know", func(o *spool.SFTPOptions) { o.Identity = spooltest.WriteKey(t, wrong, "") }, `login as "spool" was refused`},
		{"no such key", func(o *spool.SFTPOptions) { o.Identity = "/none" }, "/none"},
		{"a file that is no key", func(o *spool.SFTPOptions) { o.Identity = spooltest.WriteFile(t, "id", "text") }, "no key found"},
		{"a key that anyone may replace", func(o *spool.SFTPOptions) { o.Identity = loose }, "chmod o-w"},
		{"a key that needs a passphrase", func(o *spool.SFTPOptions) { o.Identity = spooltest.WriteKey(t, key, "phrase"); o.User = "agent" }, "set passphrase_file"},
		{"the passphrase", func(o *spool.SFTPOptions) {
			o.Identity, o.Passphrase, o.User = spooltest.WriteKey(t, key, "phrase"), secret("phrase"), "agent"
		}, ""},
		{"another passphrase", func(o *spool.SFTPOptions) {
			o.Identity, o.Passphrase = spooltest.WriteKey(t, key, "phrase"), secret("phrases")
		}, "passphrase"},
		{"the certificate beside the key", func(o *spool.SFTPOptions) { o.Identity, o.User = certified, "certified" }, ""},
		{"a certificate for another user", func(o *spool.SFTPOptions) { o.Identity, o.User = certified, "root" }, "refused"},
		{"a certificate that is not there", func(o *spool.SFTPOptions) { o.Certificate = "/none" }, "/none"},
		{"a certificate that is none", func(o *spool.SFTPOptions) { o.Certificate = spooltest.WriteFile(t, "c", serial(user.PublicKey())) }, "not a certificate"},
		{"a password", func(o *spool.SFTPOptions) { o.Identity, o.Password, o.User = "", secret("secret word"), "password" }, ""},
		{"a password that is asked for", func(o *spool.SFTPOptions) { o.Identity, o.Password, o.User = "", secret("secret word"), "pam" }, ""},
		{"a wrong password", func(o *spool.SFTPOptions) { o.Identity, o.Password, o.User = "", secret("secret"), "pam" }, "refused"},
		{"the agent", func(o *spool.SFTPOptions) { o.Identity, o.User, o.Agent = "", "agent", startAgent(t, key) }, ""},
		{"no agent there", func(o *spool.SFTPOptions) { o.Identity, o.Agent = "", "/none" }, "the SSH agent"},
		{"nothing at all", func(o *spool.SFTPOptions) { o.Identity = "" }, "set identity_file or password_file"},
		{"no known_hosts", func(o *spool.SFTPOptions) { o.KnownHosts = nil }, "set known_hosts"},
	} {
		o := server.Options()
		row.change(&o)
		err := connectWith(t, o)
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: %v", row.why, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: %q is missing in: %v", row.why, row.want, err)
		case err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "phrases")):
			t.Errorf("%s: a secret in: %v", row.why, err)
		}
	}
}

func startAgent(t *testing.T, key any) string {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	socket := t.TempDir() + "/agent"
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, c) //nolint:errcheck // it ends with the connection
		}
	}()
	return socket
}

// A server that does not answer is given up, at each point.
func TestSFTPSilence(t *testing.T) {
	server := spooltest.NewSFTPServer(t)
	o := server.Options()
	o.ConnectTimeout = 50 * time.Millisecond
	o.Dial = func(context.Context, string, string) (net.Conn, error) {
		silent, _ := spooltest.NewPipe(0)
		return silent, nil
	}
	if err := connectWith(t, o); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not connected within 50ms") {
		t.Errorf("connecting: %v", err)
	}
	hold := make(chan struct{})
	server.Packet = func(request bool, data []byte) bool {
		if request && data[4] == 11 { // SSH_FXP_OPENDIR
			<-hold
		}
		return true
	}
	defer close(hold)
	o = server.Options()
	o.CommandTimeout = 50 * time.Millisecond
	f := spool.NewSFTP(context.Background(), o, time.Now)
	defer f.Close()
	if _, err := f.List("."); err == nil || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("listing: %v", err)
	}
	// And for a caller that gives up.
	ctx, cancel := context.WithCancel(context.Background())
	g := spool.NewSFTP(ctx, server.Options(), time.Now)
	defer g.Close()
	if _, err := g.Weaker(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := g.List("."); !errors.Is(err, context.Canceled) {
		t.Errorf("listing, given up: %v", err)
	}
}

// A host that cannot be reached is not tried again for each of many calls.
func TestSFTPRests(t *testing.T) {
	server := spooltest.NewSFTPServer(t)
	dials := 0
	now := time.Unix(1000, 0)
	o := server.Options()
	o.Dial = func(context.Context, string, string) (net.Conn, error) {
		dials++
		return nil, errors.New("unreachable")
	}
	f := spool.NewSFTP(context.Background(), o, func() time.Time { return now })
	defer f.Close()
	for range 5 {
		if _, err := f.List("queue"); err == nil {
			t.Fatal("listed")
		}
	}
	now = now.Add(10 * time.Second)
	if _, err := f.List("queue"); err == nil || !strings.Contains(err.Error(), "sftp.example:2222: unreachable") {
		t.Error(err)
	}
	if dials != 2 {
		t.Error(fmt.Sprint(dials, " attempts to connect"))
	}
}
