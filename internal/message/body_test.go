package message

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
)

var bodyCases = []struct {
	why, in, want string
	facts         Facts // without Size
}{
	{"an empty body stays empty", "", "", Facts{}},
	{"a lone LF is an empty line", "\n", "\r\n", Facts{Lines: 1}},
	{"LF", "a\nbc\n", "a\r\nbc\r\n", Facts{Lines: 2, LongestLine: 2}},
	{"CRLF stays", "a\r\nbc\r\n", "a\r\nbc\r\n", Facts{Lines: 2, LongestLine: 2}},
	{"PHP 8: CRLF and LF mixed", "a\r\nb\nc", "a\r\nb\r\nc\r\n", Facts{Lines: 3, LongestLine: 1}},
	{"no end: one is added", "abc", "abc\r\n", Facts{Lines: 1, LongestLine: 3}},
	{"empty lines at the end stay", "a\n\n\n", "a\r\n\r\n\r\n", Facts{Lines: 3, LongestLine: 1}},
	{"progress bar: a bare CR ends a line", "1%\r22%\rok\n", "1%\r\n22%\r\nok\r\n", Facts{Lines: 3, LongestLine: 3}},
	{"last line with CR and no LF", "a\r", "a\r\n", Facts{Lines: 1, LongestLine: 1}},
	{"CR CR LF: two ends", "a\r\r\nb", "a\r\n\r\nb\r\n", Facts{Lines: 3, LongestLine: 1}},
	{"LF CR: two ends", "a\n\rb", "a\r\n\r\nb\r\n", Facts{Lines: 3, LongestLine: 1}},
	{"CRs only", "\r\r\r", "\r\n\r\n\r\n", Facts{Lines: 3}},
	{"NUL is kept", "a\x00b\n", "a\x00b\r\n", Facts{Lines: 1, LongestLine: 3, NUL: true}},
	{"NUL after CR", "\r\x00", "\r\n\x00\r\n", Facts{Lines: 2, LongestLine: 1, NUL: true}},
	{"8-bit and control octets are kept", "\xff\x1b[1m\x7f\n", "\xff\x1b[1m\x7f\r\n", Facts{Lines: 1, LongestLine: 6, EightBit: true}},
	{"8-bit at the ninth octet", "12345678\x80", "12345678\x80\r\n", Facts{Lines: 1, LongestLine: 9, EightBit: true}},
	{"a dot is not stuffed here", ".\n..\n", ".\r\n..\r\n", Facts{Lines: 2, LongestLine: 2}},
}

