package smtp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// issuer is a certificate that can certify others.
type issuer struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// certify makes a certificate by parent, or by itself if that is nil; change may
// change what is usual. key nil is a new one.
func certify(t testing.TB, name string, parent *issuer, key *ecdsa.PrivateKey, change func(*x509.Certificate)) *issuer {
	t.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	if change != nil {
		change(template)
	}
	by := parent
	if by == nil {
		by = &issuer{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{c, key}
}

// server makes the certificate of mail.example.org, with changes.
func server(t testing.TB, parent *issuer, change func(*x509.Certificate)) *issuer {
	return certify(t, "mail.example.org", parent, nil, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature
		c.DNSNames = []string{"mail.example.org", "*.wild.example.org"}
		c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if change != nil {
			change(c)
		}
	})
}

func encoded(all ...*issuer) []byte {
	var b bytes.Buffer
	for _, c := range all {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes all
	}
	return b.Bytes()
}

func chain(all ...*issuer) []*x509.Certificate {
	var list []*x509.Certificate
	for _, c := range all {
		list = append(list, c.Certificate)
	}
	return list
}

// attempt is what a server shows, and whether that is good.
type attempt struct {
	name  string
	chain []*x509.Certificate
	host  string // default mail.example.org
	good  bool
}

// world makes a bundle of authorities and chains that have to do with them.
func world(t *testing.T) (bundle []byte, roots *x509.CertPool, all []attempt) {
	root, other := certify(t, "Root", nil, nil, nil), certify(t, "Other", nil, nil, nil)
	unrelated := certify(t, "Unrelated", nil, nil, nil)
	fenced := certify(t, "Fenced", nil, nil, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.net"}
	})
	expired := certify(t, "Expired", nil, nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	anchor := certify(t, "Anchor", root, nil, nil)                             // trusted, but not self-signed
	namesake := certify(t, "Root", nil, nil, nil)                              // not trusted
	selfSigned := server(t, nil, func(c *x509.Certificate) { c.IsCA = false }) // not trusted
	pinned := server(t, nil, nil)                                              // trusted as it is
	leafAnchor := server(t, namesake, nil)                                     // a leaf that is trusted, its issuer is not
	sub, deep := certify(t, "Sub", root, nil, nil), (*issuer)(nil)             // intermediates
	deep = certify(t, "Deep", sub, nil, nil)                                   //
	cross := certify(t, "Root", other, root.key, nil)                          // Root, certified by Other
	lost := certify(t, "Lost", nil, nil, nil)                                  // not trusted
	lostCross := certify(t, "Lost", other, lost.key, nil)                      // but Other says so
	short := certify(t, "Short", root, nil, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	tooLong := certify(t, "Too long", short, nil, nil)
	noCA := server(t, root, nil)

	trusted := []*issuer{unrelated, root, fenced, expired, other, anchor, pinned, leafAnchor}
	roots = x509.NewCertPool()
	for _, c := range trusted {
		roots.AddCert(c.Certificate)
	}
	change := func(f func(*x509.Certificate)) func(*x509.Certificate) { return f }
	return encoded(trusted...), roots, []attempt{
		{name: "by a root", chain: chain(server(t, root, nil)), good: true},
		{name: "by a root that is sent as well", chain: chain(server(t, root, nil), root), good: true},
		{name: "by intermediates", chain: chain(server(t, deep, nil), deep, sub), good: true},
		{name: "by intermediates in disorder", chain: chain(server(t, deep, nil), sub, deep), good: true},
		{name: "an intermediate is missing", chain: chain(server(t, deep, nil), deep)},
		{name: "by a root that is cross-signed", chain: chain(server(t, root, nil), cross), good: true},
		{name: "by one that is trusted only by its cross-signature", chain: chain(server(t, lost, nil), lostCross), good: true},
		{name: "the same, signature not sent", chain: chain(server(t, lost, nil))},
		{name: "by an anchor that is not self-signed", chain: chain(server(t, anchor, nil)), good: true},
		{name: "a trusted leaf, self-signed", chain: chain(pinned), good: true},
		{name: "a trusted leaf, its issuer is not", chain: chain(leafAnchor), good: true},
		{name: "another name", chain: chain(server(t, root, nil)), host: "mail.example.com"},
		{name: "a wildcard", chain: chain(server(t, root, nil)), host: "a.wild.example.org", good: true},
		{name: "a wildcard has one label", chain: chain(server(t, root, nil)), host: "a.b.wild.example.org"},
		{name: "a final dot", chain: chain(server(t, root, nil)), host: "mail.example.org.", good: true},
		{name: "an address", chain: chain(server(t, root, nil)), host: "192.0.2.1", good: true},
		{name: "another address", chain: chain(server(t, root, nil)), host: "192.0.2.2"},
		{name: "a name in the subject only", chain: chain(server(t, root, func(c *x509.Certificate) { c.DNSNames = nil }))},
		{name: "expired", chain: chain(server(t, root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }))},
		{name: "not yet valid", chain: chain(server(t, root, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }))},
		{name: "by a root that has expired", chain: chain(server(t, expired, nil))},
		{name: "for clients", chain: chain(server(t, root, change(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})))},
		{name: "out of the fence", chain: chain(server(t, fenced, nil))},
		{name: "within the fence", chain: chain(server(t, fenced, func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"mail.example.net"}, nil
		})), host: "mail.example.net", good: true},
		{name: "self-signed", chain: chain(selfSigned)},
		{name: "by one with the name of a root", chain: chain(server(t, namesake, nil))},
		{name: "by one with the name of a root, sent as well", chain: chain(server(t, namesake, nil), namesake)},
		{name: "by one with the name of a root, and that root sent", chain: chain(server(t, namesake, nil), root)},
		{name: "self-signed with the subject of a root", chain: chain(server(t, nil, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "Root"} }))},
		{name: "by a leaf", chain: chain(server(t, noCA, nil), noCA)},
		{name: "path too long", chain: chain(server(t, tooLong, nil), tooLong, short)},
		{name: "by nobody known", chain: chain(server(t, lost, nil), lost)},
		{name: "a root itself", chain: chain(root), host: "Root"},
	}
}

