//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Ports of the private smarthosts.
const (
	portPlain      = 25   // Postfix, no login, everything offered
	portSubmission = 587  // Postfix, STARTTLS and login required
	portImplicit   = 465  // Postfix, TLS at once, login required
	portBare       = 2525 // Postfix, no extension offered at all
	portClientCert = 588  // Postfix, STARTTLS and a client certificate required
	portExim       = 2600 // Exim, CHUNKING and PIPELINING
)

// Account at the smarthosts that ask for one.
const (
	accountName     = "app@client.example"
	accountPassword = `p"ä ss\word`
)

// hosts is what the tests share: the running servers and where they store.
type hosts struct {
	root     string // files of this run
	mail     string // Maildir of Postfix
	eximMail string // Maildir of Exim
	started  []*exec.Cmd
}

var world hosts

// start configures and starts every server and waits until all of them answer.
func (h *hosts) start(root string) error {
	h.root = root
	h.mail = filepath.Join(root, "mail")
	h.eximMail = filepath.Join(root, "eximmail")
	if err := h.makeCertificates(); err != nil {
		return err
	}
	for _, step := range []func() error{h.startDovecot, h.startPostfix, h.startExim} {
		if err := step(); err != nil {
			return err
		}
	}
	for _, port := range []int{portPlain, portSubmission, portImplicit, portBare, portClientCert, portExim} {
		if err := waitForPort(port); err != nil {
			return fmt.Errorf("%w\n%s", err, h.logs())
		}
	}
	return nil
}

// stop ends the servers; what they forked ends with the PID namespace.
func (h *hosts) stop() {
	for _, cmd := range h.started {
		cmd.Process.Kill() //nolint:errcheck // a process that has ended already is fine
		cmd.Wait()         //nolint:errcheck // killed on purpose
	}
}

// daemon starts a server in the foreground.
func (h *hosts) daemon(name string, arg ...string) error {
	cmd := exec.Command(name, arg...)
	log, err := os.Create(filepath.Join(h.root, filepath.Base(name)+".out"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s (is its package installed?): %w", name, err)
	}
	h.started = append(h.started, cmd)
	return nil
}

// logs is what the servers said, for a failing test.
func (h *hosts) logs() string {
	var all bytes.Buffer
	for _, name := range []string{"/var/log/postfix.log", "/var/log/dovecot.log", "/var/log/exim4/mainlog"} {
		if text, err := os.ReadFile(name); err == nil {
			fmt.Fprintf(&all, "--- %s\n%s", name, tail(text, 4000))
		}
	}
	return all.String()
}

func tail(text []byte, n int) []byte { return text[max(0, len(text)-n):] }

// waitForPort waits, at most 20 s, until something accepts on the port.
func waitForPort(port int) error {
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	var err error
	for range 200 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("nothing answers on %s: %w", address, err)
}

// put writes a configuration file, the leading tab of each line taken off.
func put(name, text string, perm os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	text = strings.TrimLeft(strings.ReplaceAll(text, "\n\t", "\n"), "\n\t")
	return os.WriteFile(name, []byte(text), perm)
}

// makeCertificates makes, by openssl and so by foreign code, an authority
// (ca.pem), the smarthost's certificate and key (server.pem) with its SHA-256
// (server.sha256), and a client's (client.pem).
func (h *hosts) makeCertificates() error {
	cmd := exec.Command("sh", "-ec", `
		umask 022
		new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -subj "/CN=$2" "${@:3}"; }
		new ca "Test Authority" -x509 -days 2 -out ca.pem
		for who in server:smarthost.test client:app@client.example; do
			new "${who%%:*}" "${who#*:}" -out req.pem
			printf 'subjectAltName=DNS:%s\n' "smarthost.test" >ext
			openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem
			cat cert.pem "${who%%:*}.key" >"${who%%:*}.pem"
		done
		openssl x509 -in server.pem -outform DER | openssl dgst -sha256 -r | cut -c1-64 | tr -d '\n' >server.sha256`)
	cmd.Args[0], cmd.Path = "bash", "/bin/bash"
	cmd.Dir = h.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making certificates: %w\n%s", err, out)
	}
	return nil
}