func TestReadBody(t *testing.T) {
	dir := t.TempDir()
	for _, c := range bodyCases {
		c.facts.Size = int64(len(c.want))
		everySplit(t, c.in, func(how string, r io.Reader) {
			b, err := ReadBody(r, dir)
			if err != nil {
				t.Fatalf("%s (%s): %v", c.why, how, err)
			}
			if got := mustRead(t, b.Open()); got != c.want || b.Facts() != c.facts {
				t.Errorf("%s (%s): %q gives %q %+v, want %q %+v", c.why, how, c.in, got, b.Facts(), c.want, c.facts)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// referenceLines is the normaliser, on a whole input.
func referenceLines(in string) string {
	in = strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\n"), "\r", "\n")
	if in != "" && !strings.HasSuffix(in, "\n") {
		in += "\n"
	}
	return strings.ReplaceAll(in, "\n", "\r\n")
}

func referenceFacts(s string) Facts {
	f := Facts{Size: int64(len(s)), NUL: strings.Contains(s, "\x00")}
	for _, l := range strings.SplitAfter(s, "\r\n") {
		if l != "" {
			f.Lines++
			f.LongestLine = max(f.LongestLine, len(strings.TrimSuffix(l, "\r\n")))
		}
	}
	f.EightBit = strings.IndexFunc(s, func(r rune) bool { return r > 127 }) >= 0
	return f
}

func FuzzReadBody(f *testing.F) {
	for _, c := range bodyCases {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, r := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in)), iotest.HalfReader(bytes.NewReader(in))} {
			b, err := ReadBody(r, "")
			if err != nil {
				t.Fatal(err)
			}
			got := mustRead(t, b.Open())
			if want := referenceLines(string(in)); got != want {
				t.Fatalf("%q gives %q, want %q", in, got, want)
			}
			if want := referenceFacts(got); b.Facts() != want {
				t.Fatalf("%q: %+v, want %+v", in, b.Facts(), want)
			}
		}
	})
}

// The limit between memory and file shows in nothing but the directory.
func TestReadBodyAroundTheLimit(t *testing.T) {
	for _, n := range []int{chunkSize - 1, chunkSize, memoryLimit - 1, memoryLimit, memoryLimit + 1, memoryLimit + bufferSize, 3*memoryLimit + 7} {
		in := strings.Repeat("0123456789abcde\n", n/16+1)[:n-1] + "z"
		want := referenceLines(in)
		b := mustBody(t, in)
		if got := mustRead(t, b.Open()); got != want {
			t.Errorf("%d octets: not the same", n)
		}
		if b.Facts() != referenceFacts(want) {
			t.Errorf("%d octets: %+v", n, b.Facts())
		}
		if onDisk := b.file != nil; onDisk != (len(want) > memoryLimit) {
			t.Errorf("%d octets: file is %v", len(want), onDisk)
		}
	}
}

func TestTempFileIsUnlinkedAndPrivate(t *testing.T) {
	dir := t.TempDir()
	b, err := ReadBody(&filler{pattern: []byte("line\n"), n: 2 << 20}, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	info, err := b.file.(*os.File).Stat()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestReadersAreIndependent(t *testing.T) {
	for _, size := range []int64{1000, 2 << 20} {
		b, err := ReadBody(&filler{pattern: []byte("some line\r\n"), n: size}, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		want := mustRead(t, b.Open())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				r := b.Open()
				half, _ := r.Seek(int64(len(want)/2), io.SeekStart)
				if got := mustRead(t, r); got != want[half:] {
					t.Error("second half differs")
				}
			})
		}
		wg.Wait()
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestReadBodyInputFails(t *testing.T) {
	for _, n := range []int64{0, 10, 2 << 20} {
		f := &fakeFile{room: 1 << 30}
		r := io.MultiReader(&filler{pattern: []byte("line\n"), n: n}, iotest.ErrReader(errBoom))
		b, err := readBody(r, f.open)
		var in *InputError
		if b != nil || !errors.As(err, &in) || !errors.Is(err, errBoom) {
			t.Errorf("after %d octets: %v, %v", n, b, err)
		}
		if n > memoryLimit && f.closed != 1 {
			t.Errorf("after %d octets: closed %d times", n, f.closed)
		}
	}
	var in *InputError
	if _, err := ReadBody(idleReader{}, ""); !errors.As(err, &in) || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("idle: %v", err)
	}
}

func TestReadBodyStoreFails(t *testing.T) {
	cases := []struct {
		why  string
		open opener
		full bool
		want error
	}{
		{"no directory", openIn("/nonexistent/postern"), false, os.ErrNotExist},
		{"none named", openIn(""), false, errNoDir},
		{"disk full at once", (&fakeFile{errWrite: syscall.ENOSPC}).open, true, syscall.ENOSPC},
		{"disk full later", (&fakeFile{room: 1500 << 10, errWrite: syscall.ENOSPC}).open, true, syscall.ENOSPC},
		{"disk full at the last write", (&fakeFile{room: 2<<20 - 1, errWrite: syscall.ENOSPC}).open, true, syscall.ENOSPC},
		{"quota", (&fakeFile{errWrite: syscall.EDQUOT}).open, true, syscall.EDQUOT},
		{"I/O error", (&fakeFile{errWrite: syscall.EIO}).open, false, syscall.EIO},
		{"a short write without an error", (&fakeFile{room: 1 << 20}).open, false, io.ErrShortWrite},
	}
	for _, c := range cases {
		b, err := readBody(&filler{pattern: []byte("0123456\r\n"[:8] + "\n"), n: 2 << 20}, c.open)
		var se *StoreError
		if b != nil || !errors.As(err, &se) || !errors.Is(err, c.want) || se.NoSpace() != c.full {
			t.Errorf("%s: %v", c.why, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "message: temporary file: ") {
			t.Errorf("%s: text %q", c.why, err)
		}
	}
}

// Reading back: an error is an error, and so is a file that became shorter.
func TestBodyReadFails(t *testing.T) {
	for why, f := range map[string]*fakeFile{
		"I/O error":  {room: 1 << 30, errRead: syscall.EIO},
		"cut short":  {room: 1 << 30, truncated: true},
		"close only": {room: 1 << 30, errClose: syscall.EIO},
	} {
		b, err := readBody(&filler{pattern: []byte("\xff line\n"), n: 2 << 20}, f.open)
		if err != nil {
			t.Fatal(err)
		}
		var se *StoreError
		n, err := io.Copy(io.Discard, b.Open())
		if why != "close only" && !errors.As(err, &se) {
			t.Errorf("%s: read %d, %v", why, n, err)
		}
		r, err := New([]byte("\r\n"), b).Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.ReadAll(r); why != "close only" && !errors.As(err, &se) {
			t.Errorf("%s: message: %v", why, err)
		}
		m, err := New([]byte("\r\n"), b).For(Wire{})
		if why != "close only" && (m != nil || !errors.As(err, &se)) {
			t.Errorf("%s: For: %v", why, err)
		}
		if err := b.Close(); (err != nil) != (why == "close only") {
			t.Errorf("%s: Close: %v", why, err)
		}
	}
}

func TestReadAt(t *testing.T) {
	for _, s := range []string{"0123456789\r\n", strings.Repeat("0123456789abcd\r\n", 70_000)} {
		b := mustBody(t, s)
		size := int64(len(s))
		buf := make([]byte, 8)
		for _, c := range []struct {
			off  int64
			n    int
			want error
		}{{0, 8, nil}, {size - 8, 8, nil}, {size - 7, 7, io.EOF}, {size, 0, io.EOF}, {size + 9, 0, io.EOF}} {
			n, err := b.ReadAt(buf, c.off)
			if n != c.n || err != c.want || (n > 0 && string(buf[:n]) != s[c.off:c.off+int64(n)]) {
				t.Errorf("size %d at %d: %d, %v", size, c.off, n, err)
			}
		}
		if _, err := b.ReadAt(buf, -1); err == nil {
			t.Error("negative offset")
		}
	}
}

func TestReadBodyMemory(t *testing.T) {
	for _, pattern := range []string{"a normal line of text, as logs have them\n", "x", "\r"} {
		dir := t.TempDir()
		used := allocated(func() {
			b, err := ReadBody(&filler{pattern: []byte(pattern), n: 20 << 20}, dir)
			if err != nil {
				t.Error(err)
				return
			}
			b.Close()
		})
		if used > 6<<20 {
			t.Errorf("%q: %d octets allocated", pattern, used)
		}
	}
}

func BenchmarkReadBody(b *testing.B) {
	for name, c := range map[string]struct {
		pattern string
		n       int64
	}{
		"small-LF":   {"a normal line of text, as logs have them\n", 4 << 10},
		"large-LF":   {"a normal line of text, as logs have them\n", 16 << 20},
		"large-CRLF": {"a normal line of text, as logs have them\r\n", 16 << 20},
	} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			b.SetBytes(c.n)
			b.ReportAllocs()
			for b.Loop() {
				body, err := ReadBody(&filler{pattern: []byte(c.pattern), n: c.n}, dir)
				if err != nil {
					b.Fatal(err)
				}
				body.Close()
			}
		})
	}
}
