package aliases

import (
	"fmt"
	"strings"
	"testing"
)

// dump is a table on lines: "name (line): target | target ! reason".
func dump(t *Table) string {
	var b strings.Builder
	for _, key := range t.order {
		e := t.entries[key]
		var list []string
		for _, one := range e.targets {
			list = append(list, one.String())
		}
		fmt.Fprintf(&b, "%s (%d): %s", e.name, e.line, strings.Join(list, " | "))
		for _, reason := range e.wrong {
			b.WriteString(" ! " + reason)
		}
		b.WriteByte('\n')
	}
	for _, f := range t.faults {
		b.WriteString(f.Error() + "\n")
	}
	return b.String()
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"empty", "", ""},
		{"the plain form", "root: ops@example.com\n", "root (1): ops@example.com\n"},
		{"no blank, no line end", "root:ops@example.com", "root (1): ops@example.com\n"},
		{"blanks around the colon", "root \t :\tops\n", "root (1): ops\n"},
		{"CRLF, as from Windows", "root: a@x\r\nbin: b@x\r\n", "root (1): a@x\nbin (2): b@x\n"},
		{"a byte order mark", "\ufeffroot: a@x\n", "root (1): a@x\n"},
		{"several targets, an empty one, a comma at the end", "root: a@x,b@x , , c,\n", "root (1): a@x | b@x | c\n"},
		{"several without commas", "root: a@x b@x\n", "root (1): a@x | b@x\n"},
		{"continuation lines with comment and empty line between", "root: a@x,\n\tb@x,\n# no end\n\n  c@x\nbin: d@x\n",
			"root (1): a@x | b@x | c@x\nbin (6): d@x\n"},
		{"a backslash at the end continues too", "root: a@x,\\\nb@x\n", "root (1): a@x | b@x\n"},
		{"comments, also indented and behind a target", "# c\n   # c: d\nroot: a@x # me\nx: \"#y\"@z\n", "root (3): a@x\nx (4): \"#y\"@z\n"},
		{"# within a name is no comment", "root: a#b@x\n", "root (1): a#b@x\n"},
		{"quoted names and targets", "\"a b\": \"c, d\"@x, \"e f\"\n", "a b (1): \"c, d\"@x | \"e f\"\n"},
		{"a quoted colon is no end of the name", "\"a:b\": c\n", "a:b (1): c\n"},
		{"names as people write them", "root: Joe Doe <joe@x> (me), \"D, J\" <d@x>\n", "root (1): joe@x | d@x\n"},
		{"a name that is not looked up again", "root: \\root, \\x@y\n", `root (1): \root | \x@y` + "\n"},
		{"programs and files in all spellings", `a: |/bin/x, "|/bin/y -f \"z\"", |"/bin/z a,b", /var/mail/a, "/tmp/a b"` + "\n",
			`a (1): "|/bin/x" | "|/bin/y -f \"z\"" | "|/bin/z a,b" | "/var/mail/a" | "/tmp/a b"` + "\n"},
		{"lists", "a: :include:/etc/l, \":Include: /etc/m n\"\n", "a (1): \":include:/etc/l\" | \":include:/etc/m n\"\n"},
		{"a relative list", "a: :include:l\n", "a (1):  ! the path of a list must begin with /\n"},
		{"refusals of Exim and Sendmail", "a: :fail: gone, for good\nb: error:5.1.1:550 no\nc: \":blackhole:\"\nd: x@y, :defer: later\n",
			"a (1): :fail: gone, for good\nb (2): :fail: 5.1.1:550 no\nc (3): :fail:\nd (4): x@y | :fail: later\n"},
		{"X.400 is no file", "a: \"/c=us/\"@gw\n", "a (1): \"/c=us/\"@gw\n"},
		{"nothing behind the colon", "a:\nb: ,\n", "a (1):  ! there is no address behind the name\nb (2):  ! there is no address behind the name\n"},
		{"a bad target does not spoil a good one", "a: b@x, @y, c@\n", "a (1): b@x ! \"@y\" is not an address: there is no name in front of the @ ! \"c@\" is not an address: there is no domain behind the @\n"},
		{"two aliases on a line", "a: b c: d\n", "a (1):  ! \"b c: d\": an unexpected :, a line end may be missing\n"},
		{"an unclosed quote", "a: \"b\n", "a (1):  ! \"\\\"b\" is not an address: a quote is not closed\n"},
		{"control characters", "a: b\x1b@x\n", "a (1):  ! a control character\n"},
		{"not UTF-8", "a: b\xff@x\n", "a (1):  ! \"b\\xff@x\" is not an address: octets that are not UTF-8\n"},
		{"no colon", "hello\n", "/f:1: \"hello\": there is no colon; write \"name: address\"\n"},
		{"an indented first line is an alias all the same", "  root: x@y\n", "root (1): x@y\n"},
		{"names that are none", "a@x: b\na b: c\nJoe <j>: d\n: e\n|x: f\n",
			"/f:1: \"a@x\" has a domain; aliases are for local names\n/f:2: \"a b\" is not one name\n/f:3: \"Joe <j>\" is not one name\n" +
				"/f:4: \"\" is not one name\n/f:5: \"|x\" is not an address: programs and files cannot be recipients\n"},
		{"the first of a name counts, whatever its case", "Root: a\nROOT: b\n", "Root (1): a\n/f:2: ROOT: the name is there already, in line 1, which counts\n"},
		{"Debian's file", "# /etc/aliases\nmailer-daemon: postmaster\npostmaster: root\nnobody: root\nwww: root\nclamav:\t\troot\n",
			"mailer-daemon (2): postmaster\npostmaster (3): root\nnobody (4): root\nwww (5): root\nclamav (6): root\n"},
		{"the default", "*: ops@x\n", "* (1): ops@x\n"},
	} {
		if got := dump(Parse("/f", c.text)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.why, got, c.want)
		}
	}
}

// What is accepted can be printed, and is read back as the same; expanding
// always ends, and every recipient is once there, with a domain, and an address.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"root: ops@example.com\n", "a: b\nb: a, \\a\n*: c, \"|x\", /y, :include:/z\n", "owner-a: b@c\na: \"x y\"@z # c\n\tq\n",
		"\"a:b\": <@r:c@d>, (c) e, [1]\n", "a: \\\"b\"@c, \"/x\"@y, |\"z,\n", "a: :fail: no\n", "a: \"#\"@b, /c=d@e\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table := Parse("/f", text)
		for _, e := range table.entries {
			for _, one := range e.targets {
				again, wrong := targets(one.String())
				if len(again) != 1 || len(wrong) > 0 || again[0] != one {
					t.Fatalf("%+v is printed as %q and read back as %+v %q", one, one, again, wrong)
				}
			}
		}
		x := &Expander{Table: func() (*Table, error) { return table, nil }, Domain: "d.example", Hosts: []string{"h.example"},
			List: func(path string) (string, error) { return text, nil }}
		x.Check(table)
		for _, key := range append(table.order, "nobody") {
			got, err := x.Expand(locals(key))
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for _, r := range got.Recipients {
				if k := r.Address.Key(); seen[k] || r.Address.Domain == "" {
					t.Fatalf("recipient %q twice or without a domain", r.Address)
				} else {
					seen[k] = true
				}
			}
		}
	})
}
