package headers

import (
	"slices"
	"strings"
	"testing"
)

func TestParseList(t *testing.T) {
	const d = "client.example"
	tests := []struct {
		why, in string
		want    string // addresses joined with a blank
		bad     int
	}{
		{"plain", "a@x", "a@x", 0},
		{"a list as cron writes MAILTO", "a@x,b@x", "a@x b@x", 0},
		{"blanks after commas", "a@x, b@x", "a@x b@x", 0},
		{"semicolon as Outlook users write it", "a@x; b@x", "a@x b@x", 0},
		{"no comma at all", "a@x b@x", "a@x b@x", 0},
		{"brackets without a comma", "<a@x> <b@x>", "a@x b@x", 0},
		{"name and brackets", "Joe <a@x>", "a@x", 0},
		{"quoted name with specials", `"D, J @ <home>" <a@x>`, "a@x", 0},
		{"comment behind", "a@x (Joe, at @ work)", "a@x", 0},
		{"comment in front", "(Joe) a@x", "a@x", 0},
		{"nested comment with an escaped parenthesis", `(a (b \) c) d) a@x`, "a@x", 0},
		{"comment within the address", "one(c)@r", "one@r", 0},
		{"blanks around at and dots (obsolete)", "a . b @ x . example", "a.b@x.example", 0},
		{"fold within brackets", "<a@\r\n x>", "a@x", 0},
		{"group", "g: a@d, b@d;", "a@d b@d", 0},
		{"two groups", "g: a@d; h: b@d, c@d;", "a@d b@d c@d", 0},
		{"group not closed", "g: a@d", "a@d", 0},
		{"empty group", "undisclosed-recipients:;", "", 0},
		{"trailing, leading, doubled commas", ",a@x,,b@x,", "a@x b@x", 0},
		{"nothing", "", "", 0},
		{"only blanks", " \t\r\n ", "", 0},
		{"null address is skipped", "<>, a@x", "a@x", 0},
		{"source route: last hop only", "<@r1,@r2:a@x>", "a@x", 0},
		{"bare name", "root", "root@client.example", 0},
		{"bare name with a comment", "root (Cron Daemon)", "root@client.example", 0},
		{"unquoted comma in a name", "Doe, Jane <a@x>", "Doe@client.example a@x", 0},
		{"address as a name", "jane@home <a@x>", "a@x", 0},
		{"dots in an unquoted name", "A. B. <a@x>", "a@x", 0},
		{"name without brackets", "First Last a@x", "a@x", 0},
		{"quoted local part with a blank keeps its quotes", `"a b"@x`, `"a b"@x`, 0},
		{"quoted local part with an at", `"a@b"@x`, `"a@b"@x`, 0},
		{"quoted local part with a comma", `"a,b"@x`, `"a,b"@x`, 0},
		{"needless quotes go", `"a"@x`, "a@x", 0},
		{"quotes in the middle", `a."b"@x`, "a.b@x", 0},
		{"escaped character", `\a@x`, "a@x", 0},
		{"quote within quotes", `"a\"b"@x`, `"a\"b"@x`, 0},
		{"dots at odd places are the smarthost's to judge", "a..b.@x", "a..b.@x", 0},
		{"percent hack stays", "a%b@gw", "a%b@gw", 0},
		{"percent without a domain is a name", "a%b", "a%b@client.example", 0},
		{"bang path is a name", "host!user", "host!user@client.example", 0},
		{"address literal", "a@[192.0.2.1]", "a@[192.0.2.1]", 0},
		{"IPv6 literal: its colons are no group", "a@[IPv6:2001:db8::1], b@x", "a@[IPv6:2001:db8::1] b@x", 0},
		{"trailing dot of the domain", "a@x.example.", "a@x.example", 0},
		{"domain without a dot", "a@localhost", "a@localhost", 0},
		{"encoded-word with a raw comma is never decoded", "=?utf-8?Q?Doe, J?= <a@x>", "=?utf-8?Q?Doe@client.example a@x", 0},
		{"encoded-word that hides an address", "=?utf-8?Q?evil=40x=2C?= <a@x>", "a@x", 0},
		{"UTF-8 local part", "jürgen@x", "jürgen@x", 0},
		{"UTF-8 domain", "a@münchen.example", "a@münchen.example", 0},
		{"leading dash", "-a@d", "-a@d", 0},
		{"unclosed comment at the end", "a@x (Joe", "a@x", 0},
		{"mailto as people paste it", "mailto:a@x", "a@x", 0},

		{"no domain", "a@", "", 1},
		{"no name", "@d", "", 1},
		{"one bad does not stop the others", "a@, b@x", "b@x", 1},
		{"unclosed quote", `"a@x`, "", 1},
		{"unclosed bracket", "<a@x", "", 1},
		{"bracket without opening", "a@x>", "", 1},
		{"two ats", "a@b@c", "", 1},
		{"program", "|cmd", "", 1},
		{"file", "/var/mail/x", "", 1},
		{"include", ":include:/etc/passwd", "", 2},
		{"program with a domain is only a name", "|cmd@d", "|cmd@d", 0},
		{"control character", "a\x01b@x", "", 1},
		{"control character within quotes", "\"a\x01b\"@x", "", 1},
		{"not UTF-8", "j\xfcrgen@x", "", 1},
		{"two addresses in brackets", "<a@x b@x>", "", 1},
		{"an address as a group name loses nobody silently", "a@x: b@x", "b@x", 1},
		{"domain with a slash", "a@x/y", "", 1},
		{"domain of dots", "a@..", "", 1},
		{"too long", strings.Repeat("a", 1000) + "@x", "", 1},
	}
	for _, test := range tests {
		addrs, bad := ParseList(test.in, d)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != test.want || len(bad) != test.bad {
			t.Errorf("%s: %q: got %q and %d bad (%v), want %q and %d", test.why, test.in, got, len(bad), bad, test.want, test.bad)
		}
	}
}

func TestMerge(t *testing.T) {
	a, _ := ParseList(`a@X.example, "a"@x.example, A@x.example, b@münchen.example, b@xn--mnchen-3ya.example`, "")
	var got []string
	for _, one := range Merge(a) {
		got = append(got, one.String())
	}
	want := []string{"a@X.example", "A@x.example", "b@münchen.example"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
