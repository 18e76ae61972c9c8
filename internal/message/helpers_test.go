package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// chunked returns s piece by piece.
type chunked struct{ parts []string }

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.parts[0])
	if c.parts[0] = c.parts[0][n:]; c.parts[0] == "" {
		c.parts = c.parts[1:]
	}
	return n, nil
}

// everySplit calls f with s whole, octet by octet, with data and EOF together,
// and cut in two at every place.
func everySplit(t *testing.T, s string, f func(how string, r io.Reader)) {
	t.Helper()
	f("whole", strings.NewReader(s))
	f("one byte", iotest.OneByteReader(strings.NewReader(s)))
	f("data with EOF", iotest.DataErrReader(strings.NewReader(s)))
	for i := 1; i < len(s); i++ {
		f("split", &chunked{[]string{s[:i], s[i:]}})
	}
}

func mustRead(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return string(b)
}

// mustBody reads s as a body.
func mustBody(t testing.TB, s string) *Body {
	t.Helper()
	b, err := ReadBody(strings.NewReader(s), t.TempDir())
	if err != nil {
		t.Fatalf("ReadBody: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// wire joins lines with CRLF.
func wire(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

var errBoom = errors.New("boom")

// filler is a reader of n octets of a repeated pattern.
type filler struct {
	pattern []byte
	n       int64
	at      int
}

func (f *filler) Read(p []byte) (int, error) {
	if f.n == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), f.n)]
	n := 0
	for n < len(p) {
		k := copy(p[n:], f.pattern[f.at:])
		f.at = (f.at + k) % len(f.pattern)
		n += k
	}
	f.n -= int64(n)
	return n, nil
}

// fakeFile is a temporary file in memory whose calls fail as told.
type fakeFile struct {
	data      []byte
	room      int   // octets that fit; more is errWrite
	errWrite  error // nil with room used up: a short write
	errRead   error
	errClose  error
	truncated bool // reads end early
	closed    int
}

func (f *fakeFile) Write(p []byte) (int, error) {
	if len(f.data)+len(p) > f.room {
		n := max(f.room-len(f.data), 0)
		f.data = append(f.data, p[:n]...)
		return n, f.errWrite
	}
	f.data = append(f.data, p...)
	return len(p), nil
}

func (f *fakeFile) ReadAt(p []byte, off int64) (int, error) {
	if f.errRead != nil {
		return 0, f.errRead
	}
	data := f.data
	if f.truncated {
		data = data[:len(data)/2]
	}
	return bytes.NewReader(data).ReadAt(p, off)
}

func (f *fakeFile) Close() error {
	f.closed++
	return f.errClose
}

func (f *fakeFile) open() (tempFile, error) { return f, nil }
