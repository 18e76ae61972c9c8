package digest

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

func textOf(t *testing.T, d *Digest) string {
	t.Helper()
	text, err := io.ReadAll(d.Text())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// gather puts a stream through a collector.
func gather(o Options, in string) *Digest {
	if o.Now == nil {
		o.Now = func() time.Time { return time.Time{} }
	}
	if o.Size == 0 {
		o.Size = MinSize
	}
	c := newCollector(o)
	c.write([]byte(in))
	c.end()
	return c.take()
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		why, match string
		context    int
		in, want   string
		matches    int64
	}{
		{"all without a pattern", "", 3, "a\nb\n", "a\nb\n", 2},
		{"no match is no digest", "x", 3, "a\nb\n", "", 0},
		{"only what matches", "x", 0, "a\nx1\nb\nc\nx2\nx3\n", "x1\n--\nx2\nx3\n", 3},
		{"lines around it, as grep -C has them", "x", 1, "a\nb\nx1\nc\nd\ne\nf\nx2\ng\n", "b\nx1\nc\n--\nf\nx2\ng\n", 2},
		{"context that touches is one piece", "x", 1, "x1\na\nb\nx2\n", "x1\na\nb\nx2\n", 2},
		{"a match within context", "x", 2, "x1\na\nx2\nb\nc\nd\n", "x1\na\nx2\nb\nc\n", 2},
		{"colours do not hide a word", "^error: no", 0, "\x1b[31merr\x1b[1mor\x1b[0m: no\n", "error: no\n", 1},
		{"a pattern for any case", "(?i)error", 0, "Error\n", "Error\n", 1},
	} {
		o := Options{Context: c.context}
		if c.match != "" {
			o.Match = regexp.MustCompile(c.match)
		}
		d := gather(o, c.in)
		if d == nil {
			if c.want != "" {
				t.Errorf("%s: nothing", c.why)
			}
			continue
		}
		if got := textOf(t, d); got != c.want || d.Matches != c.matches {
			t.Errorf("%s: got %q with %d matches, want %q with %d", c.why, got, d.Matches, c.want, c.matches)
		}
	}
}

// What belongs to a match is not carried over into the next message.
func TestMatchInNextDigest(t *testing.T) {
	c := newCollector(Options{Match: regexp.MustCompile("x"), Context: 1, Size: MinSize, Now: func() time.Time { return time.Time{} }})
	for _, row := range []struct{ in, want string }{{"a\nb\nx1\n", "b\nx1\n"}, {"c\nd\nx2\n", "d\nx2\n"}} {
		c.write([]byte(row.in))
		if got := textOf(t, c.take()); got != row.want {
			t.Errorf("%q: got %q, want %q", row.in, got, row.want)
		}
	}
}

// A flood keeps its first and its last lines, whole, and says what is missing.
func TestFlood(t *testing.T) {
	for _, count := range []int{10, 200, 1_000, 1_500, 2_000, 100_000} {
		var in strings.Builder
		for i := range count {
			fmt.Fprintf(&in, "line %d\n", i)
		}
		d := gather(Options{Size: 16 << 10}, in.String())
		got := textOf(t, d)
		if len(got) > 17<<10 || d.Lines != int64(count) {
			t.Fatalf("%d lines give %d octets of %d lines", count, len(got), d.Lines)
		}
		if d.Left == 0 {
			if got != in.String() {
				t.Errorf("%d lines: nothing is left out, but the text is another", count)
			}
			continue
		}
		note := fmt.Sprintf("\n[... %d lines, %s, are left out here ...]\n\n", d.Left, Size(d.LeftSize))
		head, tail, found := strings.Cut(got, note)
		if !found || !strings.HasPrefix(in.String(), head) || !strings.HasSuffix(in.String(), tail) {
			t.Fatalf("%d lines: %q is not there, or head or tail are not those of the stream", count, note)
		}
		if n := strings.Count(got, "\n") - 3; int64(n)+d.Left != int64(count) || len(head)+len(tail)+int(d.LeftSize) != in.Len() {
			t.Errorf("%d lines: %d kept and %d left out", count, n, d.Left)
		}
		if len(head) < 8<<10-16 || len(tail) < 4<<10-16 {
			t.Errorf("%d lines: %d octets of the begin, %d of the end", count, len(head), len(tail))
		}
	}
}

// A line that is too long is cut; one of rubbish takes four times its room.
func TestHugeLine(t *testing.T) {
	for _, octet := range []string{"x", "\xff", "\x00"} {
		d := gather(Options{Size: 64 << 10}, strings.Repeat(octet, 1<<20))
		if d == nil {
			continue // NUL is nothing
		}
		if n := len(textOf(t, d)); n > 66<<10 || n < 40<<10 {
			t.Errorf("%q: %d octets", octet, n)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 octets", 1023: "1023 octets", 1024: "1.0 KiB", 1<<20 - 1: "1024.0 KiB", 5 << 19: "2.5 MiB", 1 << 31: "2048.0 MiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestSubject(t *testing.T) {
	d := &Digest{Lines: 12, Matches: 3, Left: 4, First: "ERROR {host}: ü\x00 =?utf-8?q?x?=", From: time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)}
	d.To = d.From.Add(15 * time.Minute)
	for _, c := range []struct{ why, in, want string }{
		{"text", "log", "log"},
		{"all names", "{host} {user} {lines} {matches} {left} {from} {to}", "web1 joe 12 3 4 2026-11-24 01:02 2026-11-24 01:17"},
		{"what the stream says is no template, and no encoded-word", "{first}", "=?utf-8?q?ERROR_{host}:_=C3=BC__=3D_=3Futf-8=3Fq=3Fx=3F=3D?="},
		{"a line end", "a\r\nBcc: b@c", "a  Bcc: b@c"},
		{"an encoded-word of the caller", "=?utf-8?q?x?=", "= ?utf-8?q?x?="},
		{"long", strings.Repeat("x", 300), ""},
	} {
		got := Subject(c.in).For(d, "web1", "joe")
		if c.why == "long" {
			c.want = "=?utf-8?q?" // it is cut, and the mark is not ASCII
			got = got[:min(len(got), len(c.want))]
		}
		if got != c.want || Subject(c.in).Check() != nil {
			t.Errorf("%s: got %q, want %q; check: %v", c.why, got, c.want, Subject(c.in).Check())
		}
	}
	for _, bad := range []string{"{", "{x}", "{host", "{{host}}", "{}"} {
		if Subject(bad).Check() == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