// Whatever a server shows, the answer is that of the standard verifier with all
// authorities, and that of whoever made the table.
func TestAuthorities(t *testing.T) {
	t.Parallel()
	bundle, roots, all := world(t)
	for _, form := range []struct {
		name string
		text []byte
		lazy bool // our own reader finds what it needs
	}{
		{"plain", bundle, true},
		{"with junk", slices.Concat([]byte("# hello\n-----BEGIN CERTIFICATE-----\nhalf\n"), bundle, []byte("-----BEGIN CERTIFICATE-----\n!!!\n")), true},
		{"CRLF", bytes.ReplaceAll(bundle, []byte("\n"), []byte("\r\n")), false},
		{"empty", nil, false},
	} {
		file := filepath.Join(t.TempDir(), "bundle.pem")
		if err := os.WriteFile(file, form.text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, test := range all {
			t.Run(form.name+"/"+test.name, func(t *testing.T) {
				host := test.host
				if host == "" {
					host = "mail.example.org"
				}
				standard := verifyAll(roots, test.chain, host)
				if (standard == nil) != test.good {
					t.Fatalf("the standard verifier says %v", standard)
				}
				// With all of the system's to fall back on, and with none.
				err := authorities{bundle: file, name: host, system: roots}.verify(tls.ConnectionState{PeerCertificates: test.chain})
				if (err == nil) != test.good {
					t.Errorf("%v, but the standard verifier says %v", err, standard)
				}
				if err != nil && strings.TrimPrefix(err.Error(), "tls: failed to verify certificate: ") != standard.Error() {
					t.Errorf("%q, but the standard verifier says %q", err, standard)
				}
				err = authorities{bundle: file, name: host, system: x509.NewCertPool()}.verify(tls.ConnectionState{PeerCertificates: test.chain})
				if (err == nil) != (test.good && form.lazy) {
					t.Errorf("without anything to fall back on: %v", err)
				}
			})
		}
	}
}

// verifyAll is what crypto/tls does.
func verifyAll(roots *x509.CertPool, chain []*x509.Certificate, host string) error {
	o := x509.VerifyOptions{Roots: roots, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

// Without a certificate or a name nothing is good.
func TestAuthoritiesNothing(t *testing.T) {
	t.Parallel()
	_, roots, all := world(t)
	if err := (authorities{name: "mail.example.org", system: roots}).verify(tls.ConnectionState{}); err == nil {
		t.Error("no certificate is good")
	}
	if err := (authorities{system: roots}).verify(tls.ConnectionState{PeerCertificates: all[0].chain}); err == nil {
		t.Error("any name is good")
	}
}

// Only what the chain names is parsed; a bundle that is not there is no harm.
func TestAuthoritiesNamed(t *testing.T) {
	t.Parallel()
	bundle, roots, all := world(t)
	want := x509.NewCertPool()
	for rest := bundle; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if c.Subject.CommonName == "Root" || c.Issuer.CommonName == "Root" {
			want.AddCert(c)
		}
	}
	if !namedIn(bundle, all[0].chain).Equal(want) {
		t.Error("others were parsed than those that have the name Root")
	}
	a := authorities{bundle: filepath.Join(t.TempDir(), "none"), name: "mail.example.org", system: roots}
	if err := a.verify(tls.ConnectionState{PeerCertificates: all[0].chain}); err != nil {
		t.Error(err)
	}
	a.now = func() time.Time { return time.Now().Add(48 * time.Hour) }
	if err := a.verify(tls.ConnectionState{PeerCertificates: all[0].chain}); err == nil {
		t.Error("still good in two days")
	}
}

// An authority whose names do not end where they are looked for is found in the
// second attempt.
func TestAuthoritiesLongNames(t *testing.T) {
	t.Parallel()
	long := certify(t, "Long", nil, nil, func(c *x509.Certificate) {
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 10}, Value: strings.Repeat("o", 700)}}
	})
	file := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(file, encoded(long), 0o600); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(long.Certificate)
	shown := tls.ConnectionState{PeerCertificates: chain(server(t, long, nil))}
	if err := (authorities{bundle: file, name: "mail.example.org", system: roots}).verify(shown); err != nil {
		t.Error(err)
	}
}

