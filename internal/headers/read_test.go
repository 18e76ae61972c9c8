package headers

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func readAll(t *testing.T, r io.Reader) (header, body string) {
	t.Helper()
	b, rest, err := Read(r, DefaultLimit)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(rest)
	if err != nil {
		t.Fatal(err)
	}
	return string(b.Bytes()), string(text)
}

// twoChunks gives a stream in two reads.
type twoChunks struct{ parts [][]byte }

func (c *twoChunks) Read(p []byte) (int, error) {
	for len(c.parts) > 0 {
		if len(c.parts[0]) == 0 {
			c.parts = c.parts[1:]
			continue
		}
		n := copy(p, c.parts[0])
		c.parts[0] = c.parts[0][n:]
		return n, nil
	}
	return 0, io.EOF
}

var readTests = []struct{ why, in, header, body string }{
	{"LF", "A: 1\nB: 2\n\nbody\n", "A: 1\r\nB: 2\r\n\r\n", "body\n"},
	{"CRLF", "A: 1\r\n\r\nbody\r\n", "A: 1\r\n\r\n", "body\r\n"},
	{"CRLF header, LF body (PHP 8)", "A: 1\r\n\r\nbody\n", "A: 1\r\n\r\n", "body\n"},
	{"CRLF line, LF empty line", "A: 1\r\n\nbody\n", "A: 1\r\n\r\n", "body\n"},
	{"header only", "A: 1\n", "A: 1\r\n\r\n", ""},
	{"the last header line without an end counts", "A: 1\nBcc: x", "A: 1\r\nBcc: x\r\n\r\n", ""},
	{"nothing", "", "\r\n", ""},
	{"a lone line end", "\n", "\r\n", ""},
	{"two line ends: the second is body", "\n\nx\n", "\r\n", "\nx\n"},
	{"text only", "hello world\nmore\n", "\r\n", "hello world\nmore\n"},
	{"word and colon is a field", "note: x\n\nbody\n", "note: x\r\n\r\n", "body\n"},
	{"a line without a colon ends it", "A: 1\njunk\nBcc: x\n\ny\n", "A: 1\r\n\r\n", "junk\nBcc: x\n\ny\n"},
	{"blank in the name ends it", "A: 1\nA B: 2\n\n", "A: 1\r\n\r\n", "A B: 2\n\n"},
	{"8-bit name ends it", "A: 1\nÄ: 2\n\n", "A: 1\r\n\r\n", "Ä: 2\n\n"},
	{"empty name ends it", "A: 1\n: 2\n\n", "A: 1\r\n\r\n", ": 2\n\n"},
	{"blanks before the colon go", "Bcc \t: x\n\nb\n", "Bcc: x\r\n\r\n", "b\n"},
	{"folds stay", "A: 1\n\t2\n  3\nB: 4\n\n", "A: 1\r\n\t2\r\n  3\r\nB: 4\r\n\r\n", ""},
	{"a line of blanks continues", "A: 1\n \nB: 2\n\nb\n", "A: 1\r\n \r\nB: 2\r\n\r\n", "b\n"},
	{"an indented first line is body", " x\nA: 1\n\n", "\r\n", " x\nA: 1\n\n"},
	{"mbox line goes", "From a@x Tue Nov 24\nA: 1\n\nb\n", "A: 1\r\n\r\n", "b\n"},
	{"mbox line alone", "From a@x", "\r\n", ""},
	{"mbox line later ends it", "A: 1\nFrom a@x 10:00\n\n", "A: 1\r\n\r\n", "From a@x 10:00\n\n"},
	{"quoted mbox line is no field", ">From x\nA: 1\n\n", "\r\n", ">From x\nA: 1\n\n"},
	{"byte order mark: no header", "\xef\xbb\xbfTo: x\n\n", "\r\n", "\xef\xbb\xbfTo: x\n\n"},
	{"bare CR cannot begin a field", "Subject: a\rBcc: x\n\nb\n", "Subject: a Bcc: x\r\n\r\n", "b\n"},
	{"NUL goes", "Subject: a\x00b\n\n", "Subject: ab\r\n\r\n", ""},
	{"other controls and 8-bit stay", "A: \x01\xff\n\n", "A: \x01\xff\r\n\r\n", ""},
	{"empty value", "A:\nB: \n\n", "A:\r\nB: \r\n\r\n", ""},
	{"lone dot first", ".\nA: 1\n", "\r\n", ".\nA: 1\n"},
}