func (h *hosts) startDovecot() error {
	err := put("/etc/dovecot/users", accountName+":{PLAIN}"+accountPassword+"\n", 0o644)
	if err != nil {
		return err
	}
	err = put("/etc/dovecot/dovecot.conf", `
	protocols =
	log_path = /var/log/dovecot.log
	ssl = no
	disable_plaintext_auth = no
	# A wrong password costs seconds otherwise, and more with each.
	auth_failure_delay = 0
	service anvil {
	  unix_listener anvil-auth-penalty {
	    mode = 0
	  }
	}
	auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer
	passdb {
	  driver = oauth2
	  mechanisms = xoauth2 oauthbearer
	  args = /etc/dovecot/oauth2.conf
	}
	passdb {
	  driver = passwd-file
	  args = username_format=%u /etc/dovecot/users
	}
	userdb {
	  driver = static
	  args = uid=65534 gid=65534 home=/nonexistent
	}
	service auth {
	  unix_listener /var/spool/postfix/private/auth {
	    mode = 0660
	    user = postfix
	    group = postfix
	  }
	}
	`, 0o644)
	if err != nil {
		return err
	}
	if err := startTokens(); err != nil {
		return err
	}
	return h.daemon("/usr/sbin/dovecot", "-F")
}

func (h *hosts) startPostfix() error {
	if err := mailFolder(h.mail); err != nil {
		return err
	}
	err := put("/etc/postfix/main.cf", `
	compatibility_level = 3.6
	maillog_file = /var/log/postfix.log
	myhostname = smarthost.test
	mydestination =
	inet_interfaces = loopback-only
	mynetworks = 127.0.0.0/8 [::1]/128
	alias_maps =
	smtputf8_enable = yes
	message_size_limit = 210000000
	mailbox_size_limit = 0
	virtual_mailbox_limit = 0
	# Every address is a mailbox here, and all are one Maildir: Delivered-To tells them apart.
	virtual_mailbox_domains = regexp:/etc/postfix/every
	virtual_mailbox_maps = static:inbox/
	virtual_mailbox_base = `+h.mail+`
	virtual_uid_maps = static:65534
	virtual_gid_maps = static:65534
	smtpd_recipient_restrictions = check_recipient_access regexp:/etc/postfix/recipients, permit_mynetworks, permit_sasl_authenticated, reject
	smtpd_tls_cert_file = `+h.root+`/server.pem
	smtpd_tls_key_file = `+h.root+`/server.pem
	smtpd_tls_CAfile = `+h.root+`/ca.pem
	smtpd_tls_received_header = yes
	smtpd_sasl_type = dovecot
	smtpd_sasl_path = private/auth
	smtpd_sasl_authenticated_header = yes
	broken_sasl_auth_clients = yes
	`, 0o644)
	if err != nil {
		return err
	}
	if err := put("/etc/postfix/every", "/./ OK\n", 0o644); err != nil {
		return err
	}
	err = put("/etc/postfix/recipients", `
	/^refused@/ 550 5.1.1 No such mailbox here
	/^later@/   451 4.7.1 Greylisted, come back later
	`, 0o644)
	if err != nil {
		return err
	}
	if err := put("/etc/postfix/master.cf", withoutServices()+postfixServices, 0o644); err != nil {
		return err
	}
	if out, err := exec.Command("chown", "-R", "postfix:", "/var/lib/postfix").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return h.daemon("/usr/sbin/postfix", "start-fg")
}

