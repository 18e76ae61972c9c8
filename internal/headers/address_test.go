package headers

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAddressString(t *testing.T) {
	tests := []struct {
		why  string
		in   Address
		want string
		utf8 bool
	}{
		{"plain", Address{"a", "x"}, "a@x", false},
		{"all of atext", Address{"a!#$%&'*+-/=?^_`{|}~9", "x"}, "a!#$%&'*+-/=?^_`{|}~9@x", false},
		{"dots at odd places", Address{".a..b.", "x"}, ".a..b.@x", false},
		{"blank", Address{"a b", "x"}, `"a b"@x`, false},
		{"at", Address{"a@b", "x"}, `"a@b"@x`, false},
		{"quote and backslash", Address{`a"\`, "x"}, `"a\"\\"@x`, false},
		{"bracket that would end a command", Address{"a>", "x"}, `"a>"@x`, false},
		{"UTF-8 needs no quotes", Address{"jürgen", "x"}, "jürgen@x", true},
		{"UTF-8 domain has an ASCII form", Address{"a", "münchen.example"}, "a@münchen.example", false},
		{"no domain", Address{"a b", ""}, `"a b"`, false},
		{"literal", Address{"a", "[IPv6:::1]"}, "a@[IPv6:::1]", false},
		{"nothing", Address{}, `""`, false},
	}
	for _, test := range tests {
		if got := test.in.String(); got != test.want || test.in.NeedsUTF8() != test.utf8 {
			t.Errorf("%s: got %q, %v", test.why, got, test.in.NeedsUTF8())
		}
	}
}

// merged are the addresses of lists, each once.
func merged(lists ...[]Address) []Address {
	var s Set
	for _, a := range slices.Concat(lists...) {
		s.Add(a)
	}
	return s.Addresses()
}

func TestSetMerges(t *testing.T) {
	tests := []struct{ why, in, want string }{
		{"case of the domain", "a@X.example, a@x.Example", "a@X.example"},
		{"case of the local part counts", "a@x, A@x", "a@x A@x"},
		{"needless quotes", `a@x, "a"@x, \a@x`, "a@x"},
		{"quotes that are needed", `"a b"@x, "a\ b"@x`, `"a b"@x`},
		{"IDN forms, in any case", "b@MÜNCHEN.example, b@xn--mnchen-3ya.example, b@XN--MNCHEN-3YA.example, b@münchen.example", "b@MÜNCHEN.example"},
		{"UTF-8 that is no domain name stays as it is", "a@-ü-.x, a@-ü-.X", "a@-ü-.x"},
		{"a bare name and its full form", "a, a@client.example", "a@client.example"},
		{"an at within quotes is another mailbox", `"a@x"@y, a@x`, `"a@x"@y a@x`},
		{"literals", "a@[IPv6:2001:DB8::1], a@[ipv6:2001:db8::1]", "a@[IPv6:2001:DB8::1]"},
	}
	for _, test := range tests {
		list, bad := ParseList(test.in, "client.example")
		for _, got := range [][]Address{merged(list), merged(list, list), merged(nil, list[:1], list[1:])} {
			var text []string
			for _, a := range got {
				text = append(text, a.String())
			}
			if strings.Join(text, " ") != test.want || len(bad) > 0 {
				t.Errorf("%s: got %q, %v", test.why, text, bad)
			}
		}
	}
	if got := merged(); !slices.Equal(got, nil) {
		t.Error(got)
	}
}

func TestToASCII(t *testing.T) {
	tests := []struct{ why, in, want string }{
		{"ASCII keeps its case", "X.example", "X.example"},
		{"underscore", "_dmarc.x", "_dmarc.x"},
		{"IDN", "münchen.example", "xn--mnchen-3ya.example"},
		{"capitals", "MÜNCHEN.example", "xn--mnchen-3ya.example"},
		{"ß is a letter of its own", "straße.example", "xn--strae-oqa.example"},
		{"underscore in an IDN", "_x.münchen.example", "_x.xn--mnchen-3ya.example"},
		{"literal", "[192.0.2.1]", "[192.0.2.1]"},
		{"control character", "ü\u0000", ""},
		{"wide > would end a command", "ü＞", ""},
		{"wide blank", "ü\u3000x", ""},
		{"wide letters and dot", "ｘ．example", "x.example"},
	}
	for _, test := range tests {
		got, err := ToASCII(test.in)
		if (err != nil) != (test.want == "") || err == nil && got != test.want {
			t.Errorf("%s: got %q, %v", test.why, got, err)
		}
	}
}

func TestBadAddress(t *testing.T) {
	for _, in := range []string{
		"a@\x1b[2Jx", "a@x \x07@", strings.Repeat("\x80", 300), strings.Repeat("ü", 300) + "@x@y", "\u009b@",
	} {
		_, bad := ParseList(in, "d")
		if len(bad) == 0 {
			t.Errorf("%q is an address", in)
		}
		for _, b := range bad {
			if s := b.Error(); !utf8.ValidString(s) || strings.ContainsAny(s, "\x1b\x07\u009b") || len(b.Text) > 500 {
				t.Errorf("%q: %q", in, s)
			}
		}
	}
	_, bad := ParseList("a@b@c", "d")
	if got, want := bad[0].Error(), `"a@b@c" is not an address: more than one @`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseSender(t *testing.T) {
	tests := []struct {
		why, in, want string
		null, bad     bool
	}{
		{"plain", "a@b", "a@b", false, false},
		{"brackets", "<a@b>", "a@b", false, false},
		{"name", "N <a@b>", "a@b", false, false},
		{"quoted name", `"N, M" <a@b>`, "a@b", false, false},
		{"bare", "joe", "joe@client.example", false, false},
		{"bare in brackets", "<joe>", "joe@client.example", false, false},
		{"blanks around", " a@b\t", "a@b", false, false},
		{"null", "<>", "", true, false},
		{"null with blanks", " <> ", "", true, false},
		{"empty", "", "", true, false},
		{"two", "a@b, c@d", "", false, true},
		{"two without a comma", "a@b c@d", "", false, true},
		{"one good, one bad", "a@b, c@", "", false, true},
		{"a line end would be a command", "a@b\r\nRCPT TO:<c@d>", "", false, true},
		{"LF in a comment", "a@b (\n)", "", false, true},
		{"NUL", "a\x00@b", "", false, true},
		{"escape sequence in a name", "\x1b[1m <a@b>", "", false, true},
		{"C1 control character", "\u009b <a@b>", "", false, true},
		{"none", "a@", "", false, true},
		{"a name for nobody", "Joe <>", "", false, true},
		{"an empty list", ",", "", false, true},
		{"a program", "|cmd", "", false, true},
	}
	for _, test := range tests {
		a, null, err := ParseSender(test.in, "client.example")
		if (err != nil) != test.bad || null != test.null || err == nil && !null && a.String() != test.want {
			t.Errorf("%s: %q: got %v %v %v", test.why, test.in, a, null, err)
		}
	}
}
