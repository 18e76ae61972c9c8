//go:build integration

package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// records are what the name server of these tests has: an MX that is an alias, a
// null MX, SRV for submission, SRV for none.
func records(q dnsmessage.Question) (out []dnsmessage.Resource) {
	name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
	add := func(owner string, body dnsmessage.ResourceBody, kind dnsmessage.Type) {
		header := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(owner + "."), Class: dnsmessage.ClassINET, Type: kind}
		out = append(out, dnsmessage.Resource{Header: header, Body: body})
	}
	switch key := name + " " + strings.TrimPrefix(q.Type.String(), "Type"); key {
	case "smarthost.test A", "mx.dest.test A":
		add(name, &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}, dnsmessage.TypeA)
	case "alias.dest.test A":
		add(name, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("mx.dest.test.")}, dnsmessage.TypeCNAME)
		add("mx.dest.test", &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}, dnsmessage.TypeA)
	case "dest.test MX":
		add(name, &dnsmessage.MXResource{Pref: 20, MX: dnsmessage.MustNewName("alias.dest.test.")}, dnsmessage.TypeMX)
		add(name, &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("gone.dest.test.")}, dnsmessage.TypeMX)
	case "nomail.test MX":
		add(name, &dnsmessage.MXResource{MX: dnsmessage.MustNewName(".")}, dnsmessage.TypeMX)
	case "_submissions._tcp.smarthost.test SRV":
		add(name, &dnsmessage.SRVResource{Port: portImplicit, Target: dnsmessage.MustNewName("smarthost.test.")}, dnsmessage.TypeSRV)
	case "_submission._tcp.nomail.test SRV", "_submissions._tcp.nomail.test SRV":
		add(name, &dnsmessage.SRVResource{Target: dnsmessage.MustNewName(".")}, dnsmessage.TypeSRV)
	}
	return out
}

// serveNames has the records above for the test.
func serveNames(t *testing.T) {
	t.Helper()
	serveRecords(t, records, func(name string) bool {
		return strings.HasPrefix(name, "smarthost.") || strings.Contains(name, "dest.test.")
	})
}

// serveRecords is a name server on loopback, and this host's only one for the
// test. A name that exists may have no record of a kind.
func serveRecords(t *testing.T, records func(dnsmessage.Question) []dnsmessage.Resource, exists func(name string) bool) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	before, readErr := os.ReadFile("/etc/resolv.conf")
	if err := os.WriteFile("/etc/resolv.conf", []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if readErr == nil {
			os.WriteFile("/etc/resolv.conf", before, 0o644) //nolint:errcheck // a private copy
		}
	})
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			m.Answers = records(m.Questions[0])
			if len(m.Answers) == 0 && !exists(m.Questions[0].Name.String()) {
				m.RCode = dnsmessage.RCodeNameError
			}
			if packed, err := m.Pack(); err == nil {
				conn.WriteTo(packed, from) //nolint:errcheck // the resolver asks again
			}
		}
	}()
}

// Names that DNS leads elsewhere: MX with an alias and one that is gone, null MX,
// SRV with implicit TLS, SRV "." for no service.
func TestLookup(t *testing.T) {
	serveNames(t)
	ca := fmt.Sprintf("ca_file = %q\n", filepath.Join(world.root, "ca.pem"))
	account := fmt.Sprintf("username = %q\npassword = %q\n", accountName, accountPassword)
	for name, test := range map[string]struct {
		smarthost string
		status    int
		says      string
	}{
		"address":      {"host = \"smarthost.test\"\ntls = \"starttls\"\nport = 2540\n" + ca, 0, ""},
		"mx, a CNAME":  {"host = \"dest.test\"\nlookup = \"mx\"\ntls = \"none\"\n", 0, ""},
		"null MX":      {"host = \"nomail.test\"\nlookup = \"mx\"\n", 68, "null MX"},
		"no such name": {"host = \"nowhere.test\"\nlookup = \"mx\"\n", 68, "no such name"},
		"srv":          {"host = \"smarthost.test\"\nlookup = \"srv\"\n" + ca + account, 0, ""},
		"srv, none":    {"host = \"nomail.test\"\nlookup = \"srv\"\n", 68, "no SRV record"},
		"two hosts":    {"host = [\"nowhere.test\", \"smarthost.test\"]\nport = 25\n" + ca, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			configure(t, test.smarthost)
			to := mailbox(t, "to")
			got := run(t, "Subject: x\n\nbody\n", sendmail, "-i", to)
			if got.status != test.status {
				t.Errorf("%+v", got)
			}
			if has(t, "stderr", got.stderr, test.says); test.status == 0 && got.status == 0 {
				waitFor(t, to)
			}
		})
	}
}

