package headers

import (
	"strings"
	"testing"
)

var qualifyTests = []struct{ why, in, want string }{
	{"bare", "To: joe\r\n", "To: joe@client.example\r\n"},
	{"no blank behind the colon", "To:joe\r\n", "To:joe@client.example\r\n"},
	{"blanks behind it stay there", "To:  joe \t\r\n", "To:  joe@client.example \t\r\n"},
	{"in brackets", "To: <joe>\r\n", "To: <joe@client.example>\r\n"},
	{"blanks in brackets", "To: < joe >\r\n", "To: < joe@client.example >\r\n"},
	{"name", "From: Joe User <joe>\r\n", "From: Joe User <joe@client.example>\r\n"},
	{"quoted name with specials", "From: \"User, Joe <x>\" <joe>\r\n", "From: \"User, Joe <x>\" <joe@client.example>\r\n"},
	{"comment behind", "From: root (Cron, Daemon)\r\n", "From: root@client.example (Cron, Daemon)\r\n"},
	{"comment without a blank", "From: root(Cron)\r\n", "From: root@client.example(Cron)\r\n"},
	{"comment in front", "From: (Cron) root\r\n", "From: (Cron) root@client.example\r\n"},
	{"comment within", "To: a(c).b(d)\r\n", "To: a(c).b@client.example(d)\r\n"},
	{"comment that is not closed", "To: a (c\r\n", "To: a@client.example (c\r\n"},
	{"quoted local part", "To: \"a b\"\r\n", "To: \"a b\"@client.example\r\n"},
	{"needless quotes stay in the field", "To: \"ab\"\r\n", "To: \"ab\"@client.example\r\n"},
	{"escape stays", "To: a\\,b\r\n", "To: a\\,b@client.example\r\n"},
	{"list, folds and tabs", "To: a,\r\n\tb@x,\r\n c\r\n", "To: a@client.example,\r\n\tb@x,\r\n c@client.example\r\n"},
	{"fold in brackets", "To: J <\r\n joe\r\n >\r\n", "To: J <\r\n joe@client.example\r\n >\r\n"},
	{"value begins on the second line", "To:\r\n joe\r\n", "To:\r\n joe@client.example\r\n"},
	{"commas at odd places", "To: ,a,,b@x,\r\n", "To: ,a@client.example,,b@x,\r\n"},
	{"semicolon", "To: a; b@x\r\n", "To: a@client.example; b@x\r\n"},
	{"group", "To: g: a, b@x;, c\r\n", "To: g: a@client.example, b@x;, c@client.example\r\n"},
	{"empty group", "To: undisclosed-recipients:;\r\n", ""},
	{"null address", "To: <>\r\n", ""},
	{"route", "To: <@r:a@x>\r\n", ""},
	{"route to a bare name", "To: <@r:a>\r\n", "To: <@r:a@client.example>\r\n"},
	{"brackets without commas", "To: <a> <b>\r\n", "To: <a@client.example> <b@client.example>\r\n"},
	{"two words may be a name", "From: Jane Doe\r\n", ""},
	{"two words beside one that is none", "From: Jane Doe, joe\r\n", "From: Jane Doe, joe@client.example\r\n"},
	{"comma in a name, as the references do it", "From: Doe, Jane <a@x>\r\n", "From: Doe@client.example, Jane <a@x>\r\n"},
	{"bad ones stay", "To: a@, |cmd, b\r\n", "To: a@, |cmd, b@client.example\r\n"},
	{"nothing behind a quote that is not closed", "To: a, \"b, c\r\n", "To: a@client.example, \"b, c\r\n"},
	{"UTF-8", "To: jürgen\r\n", "To: jürgen@client.example\r\n"},
	{"Latin-1 name", "To: J\xfcrgen <j>\r\n", "To: J\xfcrgen <j@client.example>\r\n"},
	{"encoded-word is not touched", "From: =?utf-8?Q?J=C3=BC?= <j>\r\n", "From: =?utf-8?Q?J=C3=BC?= <j@client.example>\r\n"},
	{"percent and bang", "To: a%b, h!u\r\n", "To: a%b@client.example, h!u@client.example\r\n"},
	{"literal", "To: a@[192.0.2.1]\r\n", ""},
	{"empty", "To:\r\n", ""},
	{"case of the name", "rEPLY-tO: joe\r\n", "rEPLY-tO: joe@client.example\r\n"},
	{"Errors-To is none of ours", "Errors-To: joe\r\n", ""},
	{"Bcc is not sent", "Bcc: joe\r\n", ""},
	{"Subject", "Subject: joe\r\n", ""},
}

func TestQualify(t *testing.T) {
	for _, test := range qualifyTests {
		if test.want == "" {
			test.want = test.in
		}
		f, changed := qualify(newField([]byte(test.in)), "client.example")
		if got := string(f.Raw()); got != test.want || changed != (test.in != test.want) {
			t.Errorf("%s: got %q, %v, want %q", test.why, got, changed, test.want)
		}
		if again, changed := qualify(f, "client.example"); changed {
			t.Errorf("%s: changed a second time: %q", test.why, again.Raw())
		}
	}
}

func TestQualifyFields(t *testing.T) {
	for _, name := range strings.Fields("From Sender Reply-To To Cc Resent-From Resent-Sender Resent-Reply-To Resent-To Resent-Cc") {
		f, _ := qualify(newField([]byte(name+": joe\r\n")), "d.example")
		if got := string(f.Raw()); got != name+": joe@d.example\r\n" {
			t.Errorf("%q", got)
		}
		if f, changed := qualify(newField([]byte(name+": joe\r\n")), ""); changed {
			t.Errorf("without a domain: %q", f.Raw())
		}
	}
}
