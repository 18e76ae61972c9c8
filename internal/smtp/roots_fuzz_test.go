package smtp

import (
	"crypto/x509"
	"os"
	"strings"
	"testing"
)

// Whatever a file looks like, the reader ends, and what it takes for a
// certificate is one for the library too.
func FuzzBlocks(f *testing.F) {
	root := certify(f, "Root", nil, nil, nil)
	one := string(encoded(root))
	for _, s := range []string{"", one, one + one, "x" + one, "x\n" + one, strings.TrimSuffix(one, "\n"), one[:60] + one, one[:len(one)-20],
		strings.Replace(one, "\n", "\nHeader: x\n\n", 1), strings.ReplaceAll(one, "\n", "\r\n"), "-----END CERTIFICATE-----\n" + one} {
		f.Add(s)
	}
	leaf := server(f, root, nil).Certificate
	f.Fuzz(func(t *testing.T, s string) {
		some, all := namedIn([]byte(s), []*x509.Certificate{leaf}), x509.NewCertPool()
		all.AppendCertsFromPEM([]byte(s))
		verify := func(pool *x509.CertPool) error {
			_, err := leaf.Verify(x509.VerifyOptions{Roots: pool})
			return err
		}
		if some != nil && verify(some) == nil && verify(all) != nil {
			t.Errorf("found in %q what the library does not find", s)
		}
	})
}

// What it costs with the bundle of a system, if there is one.
func BenchmarkAuthorities(b *testing.B) {
	for _, place := range systemBundles() {
		text, err := os.ReadFile(place)
		if err != nil {
			continue
		}
		root := certify(b, "Root", nil, nil, nil)
		leaf := server(b, root, nil)
		b.ReportAllocs()
		for b.Loop() {
			namedIn(text, chain(leaf))
		}
		return
	}
	b.Skip("no bundle")
}
