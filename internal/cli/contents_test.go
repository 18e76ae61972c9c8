package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A file is read as os.ReadFile reads it, up to the bound, whatever its length is
// beside that of the room first made.
func TestContents(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	for _, n := range []int{0, 1, 511, 512, 513, 5000, 8192, 8193, 20000} {
		want := bytes.Repeat([]byte("0123456789abcde\n"), n/16+1)[:n]
		if err := os.WriteFile(name, want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := contents(name, 8192); err != nil || !bytes.Equal(got, want[:min(n, 8192)]) {
			t.Errorf("%d octets: %d, %v", n, len(got), err)
		}
	}
	if _, err := contents(name+".none", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := contents(t.TempDir(), 10); err == nil {
		t.Error("a directory was read")
	}
	// The kernel makes up what is in it, and tells no length.
	want, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := contents("/proc/sys/kernel/random/boot_id", 100); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%q %v", got, err)
	}
}