// lead carries connections from l to Postfix. With socks it speaks SOCKS5 before
// (RFC 1928), and leads to where it is told.
func lead(t *testing.T, l net.Listener, socks bool) {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go carry(conn, socks)
		}
	}()
}

func carry(conn net.Conn, socks bool) {
	defer conn.Close()
	to := fmt.Sprintf("127.0.0.1:%d", portWithout) // STARTTLS and all else
	if socks {
		buf := make([]byte, 300)
		read := func(n int) []byte { io.ReadFull(conn, buf[:n]); return buf[:n] } //nolint:errcheck // then nothing works
		read(int(read(2)[1]))
		conn.Write([]byte{5, 0}) //nolint:errcheck // likewise
		kind := read(4)[3]
		host := ""
		if kind == 3 {
			host = string(read(int(read(1)[0])))
		} else {
			host = net.IP(read(4)).String()
		}
		port := read(2)
		to = net.JoinHostPort(host, fmt.Sprint(int(port[0])<<8|int(port[1])))
		conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}) //nolint:errcheck // likewise
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(server, conn) //nolint:errcheck // the other direction ends both
	io.Copy(conn, server)    //nolint:errcheck // likewise
}

// Every other way to reach the server.
func TestWays(t *testing.T) {
	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	path := filepath.Join(t.TempDir(), "smtp.sock")
	unix, proxy := listen("unix", path), listen("tcp", "127.0.0.1:0")
	lead(t, unix, false)
	lead(t, proxy, true)
	server := fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\n", portPlain)
	ca := filepath.Join(world.root, "ca.pem")
	for name, test := range map[string]struct {
		smarthost string
		dialogue  string // of -v
		trace     string // of the server
	}{
		"source_address":   {server + "source_address = \"127.0.0.9\"\n", "", "[127.0.0.9]"},
		"source_address 2": {server + "source_address = \"127.0.0.9:40123\"\n", "", "[127.0.0.9]"},
		"ehlo":             {server + "ehlo = \"other.client.example\"\n", "> EHLO other.client.example", "from other.client.example"},
		"ipv6":             {fmt.Sprintf("host = \"::1\"\nport = %d\n", portPlain), "", "[IPv6:::1]"},
		"socket":           {fmt.Sprintf("socket = %q\ntls = \"none\"\n", path), "* connected to " + path, ""},
		"socket, TLS":      {fmt.Sprintf("socket = %q\ntls = \"starttls\"\nserver_name = \"smarthost.test\"\nca_file = %q\n", path, ca), "* TLS 1.3", "TLSv1.3"},
		"proxy":            {server + fmt.Sprintf("proxy = \"socks5://%s\"\n", proxy.Addr()), "", ""},
		"connect_command": {fmt.Sprintf("connect_command = [\"/usr/bin/openssl\", \"s_client\", \"-quiet\", \"-verify_quiet\", \"-connect\", \"127.0.0.1:%d\", \"-CAfile\", %q]\nusername = %q\npassword = %q\n",
			portImplicit, ca, accountName, accountPassword), "* connected to /usr/bin/openssl", "Authenticated sender"},
		"timeouts": {server + "connect_timeout = \"3s\"\ncommand_timeout = \"20s\"\n", "", ""},
		"options":  {server + "mail_options = [\"MT-PRIORITY=1\"]\nrcpt_options = [\"MT-PRIORITY=1\"]\n", "> MAIL FROM:<root@client.example> SIZE=", ""},
	} {
		t.Run(name, func(t *testing.T) {
			configure(t, test.smarthost)
			to := mailbox(t, "to")
			got := run(t, "Subject: x\n\nbody\n", sendmail, "-v", "-i", to)
			if got.status != 0 {
				t.Fatalf("%+v", got)
			}
			has(t, "dialogue", got.stderr, test.dialogue)
			has(t, "trace", waitFor(t, to).trace, test.trace)
		})
	}
}