// In a real handshake the check is made with a full exchange and with a resumed
// session, and its error is the one that the library would give.
func TestAuthoritiesHandshake(t *testing.T) {
	t.Parallel()
	root := certify(t, "Root", nil, nil, nil)
	leaf := server(t, root, nil)
	file := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(file, encoded(root), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: leaf.key}}}
	cache := tls.NewLRUClientSessionCache(1)
	shake := func(host string) (resumed bool, err error) {
		ours := &tls.Config{ServerName: "mail.example.org", ClientSessionCache: cache}
		authorities{bundle: file, name: host, system: x509.NewCertPool()}.use(ours)
		return handshakes(t, ours, theirs)
	}
	for i, want := range []bool{false, true} {
		if resumed, err := shake("mail.example.org"); err != nil || resumed != want {
			t.Errorf("handshake %d: resumed %v, %v", i, resumed, err)
		}
	}
	var verification *tls.CertificateVerificationError
	if _, err := shake("other.example.org"); !errors.As(err, &verification) {
		t.Errorf("a resumed session with another name: %v", err)
	}
}

// handshakes connects both over loopback and exchanges an octet, so that a
// session ticket comes.
func handshakes(t *testing.T, ours, theirs *tls.Config) (resumed bool, err error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Write([]byte("x")) // what goes wrong shows at the other end
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), ours)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().DidResume, nil
}
