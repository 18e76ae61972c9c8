package cli

import (
	"os"
	"testing"
)

// With more rights than the caller's, his authorities do not count.
func TestDropTrust(t *testing.T) {
	t.Setenv("SSL_CERT_FILE", "/tmp/mine.pem")
	t.Setenv("SSL_CERT_DIR", "/tmp/mine")
	dropTrust()
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok {
			t.Errorf("%s is still %q", name, value)
		}
	}
}