const postfixServices = `
	25     inet n - n - - smtpd
	587    inet n - n - - smtpd
	  -o smtpd_tls_security_level=encrypt
	  -o smtpd_sasl_auth_enable=yes
	  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
	465    inet n - n - - smtpd
	  -o smtpd_tls_wrappermode=yes
	  -o smtpd_sasl_auth_enable=yes
	  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
	2525   inet n - n - - smtpd
	  -o smtpd_discard_ehlo_keywords=pipelining,size,etrn,starttls,auth,enhancedstatuscodes,8bitmime,dsn,smtputf8,chunking,vrfy
	588    inet n - n - - smtpd
	  -o smtpd_tls_security_level=encrypt
	  -o smtpd_tls_req_ccert=yes
	pickup unix n - n 60 1 pickup
	cleanup unix n - n - 0 cleanup
	qmgr   unix n - n 300 1 qmgr
	tlsmgr unix - - n 1000? 1 tlsmgr
	rewrite unix - - n - - trivial-rewrite
	bounce unix - - n - 0 bounce
	defer  unix - - n - 0 bounce
	trace  unix - - n - 0 bounce
	verify unix - - n - 1 verify
	flush  unix n - n 1000? 0 flush
	proxymap unix - - n - - proxymap
	smtp   unix - - n - - smtp
	relay  unix - - n - - smtp
	showq  unix n - n - - showq
	error  unix - - n - - error
	retry  unix - - n - - error
	discard unix - - n - - discard
	virtual unix - n n - - virtual
	anvil  unix - - n - 1 anvil
	scache unix - - n - 1 scache
	postlog unix-dgram n - n - 1 postlogd
	`

// mailFolder makes a folder that the servers' delivery agents may write to.
func mailFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chown(dir, 65534, 65534)
}

// eximProgram is where fetchExim leaves Exim.
func eximProgram() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "postern-integration", "exim", "usr/sbin/exim4"), err
}

// fetchExim downloads Exim's packages and unpacks them, once. They cannot be
// installed: Debian allows one mail server, and that is Postfix here.
func fetchExim() error {
	program, err := eximProgram()
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err == nil {
		return nil
	}
	dir := strings.TrimSuffix(program, "/usr/sbin/exim4")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	get := exec.Command("sh", "-ec", `
		t=$(mktemp -d); trap 'rm -r "$t"' EXIT; dir=$PWD; cd "$t"
		apt-get download -q exim4-daemon-light exim4-base
		for f in *.deb; do dpkg -x "$f" "$dir"; done`)
	get.Dir = dir
	if out, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("fetching Exim's packages: %w\n%s", err, out)
	}
	return nil
}

func (h *hosts) startExim() error {
	program, err := eximProgram()
	if err != nil {
		return err
	}
	if err := mailFolder(h.eximMail); err != nil {
		return err
	}
	// Exim looks its own user up by name; /etc is a private copy here.
	passwd, err := os.OpenFile("/etc/passwd", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fmt.Fprintln(passwd, "Debian-exim:x:65534:65534::/var/spool/exim4:/usr/sbin/nologin")
	if err := passwd.Close(); err != nil {
		return err
	}
	group, err := os.OpenFile("/etc/group", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fmt.Fprintln(group, "Debian-exim:x:65534:")
	if err := group.Close(); err != nil {
		return err
	}
	for _, dir := range []string{"/var/spool/exim4", "/var/log/exim4"} {
		if err := mailFolder(dir); err != nil {
			return err
		}
	}
	// Exim runs itself anew as its own user and as root, so it must be where all
	// can reach it, and set-uid as its package has it.
	own := filepath.Join(h.root, "exim4")
	text, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	if err := os.WriteFile(own, text, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(own, 0o755|os.ModeSetuid); err != nil {
		return err
	}
	conf := filepath.Join(h.root, "exim.conf")
	if err := put(conf, fmt.Sprintf(eximConfiguration, own, portExim, h.eximMail), 0o644); err != nil {
		return err
	}
	return h.daemon(own, "-C", conf, "-bdf")
}

const eximConfiguration = `
	primary_hostname = exim.test
	exim_path = %s
	daemon_smtp_ports = %d
	local_interfaces = 127.0.0.1
	log_file_path = /var/log/exim4/%%slog
	spool_directory = /var/spool/exim4
	host_lookup =
	rfc1413_query_timeout = 0s
	tls_advertise_hosts =
	chunking_advertise_hosts = *
	pipelining_advertise_hosts = *
	dsn_advertise_hosts = *
	message_size_limit = 0
	smtp_accept_queue_per_connection = 0
	acl_smtp_rcpt = acl_rcpt
	begin acl
	acl_rcpt:
	  deny local_parts = refused
	       message = no such mailbox here
	  accept
	begin routers
	all:
	  driver = accept
	  transport = store
	begin transports
	store:
	  driver = appendfile
	  directory = %s/inbox
	  maildir_format
	  envelope_to_add
	  return_path_add
	  user = nobody
	  group = nogroup
	`
