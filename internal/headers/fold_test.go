package headers

import (
	"strings"
	"testing"
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
