package spool

import (
	"bytes"
	"hash/crc32"
	"testing"
)

// However a message is cut when it is written, around the point where the library
// takes over as well, the sum is the library's.
func TestChecksum(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789\x00\xff\r\nabc"), slowMost/8)
	for _, n := range []int{0, 1, 2, 15, 16, 17, slowMost - 1, slowMost, slowMost + 1, len(text)} {
		want := crc32.Checksum(text[:n], castagnoli())
		for _, part := range []int{1, 7, slowMost - 1, slowMost, slowMost + 1, len(text)} {
			var c checksum
			for p := text[:n]; len(p) > 0; p = p[min(part, len(p)):] {
				if k, err := c.Write(p[:min(part, len(p))]); k != min(part, len(p)) || err != nil {
					t.Fatal(k, err)
				}
			}
			if c.sum != want {
				t.Errorf("%d octets by %d: %08x, want %08x", n, part, c.sum, want)
			}
		}
	}
}

func FuzzChecksum(f *testing.F) {
	f.Add([]byte("123456789"))
	f.Fuzz(func(t *testing.T, p []byte) {
		if got, want := slowly(0, p), crc32.Checksum(p, castagnoli()); got != want {
			t.Errorf("%08x, want %08x", got, want)
		}
	})
}
