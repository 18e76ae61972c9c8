package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// Rows 71, 1i-1, 1i-2, 1i-3 and 1i-7: what is a reply and what is not.
func TestReadReply(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxReplyLine-len("250 \r\n")+2)
	for _, test := range []struct {
		row, in string
		want    string // code, enhanced, lines
		err     error
	}{
		{"row 71: one line", "250 ok\r\n", `250 "" ["ok"]`, nil},
		{"row 71: several, joined by LF, each trimmed", "250- a \r\n250-\r\n250 b\t\r\n", `250 "" ["a" "" "b"]`, nil},
		{"enhanced code, on each line", "250-2.1.0 a\r\n250 2.1.0 b\r\n", `250 "2.1.0" ["a" "b"]`, nil},
		{"enhanced code on the first only", "550-5.1.1 a\r\n550 b\r\n", `550 "5.1.1" ["a" "b"]`, nil},
		{"a second one is text", "550-5.1.1 a\r\n550 5.1.2 b\r\n", `550 "5.1.1" ["a" "5.1.2 b"]`, nil},
		{"enhanced code alone", "250 2.0.0\r\n", `250 "2.0.0" [""]`, nil},
		{"of another class it is text", "250 5.1.1 odd\r\n", `250 "" ["5.1.1 odd"]`, nil},
		{"a version is no enhanced code", "220 4.96 ready\r\n", `220 "" ["4.96 ready"]`, nil},
		{"four digits are none", "250 2.1.1000 a\r\n", `250 "" ["2.1.1000 a"]`, nil},
		{"nothing after the code", "250\r\n", `250 "" [""]`, nil},
		{"a hyphen and nothing", "250-\r\n250 \r\n", `250 "" ["" ""]`, nil},
		{"LF alone ends a line", "250-a\n250 b\n", `250 "" ["a" "b"]`, nil},
		{"octets stay", "250 \xff\x1b[m\r\n", `250 "" ["\xff\x1b[m"]`, nil},
		{"codes of one class may differ; the last counts", "250-a\r\n251 b\r\n", `251 "" ["a" "b"]`, nil},
		{"the rest is not touched", "354 go\r\n250 next\r\n", `354 "" ["go"]`, nil},

		{"1i-2: classes must not differ", "250-a\r\n550 b\r\n", "", errSyntax},
		{"1i-2: a sign", "-25 a\r\n", "", errSyntax},
		{"1i-2: a blank", " 25 a\r\n", "", errSyntax},
		{"1i-2: too large", "999 a\r\n", "", errSyntax},
		{"1i-2: too small", "199 a\r\n", "", errSyntax},
		{"1i-2: four digits", "2500 a\r\n", "", errSyntax},
		{"1i-2: another fourth octet", "250+a\r\n", "", errSyntax},
		{"two digits", "25\r\n", "", errSyntax},
		{"no digits", "ready\r\n", "", errSyntax},
		{"nothing", "\r\n", "", errSyntax},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n", "", errSyntax},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x0a\n", "", errSyntax},

		{"1i-1: the longest line", "250 " + long[:len(long)-2] + "\r\n", `250 "" ["` + long[:len(long)-2] + `"]`, nil},
		{"1i-1: a line too long", "250 " + long + "\r\n", "", errSyntax},
		{"1i-1: without an end", "250 " + strings.Repeat("x", 1<<20), "", errSyntax},
		{"1i-1: too many lines", strings.Repeat("250-"+strings.Repeat("x", 1000)+"\r\n", 33), "", errSyntax},
		{"1i-1: empty lines without an end", strings.Repeat("250-\r\n", 10000), "", errSyntax},

		{"1i-7: an end before", "", "", io.EOF},
		{"1i-7: an end within a line", "250 o", "", io.ErrUnexpectedEOF},
		{"1i-7: an end between lines", "250-a\r\n", "", io.ErrUnexpectedEOF},
	} {
		t.Run(test.row, func(t *testing.T) {
			for name, r := range splits(test.in) {
				got, err := readReply(bufio.NewReaderSize(r, readBuffer), maxReplyLine, &said{}, nil)
				if !errors.Is(err, test.err) || test.err == nil && err != nil {
					t.Fatalf("%s: %v, want %v", name, err, test.err)
				}
				if s := fmt.Sprintf("%d %q %q", got.Code, got.Enhanced, got.Lines); err == nil && s != test.want {
					t.Fatalf("%s: %.200s, want %.200s", name, s, test.want)
				}
			}
		})
	}
}

// splits are readers of text in one piece, in single octets, and cut in two at
// every place of its beginning and end.
func splits(text string) map[string]io.Reader {
	out := map[string]io.Reader{"whole": strings.NewReader(text), "octets": iotest.OneByteReader(strings.NewReader(text))}
	for cut := range len(text) {
		if cut < 64 || cut > len(text)-64 {
			out[fmt.Sprintf("cut at %d", cut)] = io.MultiReader(strings.NewReader(text[:cut]), strings.NewReader(text[cut:]))
		}
	}
	return out
}

// Row 1i-3: nothing of a reply can act on a terminal, or begin a line of a log.
func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":             "plain",
		"Grüße €":           "Grüße €",
		"a\x1b[31mb":        `a\u{1b}[31mb`,
		"a\r\nb":            `a\u{d}\u{a}b`,
		"a\x00b\x7f":        `a\u{0}b\u{7f}`,
		"\xff\xc3":          `\xff\xc3`,
		"\u202egnp.exe":     `\u{202e}gnp.exe`,
		"\u2028":            `\u{2028}`,
		"\u009b31m":         `\u{9b}31m`,
		"a\ufffdb":          "a\ufffdb",
		"tab\there":         `tab\u{9}here`,
		"\u200bzero":        `\u{200b}zero`,
		"no-break\u00a0gap": `no-break\u{a0}gap`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	r := Reply{Code: 550, Enhanced: Enhanced{5, 1, 1}, Lines: []string{"a\x1b", "b"}}
	if r.String() != `550 5.1.1 a\u{1b}; b` || r.Text() != "a\x1b\nb" || r.Positive() || (Reply{}).String() != "" {
		t.Errorf("%q, %q", r.String(), r.Text())
	}
}