func TestRead(t *testing.T) {
	for _, test := range readTests {
		header, body := readAll(t, strings.NewReader(test.in))
		if header != test.header || body != test.body {
			t.Errorf("%s: %q: got %q and %q, want %q and %q", test.why, test.in, header, body, test.header, test.body)
		}
	}
}

// How the input is cut into reads makes no difference.
func TestReadSplit(t *testing.T) {
	for _, test := range readTests {
		for i := range len(test.in) + 1 {
			in := []byte(test.in)
			header, body := readAll(t, &twoChunks{[][]byte{in[:i:i], in[i:]}})
			if header != test.header || body != test.body {
				t.Errorf("%s: cut at %d: got %q and %q", test.why, i, header, body)
			}
		}
		header, body := readAll(t, iotest.OneByteReader(strings.NewReader(test.in)))
		if header != test.header || body != test.body {
			t.Errorf("%s: octet by octet: got %q and %q", test.why, header, body)
		}
	}
}

// zeros is a long line.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	for i := range n {
		p[i] = 'x'
	}
	z.left -= n
	return n, nil
}

func TestReadBounds(t *testing.T) {
	// A first line of 100 MB that is no field streams through.
	_, rest, err := Read(&zeros{100 << 20}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, rest); n != 100<<20 || err != nil {
		t.Errorf("%d octets of body, %v", n, err)
	}
	// A field over the limit, and many small ones.
	for _, in := range []io.Reader{
		io.MultiReader(strings.NewReader("A: "), &zeros{1 << 20}),
		strings.NewReader(strings.Repeat("A: 1\n", 300)),
	} {
		if _, _, err := Read(in, 1000); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v, want ErrTooLarge", err)
		}
	}
	// A failing input is not a short message.
	broken := errors.New("broken")
	for _, in := range []string{"", "A: 1\n", "A: 1"} {
		if _, _, err := Read(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), 1000); !errors.Is(err, broken) {
			t.Errorf("%q: got %v", in, err)
		}
	}
}

// What is read can be written, and is read the same again; a Bcc never survives
// Complete.
func FuzzRead(f *testing.F) {
	for _, test := range readTests {
		f.Add([]byte(test.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b, rest, err := Read(bytes.NewReader(in), 1<<20)
		if err != nil {
			return
		}
		body, err := io.ReadAll(rest)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(in, body) {
			t.Fatal("the body is not the end of the input")
		}
		wire := b.Bytes()
		if bytes.ContainsAny(bytes.ReplaceAll(wire, []byte("\r\n"), nil), "\r\n\x00") {
			t.Fatalf("a bare CR, LF or NUL in %q", wire)
		}
		again, _, err := Read(bytes.NewReader(wire), 1<<21)
		if err != nil || !bytes.HasPrefix(wire, []byte("From ")) && !bytes.Equal(again.Bytes(), wire) {
			t.Fatalf("read again: %v %q, was %q", err, again.Bytes(), wire)
		}
		b.Complete(submission())
		again, _, err = Read(bytes.NewReader(b.Bytes()), 1<<22)
		if err != nil || again.Has("Bcc") || again.Has("Resent-Bcc") {
			t.Fatalf("Bcc in %q", b.Bytes())
		}
		for line := range bytes.Lines(b.Bytes()) {
			if len(line) > maxLine+2 {
				t.Fatalf("a line of %d octets", len(line))
			}
		}
	})
}
