package headers

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// plainRead does what Read does, to a text that is all there, line by line and
// with other means.
func plainRead(start *regexp.Regexp, in string) (header, body string) {
	if strings.HasPrefix(in, "From ") && !start.MatchString(in) {
		_, in, _ = strings.Cut(in, "\n")
	}
	for in != "" {
		line, rest, _ := strings.Cut(in, "\n")
		bare := strings.TrimSuffix(line, "\r")
		if bare == "" && rest != in[len(line):] {
			return header + "\r\n", rest
		}
		blank := line != "" && (line[0] == ' ' || line[0] == '\t')
		name := start.FindString(line)
		if name == "" && !(blank && header != "") {
			break
		}
		bare = strings.TrimRight(strings.TrimSuffix(name, ":"), " \t") + bare[max(0, len(name)-1):]
		header += strings.NewReplacer("\r", " ", "\x00", "").Replace(bare) + "\r\n"
		in = rest
	}
	return header + "\r\n", in
}

func fieldStart() *regexp.Regexp { return regexp.MustCompile(`^[!-9;-~]{1,990}[ \t]*:`) }

func TestPlainRead(t *testing.T) {
	start := fieldStart()
	for _, test := range readTests {
		if len(test.in) > 1000 {
			continue
		}
		if header, body := plainRead(start, test.in); header != test.header || body != test.body {
			t.Errorf("%s: %q: %q and %q", test.why, test.in, header, body)
		}
	}
}

// What is read is what plainRead reads. It can be written, and is read the same
// again. A Bcc never survives Complete, and no line is too long.
func FuzzRead(f *testing.F) {
	for _, test := range readTests {
		f.Add([]byte(test.in))
	}
	f.Add([]byte("To: joe, <a@x>\nResent-Bcc : x\nSubject: " + strings.Repeat("ü x", 900)))
	start := fieldStart()
	f.Fuzz(func(t *testing.T, in []byte) {
		b, rest, err := Read(bytes.NewReader(in), 1<<20)
		if err != nil {
			t.Skip()
		}
		body, err := io.ReadAll(rest)
		if err != nil {
			t.Fatal(err)
		}
		// A decision needs at most the 4096 octets that are buffered.
		if wantHeader, wantBody := plainRead(start, string(in)); len(in) < 4096 && (string(b.Bytes()) != wantHeader || string(body) != wantBody) {
			t.Fatalf("%q: got %q and %q, want %q and %q", in, b.Bytes(), body, wantHeader, wantBody)
		}
		checkBlock(t, b)
		recipients := b.Recipients("client.example")
		untouched := fieldsThatStay(b)
		folded := slices.ContainsFunc(b.Complete(submission()), func(c Change) bool { return strings.HasPrefix(c.Rule, "folded") })
		checkBlock(t, b)
		if b.Has("Bcc") || b.Has("Resent-Bcc") {
			t.Fatalf("Bcc in %q", b.Bytes())
		}
		if slices.ContainsFunc(b.Fields(), func(f Field) bool { return tooLong(f.Raw()) }) {
			t.Fatalf("a line is too long in %q", b.Bytes())
		}
		for _, raw := range untouched {
			if !slices.ContainsFunc(b.Fields(), func(f Field) bool { return string(f.Raw()) == raw }) {
				t.Fatalf("%q is not in %q", raw, b.Bytes())
			}
		}
		if !folded { // by force that may cut an address
			checkRecipients(t, recipients, b.Recipients("client.example"))
		}
	})
}

// checkBlock reads what is written.
func checkBlock(t *testing.T, b *Block) {
	t.Helper()
	wire := b.Bytes()
	if len(wire) != b.Size() {
		t.Fatalf("the size of %d octets is given as %d", len(wire), b.Size())
	}
	if bytes.ContainsAny(bytes.ReplaceAll(wire, crlf, nil), "\r\n\x00") {
		t.Fatalf("a bare CR, LF or NUL in %q", wire)
	}
	again, _, err := Read(bytes.NewReader(wire), 1<<22)
	if err != nil || !bytes.Equal(again.Bytes(), wire) || len(again.Fields()) != len(b.Fields()) {
		t.Fatalf("read again: %v %q, was %q", err, again.Bytes(), wire)
	}
}

// fieldsThatStay are those that Complete has no reason to touch.
func fieldsThatStay(b *Block) []string {
	var raws []string
	for _, f := range b.Fields() {
		if !f.isAddressField() && !tooLong(f.Raw()) && !f.isAny([]string{"Bcc", "Resent-Bcc", "Return-Path", "Content-Length"}) {
			raws = append(raws, string(f.Raw()))
		}
	}
	return raws
}

// checkRecipients holds what a header said before Complete against what the
// world can read in it: the edits make no recipient.
func checkRecipients(t *testing.T, before, after Recipients) {
	t.Helper()
	for _, a := range after.Addresses {
		known := func(b Address) bool { return a.Key() == b.Key() }
		if !slices.ContainsFunc(before.Addresses, known) {
			t.Fatalf("%q was none of %q", a, before.Addresses)
		}
	}
}

// An address that was read can be written and read again, and what is written
// cannot end a command.
func FuzzParseList(f *testing.F) {
	for _, test := range listTests {
		f.Add(test.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for at := range in {
			checkPlainItem(t, in[at:])
		}
		for _, domain := range []string{"client.example", ""} {
			addrs, bad := ParseList(in, domain)
			for _, a := range addrs {
				checkAddress(t, a, domain)
			}
			for _, b := range bad {
				if strings.ContainsFunc(b.Error(), unicode.IsControl) {
					t.Fatalf("%q: control characters in %q", in, b.Error())
				}
			}
		}
		f := newField([]byte("To:" + strings.NewReplacer("\r", " ", "\n", "\r\n ").Replace(in) + "\r\n"))
		before, _ := ParseList(f.Value(), "client.example")
		f, _ = qualify(f, "client.example")
		after, _ := ParseList(f.Value(), "client.example")
		if !slices.Equal(before, after) {
			t.Fatalf("%q: %q is read as %q, not %q", in, f.Raw(), after, before)
		}
	})
}

func checkAddress(t *testing.T, a Address, domain string) {
	t.Helper()
	s := a.String()
	if strings.ContainsFunc(s, unicode.IsControl) {
		t.Fatalf("control characters in %q", s)
	}
	again, nope := ParseList(s, domain)
	if len(again) != 1 || len(nope) != 0 || again[0] != a {
		t.Fatalf("%q is read as %q, %v", s, again, nope)
	}
	one, null, err := ParseSender("<"+s+">", domain)
	if one != a || null || err != nil {
		t.Fatalf("%q as a sender is %q, %v, %v", s, one, null, err)
	}
	if (again[0].Key() != a.Key()) || len(s) == 0 {
		t.Fatalf("key %q", a.Key())
	}
}
