package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// contents are texts with what is special about them, and their wire form before
// dots are doubled.
func contents() [][3]string {
	return [][3]string{
		{"nothing", "", ""},
		{"a line", "a\r\n", "a\r\n"},
		{"row 1i-22: no end", "a", "a\r\n"},
		{"row 61: LF", "a\nb\n", "a\r\nb\r\n"},
		{"row 61: CR", "a\rb\r", "a\r\nb\r\n"},
		{"CR at the end", "a\r", "a\r\n"},
		{"CR CR LF", "a\r\r\nb", "a\r\n\r\nb\r\n"},
		{"LF CR", "a\n\rb\n", "a\r\n\r\nb\r\n"},
		{"row 62: dots", ".\r\n..\r\n.a\r\n", ".\r\n..\r\n.a\r\n"},
		{"a dot after LF", "a\n.\nb\n", "a\r\n.\r\nb\r\n"},
		{"a dot after CR", "a\r.\rb\r", "a\r\n.\r\nb\r\n"},
		{"a dot within", "a.\r\nb.c\r\n", "a.\r\nb.c\r\n"},
		{"the end of a message, smuggled", "a\n.\nMAIL FROM:<x@x>\n", "a\r\n.\r\nMAIL FROM:<x@x>\r\n"},
		{"smuggled by CR", "a\r\n.\rMAIL FROM:<x@x>\r\n", "a\r\n.\r\nMAIL FROM:<x@x>\r\n"},
		{"empty lines", "\r\n\n\r\r\n", "\r\n\r\n\r\n\r\n"},
		{"NUL and 8 bits", "\x00\xff\r\n", "\x00\xff\r\n"},
	}
}

// dotted is text as the dotWriter writes it, given in these pieces.
func dotted(t testing.TB, pieces ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := bufio.NewWriterSize(&b, 16)
	d := newDotWriter(w)
	for _, p := range pieces {
		if n, err := io.WriteString(d, p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := errors.Join(d.Close(), w.Flush()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// undotted is what a server makes of it (RFC 5321 4.5.2); it must end at its end
// and nowhere before.
func undotted(t testing.TB, wire string) string {
	t.Helper()
	end := strings.Index("\r\n"+wire, "\r\n.\r\n")
	if end < 0 || end+len(".\r\n") != len(wire) {
		t.Fatalf("%q ends at %d", wire, end)
	}
	body := "\r\n" + wire[:len(wire)-len(".\r\n")]
	return strings.ReplaceAll(body, "\r\n.", "\r\n")[2:]
}

// Every text, at once, in single octets, and in two and three pieces.
func TestDotWriter(t *testing.T) {
	t.Parallel()
	for _, c := range contents() {
		want := dotted(t, c[1])
		if got := undotted(t, want); got != c[2] {
			t.Errorf("%s: %q, want %q", c[0], got, c[2])
		}
		if got := dotted(t, strings.Split(c[1], "")...); got != want {
			t.Errorf("%s: %q in octets, else %q", c[0], got, want)
		}
		for i := range len(c[1]) + 1 {
			for j := i; j <= len(c[1]); j++ {
				if got := dotted(t, c[1][:i], c[1][i:j], c[1][j:]); got != want {
					t.Errorf("%s: %q when cut at %d and %d, else %q", c[0], got, i, j, want)
				}
			}
		}
		m := Bytes([]byte(c[1]))
		if got := string(m.(bytesMessage)); got != c[2] || m.Size() != int64(len(c[2])) {
			t.Errorf("%s: Bytes gives %q, want %q", c[0], got, c[2])
		}
	}
}

// A writer that fails at any octet makes the dotWriter fail.
func TestDotWriterFails(t *testing.T) {
	t.Parallel()
	const text = ".a\n.b\r\n.c\r.d"
	for limit := range len(dotted(t, text)) {
		w := bufio.NewWriterSize(&limited{left: limit}, 16)
		d := newDotWriter(w)
		_, err := io.WriteString(d, text)
		if err = errors.Join(err, d.Close(), w.Flush()); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%d octets: %v", limit, err)
		}
	}
}

type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	n := min(l.left, len(p))
	l.left -= n
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// odd is a message that is not as it says.
type odd struct {
	size int64
	r    io.Reader
	err  error
}

func (o odd) Open() (io.ReadCloser, error) { return io.NopCloser(o.r), o.err }
func (o odd) Size() int64                  { return o.size }

// A message that changes or cannot be read is told apart from a link that fails.
func TestCopyContent(t *testing.T) {
	t.Parallel()
	disk := errors.New("disk error")
	for name, test := range map[string]struct {
		m    Message
		kind error
	}{
		"good":         {odd{3, strings.NewReader("abc"), nil}, nil},
		"shorter":      {odd{4, strings.NewReader("abc"), nil}, ErrMessage},
		"longer":       {odd{2, strings.NewReader("abc"), nil}, ErrMessage},
		"not there":    {odd{3, nil, disk}, ErrMessage},
		"disk error":   {odd{3, io.MultiReader(strings.NewReader("ab"), failing{disk}), nil}, ErrMessage},
		"cannot start": {odd{3, failing{disk}, nil}, ErrMessage},
	} {
		var b bytes.Buffer
		err := copyContent(&b, test.m, make([]byte, 2))
		if !errors.Is(err, test.kind) || test.kind == nil && err != nil || b.Len() > int(test.m.Size()) {
			t.Errorf("%s: %v, wrote %q", name, err, b.String())
		}
	}
	if err := copyContent(&limited{2}, bytesMessage("abc"), make([]byte, 2)); err == nil || errors.Is(err, ErrMessage) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzContent: what a server decodes of DATA and of BDAT is the text in wire form,
// however it is cut, and nothing of it ends the message early.
func FuzzContent(f *testing.F) {
	for _, c := range contents() {
		f.Add([]byte(c[1]), uint16(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, cut uint16) {
		m := Bytes(text).(bytesMessage)
		at := int(cut) % (len(text) + 1)
		wire := dotted(t, string(text[:at]), string(text[at:]))
		if got := undotted(t, wire); got != string(m) {
			t.Fatalf("DATA: %q, want %q", got, m)
		}
		if bytes.Contains(bytes.ReplaceAll(m, []byte("\r\n"), nil), []byte("\n")) || bytes.Contains(bytes.ReplaceAll(m, []byte("\r\n"), nil), []byte("\r")) {
			t.Fatalf("a bare CR or LF in %q", m)
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "BDAT %d LAST\r\n", m.Size())
		if err := copyContent(&b, m, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		var n int
		r := bufio.NewReader(&b)
		if _, err := fmt.Fscanf(r, "BDAT %d LAST\r\n", &n); err != nil {
			t.Fatal(err)
		}
		if rest, _ := io.ReadAll(r); n != len(rest) || string(rest) != string(m) {
			t.Fatalf("BDAT: %q, want %q", rest, m)
		}
	})
}
