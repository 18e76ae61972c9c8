package smtptest

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

func TestAuthority(t *testing.T) {
	a, config := serverTLS(t)
	cert, err := a.Client("host.test")
	if err != nil {
		t.Fatal(err)
	}
	pem, err := CertificatePEM(cert)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = tls.X509KeyPair(pem, pem); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.PEM()) {
		t.Fatal("no certificate in PEM")
	}
	for _, use := range []struct {
		cert tls.Certificate
		name string
		use  x509.ExtKeyUsage
		ok   bool
	}{
		{config.Certificates[0], "smarthost.test", x509.ExtKeyUsageServerAuth, true},
		{config.Certificates[0], "127.0.0.1", x509.ExtKeyUsageServerAuth, true},
		{config.Certificates[0], "other.test", x509.ExtKeyUsageServerAuth, false},
		{config.Certificates[0], "", x509.ExtKeyUsageClientAuth, false},
		{cert, "", x509.ExtKeyUsageClientAuth, true},
		{cert, "", x509.ExtKeyUsageServerAuth, false},
	} {
		leaf, err := x509.ParseCertificate(use.cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: use.name, KeyUsages: []x509.ExtKeyUsage{use.use}})
		if (err == nil) != use.ok {
			t.Errorf("%s for %q, use %v: %v", leaf.Subject.CommonName, use.name, use.use, err)
		}
	}
}
