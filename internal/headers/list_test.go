package headers

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var listTests = []struct {
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
	{"UTF-8 name without encoding", "Jürgen <a@x>", "a@x", 0},
	{"Latin-1 name: nobody reads names", "J\xfcrgen <a@x>", "a@x", 0},
	{"control character in a name", "\"J\x1b[1m\" <a@x>", "a@x", 0},
	{"brackets in a name", "[Team A] Joe <a@x>", "a@x", 0},
	{"half a bracket in a name", "a) [b <a@x>", "a@x", 0},
	{"arrow in a name", "joe -> <a@x>", "a@x", 0},
	{"words behind the brackets", "Joe <a@x> (c) at home", "a@x", 0},
	{"second one without brackets", "<a@x> b@x", "a@x b@x", 0},
	{"names and brackets without commas", "A <a@x> B <b@x>", "a@x b@x", 0},
	{"two bare words", "joe jane", "joe@client.example jane@client.example", 0},
	{"bare in brackets", "<joe>", "joe@client.example", 0},
	{"bare quoted", `"a b"`, `"a b"@client.example`, 0},
	{"blanks in brackets", "< a@x >", "a@x", 0},
	{"only a comment in brackets", "<(nobody)>", "", 0},
	{"comment, whole", "(nobody)", "", 0},
	{"group name with words and quotes", `My "g, h" list: a@x;`, "a@x", 0},
	{"group among others", "a@x, g: b@x, <c@x>;, d@x", "a@x b@x c@x d@x", 0},
	{"comment with specials", "a@x (,;:<>@\"), b@x", "a@x b@x", 0},
	{"fold in a quoted string", "\"a\r\n b\"@x", `"a b"@x`, 0},
	{"escaped comma", `a\,b@x`, `"a,b"@x`, 0},
	{"backslash in quotes", `"a\\b"@x`, `"a\\b"@x`, 0},
	{"underscore in the domain", "a@_x.y", "a@_x.y", 0},
	{"local part over 64 octets is the smarthost's to judge", strings.Repeat("a", 65) + "@x", strings.Repeat("a", 65) + "@x", 0},
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
	{"include, which must not make x a user", ":include:x, b@x", "b@x", 1},
	{"program with a domain is only a name", "|cmd@d", "|cmd@d", 0},
	{"control character", "a\x01b@x", "", 1},
	{"control character within quotes", "\"a\x01b\"@x", "", 1},
	{"not UTF-8", "j\xfcrgen@x", "", 1},
	{"two addresses in brackets", "<a@x b@x>", "", 1},
	{"an address as a group name loses nobody silently", "a@x: b@x, c@x;", "c@x", 1},
	{"a port is no user", "a@x:25", "", 1},
	{"a colon behind brackets", "Joe <a@x> :-)", "", 1},
	{"program as Sendmail's aliases quote it", `"|cmd -a"`, "", 1},
	{"file with an escape", `\/file`, "", 1},
	{"quoted include", `":include:x"`, "", 1},
	{"tab in a local part: no SMTP form", "\"a\tb\"@x", "", 1},
	{"C1 control character", "a\u0085b@x", "", 1},
	{"C1 control character in the domain", "a@x\u0085", "", 1},
	{"domain that is not UTF-8", "a@x\xfc", "", 1},
	{"quoted local part that is not UTF-8", "\"j\xfc\"@x", "", 1},
	{"two dots at the end of the domain", "a@x..", "", 1},
	{"two dots in the domain", "a@x..y", "", 1},
	{"literal not closed takes nobody along", "a@[192.0.2.1, b@x", "b@x", 1},
	{"empty literal", "a@[]", "", 1},
	{"literal with a blank", "a@[192.0.2.1 5]", "", 1},
	{"literal as a local part", "[x]@y", "", 1},
	{"quote in the domain", `a@"x"`, "", 1},
	{"route without an address", "<@r>", "", 1},
	{"route to nobody", "<@r:>", "", 1},
	{"backslash that escapes nothing", `a\`, "", 1},
	{"brackets in brackets", "<<a@x", "", 1},
	{"address and rubbish in brackets", "<a@x, b@x>", "", 1},
	{"missing bracket behind the first of two", "Joe <a@x, Bob <b@x>, c@x", "c@x", 1},
	{"too long only with the domain", strings.Repeat("a", 990), "", 1},
	{"domain with a slash", "a@x/y", "", 1},
	{"domain of dots", "a@..", "", 1},
	{"too long", strings.Repeat("a", 1000) + "@x", "", 1},
}

func TestParseList(t *testing.T) {
	for _, test := range listTests {
		addrs, bad := ParseList(test.in, "client.example")
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != test.want || len(bad) != test.bad {
			t.Errorf("%s: %q: got %q and %d bad (%v), want %q and %d", test.why, test.in, got, len(bad), bad, test.want, test.bad)
		}
	}
}

// The work grows with the size, not faster.
func TestParseListLarge(t *testing.T) {
	for _, part := range []string{"a. ", "a@", "(", "[", "<", ",", "a@x,", "\\", "\"", "g:", "a ", "<a@x>", "@", "[]", "(\\"} {
		start := time.Now()
		ParseList(strings.Repeat(part, 1<<20/len(part)), "client.example")
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%q: %v", part, d)
		}
	}
}

// What plainItem takes, tokens give too; what it must leave to them it leaves.
func TestPlainItem(t *testing.T) {
	for _, test := range []struct {
		why, in, want string
		end           int
	}{
		{"the last one", "a@x", "a@x", 3},
		{"one of many, folded", "\r\n\t a.b+c@x-y.z_1 \r\n ,b@x", "a.b+c@x-y.z_1", 22},
		{"a semicolon", "a@x;", "a@x", 4},
		{"all that an atom may have", "!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~@x", 21},
		{"a path with a domain", "/a@x", "/a@x", 4},
		{"a comment", "a@x (b)", "", 0},
		{"a comment in front", "(b)a@x", "", 0},
		{"two words", "a@x b@x", "", 0},
		{"a name", "A <a@x>", "", 0},
		{"a bare name", "a", "", 0},
		{"a quote", `"a"@x`, "", 0},
		{"an escape", `\a@x`, "", 0},
		{"UTF-8", "ü@x", "", 0},
		{"UTF-8 in the domain", "a@ü", "", 0},
		{"a literal", "a@[1.2.3.4]", "", 0},
		{"two at", "a@b@c", "", 0},
		{"a blank in front of the at", "a @x", "", 0},
		{"no name", "@x", "", 0},
		{"no domain", "a@", "", 0},
		{"a dot at the end, which is dropped", "a@x.", "", 0},
		{"the same before a comma", "a@x.,", "", 0},
		{"a dot in front", "a@.x", "", 0},
		{"two dots", "a@x..y", "", 0},
		{"a colon", "a@x:", "", 0},
		{"a control character", "a\x01@x", "", 0},
		{"as long as can be", strings.Repeat("a", 996) + "@x", strings.Repeat("a", 996) + "@x", 998},
		{"too long", strings.Repeat("a", 997) + "@x", "", 0},
		{"nothing", " ", "", 0},
	} {
		f, end := plainItem(test.in, 0)
		if end != test.end || end > 0 && f.String() != test.want {
			t.Errorf("%s: got %q, %d", test.why, f, end)
		}
		checkPlainItem(t, test.in)
	}
}

// checkPlainItem holds what plainItem says against what tokens say.
func checkPlainItem(t *testing.T, in string) {
	t.Helper()
	got, end := plainItem(in, 0)
	if end == 0 {
		return
	}
	p := &listParser{value: in[:end]}
	var item []token
	for at := 0; ; {
		next, ok := cutToken(p.value, at)
		if !ok {
			break
		}
		item, at = append(item, next), next.to
	}
	if last := item[len(item)-1].kind; last == ',' || last == ';' {
		item = item[:len(item)-1]
	}
	p.item(item)
	if len(p.bad) > 0 || len(p.found) != 1 || p.found[0] != got {
		t.Fatalf("%q: tokens give %v, %v, not %v", p.value, p.found, p.bad, got)
	}
}

// A thousand addresses cost a few allocations, however many there are, to read
// and to complete, and are read once.
func TestManyRecipientsAllocate(t *testing.T) {
	var in strings.Builder
	in.WriteString("From: a@x\nTo: user0@bench.test")
	for i := 1; i < 1000; i++ {
		fmt.Fprintf(&in, ",\n user%d@bench.test", i)
	}
	in.WriteString("\n\n")
	if n := testing.AllocsPerRun(10, func() {
		b, _, err := Read(strings.NewReader(in.String()), DefaultLimit)
		if err != nil || len(b.Recipients("").Addresses) != 1000 {
			t.Fatal(err)
		}
		b.Complete(submission())
	}); n > 60 { // 40, and more with the race detector
		t.Errorf("%v allocations", n)
	}
}
