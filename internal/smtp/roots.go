package smtp

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"time"
)

// systemBundles are where systems keep all their authorities in one file; the
// first that can be read counts, as in crypto/x509.
func systemBundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Arch, Gentoo
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora
		"/etc/ssl/ca-bundle.pem",                            // openSUSE
		"/etc/pki/tls/cacert.pem",                           // OpenELEC
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL
		"/etc/ssl/cert.pem",                                 // Alpine
	}
}

// authorities verifies servers against the system's certificate authorities.
//
// crypto/x509 would parse all of them, and every file of the certificate folder:
// 10 to 20 ms for a program that lives for 5. Here only those are parsed that
// the server's chain names; a chain is built by names (the issuer of one is the
// subject of the next), so the others could not be part of it. The verification
// itself is that of crypto/x509. When it fails, it is done once more with all
// that the system has, so that nothing is refused which would be accepted
// otherwise, and nothing accepted which would be refused.
type authorities struct {
	bundle string // "" for the system's
	name   string // that the certificate must have
	now    func() time.Time
	system *x509.CertPool // all that the system has; nil to have it loaded
}

// use makes t verify by a, also when a session is resumed.
func (a authorities) use(t *tls.Config) {
	t.InsecureSkipVerify = true // of the library; VerifyConnection does it
	t.VerifyConnection = a.verify
}

// verify does what crypto/tls does with a server's certificates.
func (a authorities) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server sent no certificate")
	}
	if a.name == "" { // x509 would not look at names then
		return errors.New("there is no name to verify the certificate for")
	}
	leaf, o := s.PeerCertificates[0], x509.VerifyOptions{DNSName: a.name, Intermediates: x509.NewCertPool()}
	if a.now != nil {
		o.CurrentTime = a.now()
	}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	if o.Roots = a.named(s.PeerCertificates); o.Roots != nil {
		if _, err := leaf.Verify(o); err == nil {
			return nil
		}
	}
	o.Roots = a.system
	if _, err := leaf.Verify(o); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	return nil
}

// named are the authorities of the bundle that have to do with a chain, nil if
// there are none.
func (a authorities) named(chain []*x509.Certificate) *x509.CertPool {
	places := systemBundles()
	if a.bundle != "" {
		places = []string{a.bundle}
	}
	for _, place := range places {
		if text, err := os.ReadFile(place); err == nil {
			return namedIn(text, chain)
		}
	}
	return nil
}

// namedIn looks for certificates in PEM that have the issuer of one of chain near
// their beginning, which is true of all whose subject that is, unless their names
// are uncommonly long. What they are is for the library to find out.
func namedIn(text []byte, chain []*x509.Certificate) *x509.CertPool {
	var pool *x509.CertPool
	var der []byte
	for block := range blocks(text) {
		var err error
		if der, err = decode(der[:0], front(block[len(pemBegin):len(block)-len(pemEnd)])); err != nil || !mentions(der, chain) {
			continue
		}
		if pool == nil {
			pool = x509.NewCertPool()
		}
		pool.AppendCertsFromPEM(block)
	}
	return pool
}

// front is the part of a certificate that has its names: 13 lines are 624 octets.
func front(body []byte) []byte {
	const enough = 13 * 65
	if len(body) > enough && body[enough-1] == '\n' {
		return body[:enough]
	}
	return body
}

// decode appends what base64 stands for to der. It takes line for line, since the
// library is four times as slow when it finds the line ends itself; lines cut at
// odd places are left to it.
func decode(der, body []byte) ([]byte, error) {
	start := len(der)
	for line := range bytes.Lines(body) {
		var err error
		if der, err = base64.StdEncoding.AppendDecode(der, line[:len(line)-1]); err != nil {
			return base64.StdEncoding.AppendDecode(der[:start], body)
		}
	}
	return der, nil
}

// mentions looks for the end of the issuers only: names begin all alike.
func mentions(der []byte, chain []*x509.Certificate) bool {
	const enough = 24
	for _, c := range chain {
		if bytes.Contains(der, c.RawIssuer[max(0, len(c.RawIssuer)-enough):]) {
			return true
		}
	}
	return false
}

const (
	pemBegin = "-----BEGIN CERTIFICATE-----\n"
	pemEnd   = "-----END CERTIFICATE-----"
)

// blocks yields the certificates of a PEM file as they stand there. A file with
// other line ends has none; then the library reads it.
func blocks(text []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for {
			begin := bytes.Index(text, []byte(pemBegin))
			if begin < 0 {
				return
			}
			ours := begin == 0 || text[begin-1] == '\n' // not in a comment
			text = text[begin:]
			end := bytes.Index(text, []byte(pemEnd))
			if end < 0 {
				return
			}
			if again := bytes.Index(text[len(pemBegin):end], []byte(pemBegin)); again >= 0 { // this one is cut short
				text = text[len(pemBegin)+again-1:] // with the octet in front, as below
				continue
			}
			end += len(pemEnd)
			if ours && !yield(text[:end]) {
				return
			}
			text = text[end-1:]
		}
	}
}