// Row 1i-12: what EHLO offers, however it is written.
func TestParseExtensions(t *testing.T) {
	t.Parallel()
	e := parseExtensions([]string{"name SIZE", "size 5", " 8bitmime ", "", "AUTH PLAIN login", "auth=LOGIN CRAM-MD5", "SIZE 7", "LIMITS RCPTMAX=3 mailmax=2 X=y RCPTDOMAINMAX=0"})
	if got := strings.Join(e.Names(), ","); got != "SIZE 5,8BITMIME,AUTH PLAIN login LOGIN CRAM-MD5,LIMITS RCPTMAX=3 mailmax=2 X=y RCPTDOMAINMAX=0" {
		t.Error(got)
	}
	if got := strings.Join(e.authMechanisms(), " "); got != "PLAIN LOGIN CRAM-MD5" {
		t.Error(got)
	}
	if e.MaxSize() != 5 || e.limit("rcptmax") != 3 || e.limit("MAILMAX") != 2 || e.limit("RCPTDOMAINMAX") != 0 || e.limit("X") != 0 {
		t.Errorf("%+v", e)
	}
	for param, want := range map[string]int64{"": 0, "x": 0, "-1": 0, "0": 0, "99999999999999999999": 0, "1000": 1000} {
		if got := parseExtensions([]string{"x", "SIZE " + param}).MaxSize(); got != want {
			t.Errorf("SIZE %q: %d", param, got)
		}
	}
	if parseExtensions(nil).Has("SIZE") || parseExtensions([]string{"SIZE"}).Has("SIZE") {
		t.Error("the first line is the server's name")
	}
}

// FuzzReply: whatever comes, a reply is a reply: of bounded size, with a code of
// three digits, the same however it is cut, and harmless when shown.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 2.0.0 b\r\n", "550-5.1.1 a\n550 b\n", "250-a\r\n550 b\r\n", "2", "250\r\n", "334 \r\n", "\xff\xff\n", "250 \x1b[2J\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := bufio.NewReaderSize(bytes.NewReader(in), readBuffer)
		r, err := readReply(whole, maxReplyLine, &said{}, nil)
		slow, slowErr := readReply(bufio.NewReader(iotest.OneByteReader(bytes.NewReader(in))), maxReplyLine, &said{}, nil)
		if fmt.Sprint(r, err) != fmt.Sprint(slow, slowErr) {
			t.Fatalf("%v, %v; slowly %v, %v", r, err, slow, slowErr)
		}
		if err != nil {
			if !errors.Is(err, errSyntax) && err != io.EOF && err != io.ErrUnexpectedEOF {
				t.Fatal(err)
			}
			return
		}
		if r.Code < 200 || r.Code > 599 || len(r.Lines) == 0 || len(r.Text()) > maxReply {
			t.Fatalf("%+v", r)
		}
		if r.Enhanced != (Enhanced{}) && r.Enhanced[0] != r.Code/100 {
			t.Fatalf("%+v", r)
		}
		if strings.ContainsFunc(r.String(), control) {
			t.Fatalf("%q acts on a terminal", r.String())
		}
		parseExtensions(r.Lines)
	})
}

// A reply that says the same as the one before costs nothing; it is the same one
// also where others come between, and never that of another line.
func TestSameReply(t *testing.T) {
	const text = "250 2.1.5 Ok\r\n"
	many := strings.Repeat(text, 200)
	var last said
	r := bufio.NewReader(strings.NewReader(many))
	if n := testing.AllocsPerRun(100, func() {
		if got, err := readReply(r, maxReplyLine, &last, nil); err != nil || got.Code != 250 || got.Lines[0] != "Ok" {
			t.Fatal(got, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	lines := []string{text, text, "250-2.1.5 Ok\r\n" + text, "250-x\r\n250 Ok\r\n", "250 Ok\r\n", "550 5.1.1 Ok\n", text, "250 2.1.5 Ok \r\n", "250\r\n", "250 \r\n"}
	r = bufio.NewReader(strings.NewReader(strings.Join(lines, "")))
	for _, line := range lines {
		want, err := readReply(bufio.NewReader(strings.NewReader(line)), maxReplyLine, &said{}, nil)
		got, goterr := readReply(r, maxReplyLine, &last, nil)
		if err != nil || goterr != nil || fmt.Sprint(got) != fmt.Sprint(want) || len(got.Lines) != len(want.Lines) {
			t.Errorf("%q: %v %v, want %v", line, got, goterr, want)
		}
	}
}

// A recipient costs its line.
func TestRecipientLineAllocates(t *testing.T) {
	c := &Client{ext: parseExtensions([]string{"x", "PIPELINING", "SIZE", "DSN", "8BITMIME"})}
	to := &Recipient{Address: "somebody@mail.example.com"}
	if n := testing.AllocsPerRun(100, func() {
		if line, err := c.rcptLine(to); err != nil || line != "RCPT TO:<somebody@mail.example.com>" {
			t.Fatal(line, err)
		}
	}); n != 1 {
		t.Errorf("%v allocations", n)
	}
}
