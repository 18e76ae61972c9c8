package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// peerPackages are Debian's packages of the programs to compare with. Each is
// unpacked into a folder of its own.
var peerPackages = []string{"postfix", "nullmailer", "dma", "msmtp", "esmtp"}

// fetchPeers downloads and unpacks the peers and the libraries they need, once.
// They cannot be installed: Debian allows one mail server at a time.
func fetchPeers(dir string) error {
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "fetching the peers' packages")
	args := append([]string{dir}, peerPackages...)
	if err := shell(dir, `
		dir=$1; shift
		for p; do
			mkdir -p "$dir/debs/$p"; cd "$dir/debs/$p"
			apt-get download -q "$p"
			dpkg -x ./*.deb "$dir/$p"
		done
		# nullmailer and postfix both have a mailq.
		cp -a "$dir/nullmailer/usr/bin/mailq" "$dir/nullmailer/usr/bin/nullmailer-mailq"
		mkdir -p "$dir/libraries/usr/lib" "$dir/debs/libraries"; cd "$dir/debs/libraries"
		apt-get download -q libsecret-1-0 libesmtp6 libgsasl18 libntlm0 libidn12 libglib2.0-0 libpcre2-8-0 \
			libicu72 libnsl2 libdb5.3 libsasl2-2 libtirpc3
		for f in *.deb; do dpkg -x "$f" "$dir/libraries"; done
		if [ -d "$dir/libraries/lib" ]; then cp -a "$dir/libraries/lib/." "$dir/libraries/usr/lib/"; fi
		rm -rf "$dir/debs"`, args...); err != nil {
		return fmt.Errorf("fetching the peers' packages (needs Debian and its mirror): %w", err)
	}
	return os.WriteFile(done, nil, 0o644)
}

// preparePeers makes users and spools that the packages' scripts would make.
func preparePeers(peers string) error {
	return shell("/", `
		mkdir -p /etc/postfix; cp -a "$1/postfix/etc/postfix/." /etc/postfix/
		cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf

		grep -q ^postfix: /etc/passwd || echo postfix:x:890:890::/var/spool/postfix:/usr/sbin/nologin >>/etc/passwd
		grep -q ^postfix: /etc/group || echo postfix:x:890: >>/etc/group
		grep -q ^postdrop: /etc/group || echo postdrop:x:891: >>/etc/group
		chown postfix: /var/lib/postfix
		rm -rf /var/spool/dma /var/spool/nullmailer /var/spool/postfix
		mkdir -p /var/spool/postfix /etc/dma /etc/nullmailer
		install -d -o root -g mail -m 2775 /var/spool/dma
		for d in . queue tmp failed; do install -d -o mail -g mail /var/spool/nullmailer/$d; done
		mkfifo /var/spool/nullmailer/trigger
		for p in msmtp esmtp dma nullmailer-inject nullmailer-queue nullmailer-send postdrop postqueue; do
			if ldd "$(command -v $p)" | grep 'not found'; then echo "$p: a library is missing"; exit 1; fi
		done
		echo `+hostName+` >/etc/mailname
		echo `+hostName+` >/etc/nullmailer/me`, peers)
}

// configurePeers points all of them at a port of the smarthost. The files of
// msmtp and esmtp, which take them as arguments, are msmtp.PORT and esmtp.PORT.
func configurePeers(dir string, port int, secure bool) error {
	msmtp, dma, nullmailer := "", "", ""
	if secure {
		msmtp = "tls on\ntls_starttls on\ntls_trust_file /etc/ssl/certs/ca-certificates.crt\nauth plain\nuser user\npassword password\n"
		dma = "SECURETRANSFER\nSTARTTLS\nAUTHPATH /etc/dma/auth.conf\n"
		nullmailer = " --starttls --x509cafile=/etc/ssl/certs/ca-certificates.crt --auth-login --user=user --pass=password"
	}
	host := smarthost
	return errors.Join(
		put(filepath.Join(dir, fmt.Sprint("msmtp.", port)), true, "defaults\naccount default\nhost %s\nport %d\nfrom app@bench.test\ndomain %s\n%s",
			host, port, hostName, msmtp),
		put(filepath.Join(dir, fmt.Sprint("esmtp.", port)), true, "hostname = %s:%d\nusername = \"\"\npassword = \"\"\n", host, port),
		put("/etc/dma/dma.conf", false, "SMARTHOST %s\nPORT %d\nMAILNAME %s\n%s", host, port, hostName, dma),
		put("/etc/dma/auth.conf", false, "user|%s:password\n", host),
		put("/etc/nullmailer/remotes", false, "%s smtp --port=%d%s\n", host, port, nullmailer),
		configurePostfix(port),
	)
}

func configurePostfix(port int) error {
	return put("/etc/postfix/main.cf", false, `compatibility_level = 3.6
maillog_file = /var/log/postfix.log
myhostname = %s
mydestination =
inet_interfaces = loopback-only
relayhost = [%s]:%d
smtp_host_lookup = native
`, hostName, smarthost, port)
}
