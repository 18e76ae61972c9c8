package headers

import (
	"errors"
	"io"
	"runtime"
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
	{"blank before the colon of From is a field, not mbox", "From : a@x\nA: 1\n\n", "From: a@x\r\nA: 1\r\n\r\n", ""},
	{"mbox line with a colon in it", "From a@x 10:00:00\nA: 1\n\n", "A: 1\r\n\r\n", ""},
	{"only the first mbox line goes", "From a\nFrom b\n\n", "\r\n", "From b\n\n"},
	{"mbox line, then an indented one", "From a\n A: 1\n\n", "\r\n", " A: 1\n\n"},
	{"mbox line in other letters is none", "from a\nA: 1\n\n", "\r\n", "from a\nA: 1\n\n"},
	{"blank-only line, then a line that is no field", "A: 1\n \t\nbody\n", "A: 1\r\n \t\r\n\r\n", "body\n"},
	{"blank-only first line is body", " \nA: 1\n\n", "\r\n", " \nA: 1\n\n"},
	{"CR in a name ends it", "A: 1\nB\rC: 2\n\n", "A: 1\r\n\r\n", "B\rC: 2\n\n"},
	{"NUL in a name ends it", "A: 1\nBc\x00c: 2\n\n", "A: 1\r\n\r\n", "Bc\x00c: 2\n\n"},
	{"CR-only line ends are one field", "A: 1\rBcc: x\r\rbody", "A: 1 Bcc: x  body\r\n\r\n", ""},
	{"CR before CRLF", "A: 1\r\r\n\nb\n", "A: 1 \r\n\r\n", "b\n"},
	{"CR and NUL at the end of a fold", "A: 1\n 2\r\x00\n\n", "A: 1\r\n 2 \r\n\r\n", ""},
	{"CR alone is no empty line", "A: 1\n\rb\n", "A: 1\r\n\r\n", "\rb\n"},
	{"CR at the very end", "A: 1\n\r", "A: 1\r\n\r\n", "\r"},
	{"name without a colon at the end", "A: 1\nBcc", "A: 1\r\n\r\n", "Bcc"},
	{"UTF-16: no header", "\xff\xfeT\x00o\x00:\x00", "\r\n", "\xff\xfeT\x00o\x00:\x00"},
	{"all printable characters are a name", "!\"#~{}[]@x: 1\n\n", "!\"#~{}[]@x: 1\r\n\r\n", ""},
	{"name over 990 octets: folding would cut it", "A: 1\n" + strings.Repeat("n", 991) + ": 2\n", "A: 1\r\n\r\n", strings.Repeat("n", 991) + ": 2\n"},
	{"name of 990 octets", strings.Repeat("n", 990) + ": 2\n", strings.Repeat("n", 990) + ": 2\r\n\r\n", ""},
	{"many blanks before the colon", "Bcc" + strings.Repeat(" ", 2000) + ": x\n", "Bcc: x\r\n\r\n", ""},
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
	// A field over the limit, and many small ones.
	for _, in := range []io.Reader{
		io.MultiReader(strings.NewReader("A: "), &zeros{1 << 20}),
		strings.NewReader(strings.Repeat("A: 1\n", 300)),
	} {
		if _, _, err := Read(in, 1000); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v, want ErrTooLarge", err)
		}
	}
	// The limit itself is allowed, and the body does not count.
	if _, _, err := Read(strings.NewReader("A: 3456\n\nbody"), 8); err != nil {
		t.Error(err)
	}
	// An mbox line is not held.
	in := io.MultiReader(strings.NewReader("From "), &zeros{1 << 20}, strings.NewReader("\nA: 1\n\n"))
	if b, _, err := Read(in, 1000); err != nil || !b.Has("A") {
		t.Error(err)
	}
}

func TestReadMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, rest, err := Read(&zeros{100 << 20}, DefaultLimit)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, rest); n != 100<<20 || err != nil {
		t.Errorf("%d octets of body, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d octets were allocated for a body of one line", got)
	}
}

// A failing input is not a short message, wherever it fails.
func TestReadFails(t *testing.T) {
	broken := errors.New("broken")
	for _, in := range []string{"", "A", "From", "From x", "From x\n", "A: 1", "A: 1\n", "A: 1\n ", "A: 1\n\r"} {
		fails := &once{err: broken}
		if _, _, err := Read(io.MultiReader(strings.NewReader(in), fails), 1000); !errors.Is(err, broken) {
			t.Errorf("%q: got %v", in, err)
		}
	}
	for _, in := range []string{"A: 1\n\n", "junk\n"} {
		_, rest, err := Read(io.MultiReader(strings.NewReader(in), &once{err: broken}), 1000)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.ReadAll(rest); !errors.Is(err, broken) {
			t.Errorf("%q: the body ends with %v", in, err)
		}
	}
}

// once fails one time; a second read would hang on a terminal.
type once struct {
	err  error
	done bool
}

func (o *once) Read([]byte) (int, error) {
	if o.done {
		panic("read after the end")
	}
	o.done = true
	return 0, o.err
}

// The end of the input is not asked for again.
func TestReadEndsOnce(t *testing.T) {
	for _, test := range readTests {
		readAll(t, &endsOnce{r: strings.NewReader(test.in)})
	}
}

type endsOnce struct {
	r    io.Reader
	done bool
}

func (e *endsOnce) Read(p []byte) (int, error) {
	if e.done {
		panic("read after the end")
	}
	n, err := e.r.Read(p)
	e.done = err != nil
	return n, err
}

// Nothing is read ahead of need: a header can be judged before its body comes.
func TestReadWaitsForNothing(t *testing.T) {
	in, out := io.Pipe()
	go out.Write([]byte("A: 1\n\n"))
	if b, _, err := Read(in, 1000); err != nil || !b.Has("A") {
		t.Error(err)
	}
}
