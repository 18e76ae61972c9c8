package digest

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"
)

// linesOf cuts a stream that comes in these chunks.
func linesOf(limit int, chunks ...string) []string {
	var list []string
	l := &Lines{Max: limit, Emit: func(line []byte) { list = append(list, string(line)) }}
	for _, c := range chunks {
		l.Write([]byte(c))
	}
	l.End()
	return list
}

var lineTests = []struct{ why, in, want string }{
	{"nothing", "", ""},
	{"lines", "a\nb\n", "a|b|"},
	{"the last line without an end", "a\nb", "a|b|"},
	{"empty lines stay", "\n\na\n\n", "||a||"},
	{"CRLF is one end, also doubled CR", "a\r\nb\r\r\nc\r\n", "a|b|c|"},
	{"an empty line in CRLF", "a\r\n\r\nb\r\n", "a||b|"},
	{"a progress bar", "\r10%\r50%\r100%\nend\n", "10%|50%|100%|end|"},
	{"a CR in front of a line", "a\n\rb\n", "a|b|"},
	{"colours", "\x1b[31mERROR\x1b[0m: \x1b[1;38;5;12mx\x1b[m\n", "ERROR: x|"},
	{"moving and clearing", "\x1b[2J\x1b[1;1Ha\x1b[K\x1b[?25lb\n", "ab|"},
	{"a window title, ended by BEL and by ST", "\x1b]0;title\ab\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n", "blink|"},
	{"device control and other strings", "a\x1bPq#0\x1b\\b\x1b_x\x1b\\c\x1b^y\x1b\\\x1bXz\x1b\\d\n", "abcd|"},
	{"sequences of two and three characters", "a\x1b(Bb\x1b=c\x1b#8d\x1b7\n", "abcd|"},
	{"a sequence that a line end cuts short", "a\x1b[31\nb\x1b]title\nc\x1b\nd\n", "a|b|c|d|"},
	{"one that another begins in", "\x1b\x1b[31ma\x1b]x\x1b[31mb\n", "ab|"},
	{"one that is none", "a\x1b[\xffb\n", `a\xffb|`},
	{"one that ends with the stream", "a\x1b[31", "a|"},
	{"a title that never ends does not swallow the rest", "\x1b]" + strings.Repeat("x", maxText) + "yz\n", "yz|"},
	{"nor do parameters", "\x1b[" + strings.Repeat("1", maxControl) + "2m\n", "2m|"},
	{"nor do the characters between", "\x1b" + strings.Repeat("!", maxControl+1) + "yz\n", "!yz|"},
	{"NUL, bell, backspace and others", "a\x00b\ac\bd\x0ce\x7ff\n", "abcdef|"},
	{"tabs stay", "a\tb\n", "a\tb|"},
	{"UTF-8", "Grüße ☃ 😀\n", "Grüße ☃ 😀|"},
	{"what is not UTF-8", "Gr\xfc\xdfe \xe2\x98 \xff\n", `Gr\xfc\xdfe \xe2\x98 \xff|`},
	{"control characters of ISO 6429 in UTF-8", "a\u009b31mb\u0085c\n", "a31mbc|"},
}

func TestLines(t *testing.T) {
	for _, c := range lineTests {
		for cut := 0; cut <= len(c.in); cut += 1 + len(c.in)/100 { // every split, of long ones a hundred
			got := strings.Join(append(linesOf(1000, c.in[:cut], c.in[cut:]), ""), "|")
			if got != c.want {
				t.Fatalf("%s, cut at %d:\n got %q\nwant %q", c.why, cut, got, c.want)
			}
		}
		if got := strings.Join(append(linesOf(1000, strings.Split(c.in, "")...), ""), "|"); got != c.want {
			t.Errorf("%s, octet by octet: got %q, want %q", c.why, got, c.want)
		}
	}
}

func TestLongLines(t *testing.T) {
	for _, c := range []struct{ why, in, want string }{
		{"just as long", "12345678\n9\n", "12345678|9"},
		{"longer", "123456789\n", "12345678|9"},
		{"much longer", strings.Repeat("x", 20), "xxxxxxxx|xxxxxxxx|xxxx"},
		{"not within a character", "1234567ü89\n", "1234567|ü89"},
		{"nor within one of four octets", "12345😀6\n", "12345|😀6"},
		{"octets that are no UTF-8 are no reason to cut earlier", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\n", strings.Repeat(`\xff`, 8) + `|\xff`},
	} {
		if got := strings.Join(linesOf(8, c.in), "|"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
		if got := strings.Join(linesOf(8, strings.Split(c.in, "")...), "|"); got != c.want {
			t.Errorf("%s, character by character: got %q, want %q", c.why, got, c.want)
		}
	}
}

// Lines are UTF-8 without control characters and of bounded length, whatever
// comes, and the same for every way to cut the stream.
func FuzzLines(f *testing.F) {
	for _, c := range lineTests {
		f.Add(c.in, 3)
	}
	f.Fuzz(func(t *testing.T, in string, cut int) {
		cut = max(0, min(cut, len(in)))
		got := linesOf(64, in[:cut], in[cut:])
		if whole := linesOf(64, in); strings.Join(whole, "\n") != strings.Join(got, "\n") {
			t.Fatalf("cut at %d %q is %q, as a whole %q", cut, in, got, whole)
		}
		for _, line := range got {
			bad := func(r rune) bool { return unicode.IsControl(r) && r != '\t' }
			if !utf8.ValidString(line) || strings.ContainsFunc(line, bad) || len(line) > 4*64 {
				t.Fatalf("%q gives %q", in, line)
			}
		}
	})
}

func TestText(t *testing.T) {
	in := "\n\x1b[32mfirst\x1b[0m\nsecond\r\nlast"
	for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
		text := NewText(r)
		got, err := io.ReadAll(iotest.OneByteReader(text))
		if string(got) != "\nfirst\nsecond\nlast\n" || err != nil || text.Lines != 4 || text.First != "first" {
			t.Errorf("%q, %v, %d lines, first %q", got, err, text.Lines, text.First)
		}
	}
	failed := errors.New("failed")
	if _, err := io.ReadAll(NewText(iotest.ErrReader(failed))); err != failed {
		t.Errorf("%v, want %v", err, failed)
	}
	text := NewText(strings.NewReader(strings.Repeat("ü", 200)))
	if _, err := io.ReadAll(text); err != nil || text.First != strings.Repeat("ü", 60)+"…" {
		t.Errorf("%v, first %q", err, text.First)
	}
}
