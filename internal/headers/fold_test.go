package headers

import (
	"strings"
	"testing"
	"time"
)

func TestFold(t *testing.T) {
	word := strings.Repeat("x", 400) + " "
	tests := []struct{ why, value string }{
		{"at blanks", strings.Repeat(word, 20)},
		{"by force", strings.Repeat("x", 5000)},
		{"characters stay whole", strings.Repeat("ü", 2000)},
		{"a run of blanks makes no blank line", "a" + strings.Repeat(" ", 3000) + "b"},
		{"blanks at the end", strings.Repeat("x", 990) + strings.Repeat(" ", 2000)},
	}
	for _, test := range tests {
		b, _, err := Read(strings.NewReader("Subject: "+test.value+"\n"), DefaultLimit)
		if err != nil {
			t.Fatal(err)
		}
		b.Complete(submission())
		wire := strings.TrimSuffix(string(b.Bytes()), "\r\n")
		for line := range strings.Lines(wire) {
			line = strings.TrimSuffix(line, "\r\n")
			if len(line) > maxLine || strings.TrimSpace(line) == "" {
				t.Errorf("%s: a line of %d octets: %.20q", test.why, len(line), line)
			}
			if !strings.ContainsRune(test.value, 'ü') {
				continue
			}
			if strings.ContainsRune(line, '\uFFFD') {
				t.Errorf("%s: a character was cut", test.why)
			}
		}
		got, _ := b.Get("Subject")
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if squeeze(got) != squeeze(test.value) {
			t.Errorf("%s: text was lost", test.why)
		}
	}
}

func TestFoldBytes(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct{ why, in, want string }{
		{"998 octets are no change", "A: " + x(995) + "\r\n", "A: " + x(995) + "\r\n"},
		{"999 octets, at the only blank", "A: " + x(996) + "\r\n", "A:\r\n " + x(996) + "\r\n"},
		{"at the last blank that fits", "A: a " + x(990) + "  " + x(9) + "\r\n", "A: a " + x(990) + " \r\n " + x(9) + "\r\n"},
		{"by force", "A:" + x(1000) + "\r\n", "A:" + x(996) + "\r\n " + x(4) + "\r\n"},
		{"a blank takes room on the next line", "A:" + x(996+997+1) + "\r\n", "A:" + x(996) + "\r\n " + x(997) + "\r\n x\r\n"},
		{"not within a character", "A:" + x(995) + "üü\r\n", "A:" + x(995) + "\r\n üü\r\n"},
		{"octets that are no character are cut somewhere", "A:" + strings.Repeat("\x80", 1000) + "\r\n", "A:" + strings.Repeat("\x80", 992) + "\r\n " + strings.Repeat("\x80", 8) + "\r\n"},
		{"the lines beside it keep their bytes", "A:  a\r\n\tb \r\n " + x(998) + "\r\n\t c\r\n", "A:  a\r\n\tb \r\n " + x(997) + "\r\n x\r\n\t c\r\n"},
		{"a tab in front of a long line stays", "A:\r\n\t" + x(998) + "\r\n", "A:\r\n\t" + x(997) + "\r\n x\r\n"},
		{"blanks at the end go", "A: a" + strings.Repeat(" ", 2000) + "\r\n", "A: a\r\n"},
		{"blanks only", "A:" + strings.Repeat(" ", 2000) + "\r\n", "A:\r\n"},
		{"a fold of blanks only", "A: a\r\n" + strings.Repeat("\t", 2000) + "\r\n", "A: a\r\n \r\n"},
		{"blanks in front of a fold", "A: a\r\n" + strings.Repeat(" ", 2000) + "b\r\n", "A: a\r\n b\r\n"},
		{"the longest name is not cut", x(990) + ":" + strings.Repeat("\x80", 20) + "\r\n", x(990) + ":" + strings.Repeat("\x80", 3) + "\r\n " + strings.Repeat("\x80", 17) + "\r\n"},
	}
	for _, test := range tests {
		if got := string(fold([]byte(test.in))); got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.why, got, test.want)
		}
	}
}

// The work grows with the size, not faster: this took half a minute once.
func TestFoldLarge(t *testing.T) {
	const n = 8 << 20
	for _, value := range []string{strings.Repeat("x", n), strings.Repeat(" ", n) + "x", strings.Repeat("x ", n/2), "x" + strings.Repeat(" ", n)} {
		start := time.Now()
		out := fold([]byte("A: " + value + "\r\n"))
		if tooLong(out) || time.Since(start) > 5*time.Second {
			t.Errorf("%.5q: %v", value, time.Since(start))
		}
	}
}
