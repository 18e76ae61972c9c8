//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sftpServer is a genuine SFTP server.
type sftpServer struct {
	name string
	port int
	dir  string // as the account sees it
	real string // as root does
}

// The servers and their spools. Each test uses a directory of its own in there.
func sftpServers() []sftpServer {
	return []sftpServer{
		{"internal-sftp", 2201, "/spool", "/var/spool/chroot/spool"}, // the account of the README
		{"sftp-server", 2202, "/var/spool/mailspool", "/var/spool/mailspool"},
		{"proftpd", 2203, "/var/spool/mailspool", "/var/spool/mailspool"},
	}
}

// sftpWorld starts the servers once. They share the account, its key, and the
// key of the host.
var sftpWorld = sync.OnceValue(func() error {
	for _, dir := range []string{"/var/spool/chroot", "/var/spool/chroot/spool", "/var/spool/mailspool", "/run/sshd"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	script := `
		set -e
		useradd --system --home-dir / --shell /bin/sh mailspool
		usermod -p '*' mailspool
		chown mailspool: /var/spool/chroot/spool /var/spool/mailspool
		cd ` + world.root + `
		ssh-keygen -q -t ed25519 -N '' -f ssh_host
		ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f ssh_host_rsa
		ssh-keygen -q -t ed25519 -N '' -f ssh_user
		cp ssh_user ssh_locked && ssh-keygen -q -p -N 'a phrase' -f ssh_locked
		mkdir -p /etc/ssh/authorized_keys /etc/proftpd/keys
		cp ssh_user.pub /etc/ssh/authorized_keys/mailspool
		ssh-keygen -e -m RFC4716 -f ssh_user.pub >/etc/proftpd/keys/mailspool
		for p in 2201 2202; do echo "[127.0.0.1]:$p $(cut -d' ' -f1,2 ssh_host.pub)"; done >ssh_known
		echo "[127.0.0.1]:2203 $(cut -d' ' -f1,2 ssh_host_rsa.pub)" >>ssh_known
		ssh-keygen -q -H -f ssh_known
		(umask 077 && printf 'a phrase\n' >ssh_phrase)`
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("preparing for SFTP (are openssh-server and openssh-client installed?): %w: %s", err, out)
	}
	for port, how := range map[int]string{
		2201: "Match User mailspool\n\tChrootDirectory /var/spool/chroot\n\tForceCommand internal-sftp -u 0077\n",
		2202: "",
	} {
		name := fmt.Sprintf("%s/sshd_%d", world.root, port)
		if err := put(name, fmt.Sprintf(`
			Port %d
			ListenAddress 127.0.0.1
			HostKey %[2]s/ssh_host
			AuthorizedKeysFile /etc/ssh/authorized_keys/%%u
			PidFile none
			UsePAM no
			MaxStartups 200
			AllowTcpForwarding no
			Subsystem sftp /usr/lib/openssh/sftp-server
		`, port, world.root)+"\n"+how, 0o600); err != nil {
			return err
		}
		if err := world.daemon("/usr/sbin/sshd", "-D", "-e", "-f", name); err != nil {
			return err
		}
	}
	if err := put("/etc/proftpd/test.conf", fmt.Sprintf(`
		LoadModule mod_sftp.c
		ServerType standalone
		DefaultAddress 127.0.0.1
		Port 2203
		User mailspool
		Group mailspool
		RequireValidShell off
		UseFtpUsers off
		AuthPAM off
		WtmpLog off
		TransferLog none
		MaxInstances 200
		Umask 077
		<Directory />
		  AllowOverwrite on
		</Directory>
		SFTPEngine on
		SFTPHostKey %s/ssh_host_rsa
		SFTPAuthMethods publickey
		SFTPAuthorizedUserKeys file:/etc/proftpd/keys/%%u
	`, world.root), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(world.root+"/ssh_host_rsa", 0o600); err != nil {
		return err
	}
	if err := world.daemon("/usr/sbin/proftpd", "--nodaemon", "--config", "/etc/proftpd/test.conf"); err != nil {
		return err
	}
	for _, s := range sftpServers() {
		if err := waitForPort(s.port); err != nil {
			return err
		}
	}
	return nil
})

// startSFTP starts the servers.
func startSFTP(t *testing.T) {
	t.Helper()
	if err := sftpWorld(); err != nil {
		t.Fatal(err)
	}
}

// remote is the [spool] of a server, in a directory that no other test uses.
func (s sftpServer) remote(t *testing.T) (real, table string) {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, t.Name())
	return filepath.Join(s.real, name), fmt.Sprintf("[spool]\ndir = \"sftp://mailspool@127.0.0.1:%d%s/%s\"\nknown_hosts = \"%[4]s/ssh_known\"\n"+
		"identity_file = \"%[4]s/ssh_user\"\n", s.port, s.dir, name, world.root)
}

// on runs a program as another host would: with another name, so that its
// processes are none of ours.
func on(t *testing.T, host, stdin string, arg ...string) outcome {
	t.Helper()
	return run(t, stdin, "unshare", append([]string{"--uts", "sh", "-c", `hostname "$0" && exec "$@"`, host}, arg...)...)
}
