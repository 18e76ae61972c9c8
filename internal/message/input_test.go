package message

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

var inputCases = []struct{ why, in, want string }{
	{"no input is no input", "", ""},
	{"no dot, nothing changes", "a\nb\n", "a\nb\n"},
	{"no newline at the end is not ours to add", "a", "a"},
	{"SM, PF, EX: a lone dot ends the message", "a\n.\nb\n", "a\n"},
	{"SM, PF: CRLF too", "a\r\n.\r\nb\r\n", "a\r\n"},
	{"mixed ends", "a\n.\r\nb\n", "a\n"},
	{"SM, PF: a dot at the end of the input", "a\n.", "a\n"},
	{"a dot and a CR at the end of the input", "a\n.\r", "a\n"},
	{"ls -a: the first line is the dot", ".\n..\nfile\n", ""},
	{"a dot alone is all there is", ".", ""},
	{"SM: one of two dots goes", "..\n", ".\n"},
	{"..x loses one dot (Symfony and Swift add it)", "..x\n", ".x\n"},
	{"three dots lose one", "...\n", "..\n"},
	{"two dots at the end of the input", "a\n..", "a\n."},
	{"two dots and CRLF are data", "..\r\nb", ".\r\nb"},
	{".x keeps its dot: nobody doubled it", ".x\n", ".x\n"},
	{"dot and blank is data", ". \nb\n", ". \nb\n"},
	{"a dot and a bare CR is data", ".\rx\nb\n", ".\rx\nb\n"},
	{"dot CR CR LF is data", ".\r\r\nb\n", ".\r\r\nb\n"},
	{"dot CR dot is data", ".\r.\n", ".\r.\n"},
	{"a dot inside a line", "a.\nb\n", "a.\nb\n"},
	{"a bare CR begins no line", "a\r.\nb\n", "a\r.\nb\n"},
	{"two doubled lines in a row", "..a\n..b\n", ".a\n.b\n"},
	{"empty lines around", "\n\n.\n", "\n\n"},
	{"NUL is data", "\x00\n.\x00\n.\n", "\x00\n.\x00\n"},
	{"SMTP after the dot is not read", "a\n.\nMAIL FROM:<x>\n", "a\n"},
	{"a second dot does not matter", "a\n.\n.\nb", "a\n"},
}

func TestInput(t *testing.T) {
	for _, c := range inputCases {
		everySplit(t, c.in, func(how string, r io.Reader) {
			if got := mustRead(t, NewInput(r, false)); got != c.want {
				t.Errorf("%s (%s): %q gives %q, want %q", c.why, how, c.in, got, c.want)
			}
		})
		got := mustRead(t, iotest.OneByteReader(NewInput(strings.NewReader(c.in), false)))
		if got != c.want {
			t.Errorf("%s (read by octets): got %q, want %q", c.why, got, c.want)
		}
	}
}

// With -i every octet is data.
func TestInputIgnoresDots(t *testing.T) {
	for _, c := range inputCases {
		if got := mustRead(t, NewInput(strings.NewReader(c.in), true)); got != c.in {
			t.Errorf("%q with ignoreDots gives %q", c.in, got)
		}
	}
}

// The writer must be able to write all it has before the reader says EOF.
func TestInputDrains(t *testing.T) {
	pr, pw := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		_, err := io.WriteString(pw, "a\n.\n")
		for i := 0; i < 100 && err == nil; i++ {
			_, err = pw.Write(make([]byte, 50_000))
		}
		wrote <- err
		pw.Close()
	}()
	if got := mustRead(t, NewInput(pr, false)); got != "a\n" {
		t.Errorf("got %q", got)
	}
	select {
	case err := <-wrote:
		if err != nil {
			t.Errorf("writer: %v", err)
		}
	default:
		t.Error("EOF came before the writer was done")
	}
}

func TestInputErrors(t *testing.T) {
	// what was read in front of the error is passed on, a held dot too
	for in, want := range map[string]string{"": "", "a\n": "a\n", "a\n.": "a\n.", ".\r": ".\r", "..": "."} {
		r := io.MultiReader(strings.NewReader(in), iotest.ErrReader(errBoom))
		got, err := io.ReadAll(NewInput(r, false))
		if err != errBoom || string(got) != want {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	// after the dot the message is complete
	r := io.MultiReader(strings.NewReader("a\n.\n"), iotest.ErrReader(errBoom))
	if got := mustRead(t, NewInput(r, false)); got != "a\n" {
		t.Errorf("error after the dot: got %q", got)
	}
	// a reader that never moves ends, before and after the dot
	if _, err := io.ReadAll(NewInput(idleReader{}, false)); err != io.ErrNoProgress {
		t.Errorf("idle reader: %v", err)
	}
	r = io.MultiReader(strings.NewReader(".\n"), idleReader{})
	if got := mustRead(t, NewInput(r, false)); got != "" {
		t.Errorf("idle reader after the dot: %q", got)
	}
	// EOF stays EOF, and reading nothing is no end
	in := NewInput(strings.NewReader("."), false)
	for range 3 {
		if n, err := in.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
	}
	if n, err := NewInput(strings.NewReader("a"), false).Read(nil); n != 0 || err != nil {
		t.Errorf("empty buffer: %d, %v", n, err)
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

func TestInputMemory(t *testing.T) {
	for _, pattern := range []string{"x", ".", "..\n"} { // lines without end, dots without end
		in := NewInput(&filler{pattern: []byte(pattern), n: 20 << 20}, false)
		buf := make([]byte, 32<<10)
		used := allocated(func() {
			if _, err := io.CopyBuffer(onlyWriter{io.Discard}, in, buf); err != nil {
				t.Error(err)
			}
		})
		if used > 1<<20 {
			t.Errorf("%q: %d octets allocated", pattern, used)
		}
	}
}

// onlyWriter hides other methods.
type onlyWriter struct{ io.Writer }

// allocated returns how many octets f allocated in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// referenceInput is the rule, on a whole input.
func referenceInput(in []byte) []byte {
	var out []byte
	for len(in) > 0 {
		n := lineLen(in)
		l := in[:n]
		in = in[n:]
		switch string(l) {
		case ".", ".\r", ".\n", ".\r\n":
			return out
		}
		out = append(out, bytes.Replace(l, []byte(".."), []byte("."), b2i(bytes.HasPrefix(l, []byte(".."))))...)
	}
	return out
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func FuzzInput(f *testing.F) {
	for _, c := range inputCases {
		f.Add([]byte(c.in), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		want := referenceInput(in)
		r := bytes.NewReader(in)
		got := mustRead(t, NewInput(iotest.HalfReader(r), false))
		if got != string(want) {
			t.Fatalf("%q gives %q, want %q", in, got, want)
		}
		if r.Len() != 0 {
			t.Fatalf("%d octets were not read", r.Len())
		}
	})
}
