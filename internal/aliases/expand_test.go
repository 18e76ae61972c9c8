package aliases

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"postern/internal/headers"
)

// locals are addresses as the caller gives them.
func locals(list ...string) (all []headers.Address) {
	for _, one := range list {
		found, _ := headers.ParseList(one, "")
		all = append(all, found...)
	}
	return all
}

const sample = `
root: ops@example.com, Alice
alice: alice@home.example
postmaster: root
www-data: root
self: self, copy@x.example
final: \final, \root
a: b, ok@x.example
b: c
c: a
list: m1@x.example, m2@x.example, team
team: m3@x.example
owner-list: list-admin
list-admin: admin@x.example
many: n@x.example
owner-many: o1@x.example, o2@x.example
pipe: "|/bin/vacation", p@x.example
file: /dev/null
gone: :fail: has left
twice: ops@EXAMPLE.com, root, ops@example.com
incl: :include:/list
incl2: :include:/missing
incl3: :include:/odd
deep: s@client.example
s: s@client.example
broken: @
`

var lists = map[string]string{
	"/list": "# members\nl1@x.example, alice\r\n\nl2@x.example # two\n",
	"/odd":  "ok@x.example\n|/bin/sh\n:include:/list\n/etc/passwd\n\\root\nno one@\n",
}

func expander(text string) *Expander {
	return &Expander{
		Table:  func() (*Table, error) { return Parse("/etc/aliases", text), nil },
		List:   listed,
		Domain: "client.example", Hosts: []string{"web1.client.example", "web1", "localhost"},
	}
}

func listed(path string) (string, error) {
	if text, ok := lists[path]; ok {
		return text, nil
	}
	return "", errors.New("no such file")
}

// show is a result on one line: "address(original)[owner] … ! failure".
func show(r Result) string {
	var words []string
	for _, one := range r.Recipients {
		text := one.Address.String()
		if one.Original != (headers.Address{}) {
			text += "(" + one.Original.String() + ")"
		}
		if one.Owner != (headers.Address{}) {
			text += "[" + one.Owner.String() + "]"
		}
		words = append(words, text)
	}
	for _, f := range r.Failed {
		words = append(words, "! "+f.Error())
	}
	return strings.Join(words, " ")
}

func TestExpand(t *testing.T) {
	const star = sample + "*: catch@x.example, root\n"
	for _, c := range []struct{ why, file, given, want string }{
		{"nested", sample, "root", "ops@example.com(root@client.example) alice@home.example(root@client.example)"},
		{"two names for the same: each address once", sample, "postmaster, www-data", "ops@example.com(postmaster@client.example) alice@home.example(postmaster@client.example)"},
		{"root at this host, its short name, localhost, our domain, any case", sample,
			"ROOT@Web1.Client.Example", "ops@example.com(ROOT@Web1.Client.Example) alice@home.example(ROOT@Web1.Client.Example)"},
		{"", sample, "alice@web1", "alice@home.example(alice@web1)"},
		{"", sample, "alice@localhost", "alice@home.example(alice@localhost)"},
		{"", sample, "alice@CLIENT.example", "alice@home.example(alice@CLIENT.example)"},
		{"root elsewhere is none of ours", sample, "root@other.example", "root@other.example"},
		{"a name without an alias gets the domain", sample, "bob, carol@web1", "bob@client.example carol@web1"},
		{"an alias that names itself keeps the mailbox", sample, "self", "self@client.example(self@client.example) copy@x.example(self@client.example)"},
		{"also in the long form", sample, "s", "s@client.example(s@client.example)"},
		{"and from another alias", sample, "deep", "s@client.example(deep@client.example)"},
		{"a backslash ends it", sample, "final", "final@client.example(final@client.example) root@client.example(final@client.example)"},
		{"a loop is told, others are sent", sample, "a", "ok@x.example(a@client.example) ! /etc/aliases:10: c: the alias leads back to itself: a -> b -> c -> a"},
		{"owner-NAME is the sender, of nested aliases too", sample, "list",
			"m1@x.example(list@client.example)[admin@x.example] m2@x.example(list@client.example)[admin@x.example] m3@x.example(list@client.example)[admin@x.example]"},
		{"an owner that is several stays a name", sample, "many", "n@x.example(many@client.example)[owner-many@client.example]"},
		{"mail to the owner itself has no owner", sample, "owner-list", "admin@x.example(owner-list@client.example)"},
		{"a program is refused, the rest is sent", sample, "pipe",
			`p@x.example(pipe@client.example) ! /etc/aliases:17: pipe: mail for a program is not supported, and nothing is run: "|/bin/vacation"`},
		{"a file", sample, "file", `! /etc/aliases:18: file: mail for a file is not supported: "/dev/null"; no mail is thrown away here, name an address`},
		{"a refusal", sample, "gone", "! /etc/aliases:19: gone: the alias refuses mail: has left"},
		{"once, however often named", sample, "twice", "ops@EXAMPLE.com(twice@client.example) alice@home.example(twice@client.example)"},
		{"a list, with names that are aliases", sample, "incl", "l1@x.example(incl@client.example) alice@home.example(incl@client.example) l2@x.example(incl@client.example)"},
		{"a list that is missing", sample, "incl2", "! /etc/aliases:22: incl2: the list /missing cannot be used: no such file"},
		{"a list with more than addresses", sample, "incl3", "ok@x.example(incl3@client.example) root@client.example(incl3@client.example)" +
			` ! /odd:2: incl3: a list holds addresses only, not "|/bin/sh" ! /odd:3: incl3: a list holds addresses only, not ":include:/list"` +
			` ! /odd:4: incl3: a list holds addresses only, not "/etc/passwd" ! /odd:6: incl3: "one@" is not an address: there is no domain behind the @`},
		{"a target that cannot be read", sample, "broken", `! /etc/aliases:26: broken: "@" is not an address: there is no domain behind the @`},
		{"* is for names without an alias", star, "bob", "catch@x.example(bob@client.example) ops@example.com(bob@client.example) alice@home.example(bob@client.example)"},
		{"also at this host", star, "bob@localhost", "catch@x.example(bob@localhost) ops@example.com(bob@localhost) alice@home.example(bob@localhost)"},
		{"not for names with an alias", star, "alice", "alice@home.example(alice@client.example)"},
		{"not for people at our domain, who may be elsewhere", star, "bob@client.example", "bob@client.example"},
		{"not for other domains", star, "bob@x.example", "bob@x.example"},
		{"* does not catch what it names itself", "*: ops\n", "bob", "ops@client.example(bob@client.example)"},
		{"nor what its own names lead to", "*: ops\nops: carol\n", "bob", "carol@client.example(bob@client.example)"},
		{"a name is no pattern", sample + "b*: x@y\n", "bob", "bob@client.example"},
		{"quoted local parts", "\"a b\": \"c d\"@x\n", `"A B"`, `"c d"@x("A B"@client.example)`},
	} {
		got, err := expander(c.file).Expand(locals(c.given))
		if err != nil || show(got) != c.want {
			t.Errorf("%s (%s):\n got %s %v\nwant %s", c.why, c.given, show(got), err, c.want)
		}
	}
}

func TestSteps(t *testing.T) {
	got, _ := expander(sample + "*: root\n").Expand(locals("bob", "x@y"))
	var text []string
	for _, s := range got.Steps {
		text = append(text, s.String())
	}
	want := "bob ... alias (/etc/aliases:27): root\nroot ... alias (/etc/aliases:2): ops@example.com, Alice\nAlice ... alias (/etc/aliases:3): alice@home.example"
	if s := strings.Join(text, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

// The file is looked at only for a local name, and its error is handed on.
func TestTableIsReadOnlyWhenNeeded(t *testing.T) {
	failed := errors.New("no such file")
	x := expander("")
	x.Table = func() (*Table, error) { return nil, failed }
	if got, err := x.Expand(locals("a@x.example")); err != nil || show(got) != "a@x.example" {
		t.Errorf("%s, %v", show(got), err)
	}
	if _, err := x.Expand(locals("a@x.example, root")); err != failed {
		t.Errorf("%v, want %v", err, failed)
	}
	x.Table = nil
	if got, err := x.Expand(locals("root, root@client.example, a@x")); err != nil || show(got) != "root@client.example a@x" {
		t.Errorf("%s, %v", show(got), err)
	}
}

func TestCheck(t *testing.T) {
	x := expander(sample + "no colon\nAlice: other\n")
	table, _ := x.Table()
	var got []string
	for _, e := range x.Check(table) {
		text := e.Error()
		got = append(got, text[:min(len(text), 32)])
	}
	want := []string{"/etc/aliases:10: c: the alias le", "/etc/aliases:17: pipe: mail for ", "/etc/aliases:18: file: mail for ", "/etc/aliases:19: gone: the alias",
		"/etc/aliases:22: incl2: the list", "/etc/aliases:26: broken: \"@\" is ", "/etc/aliases:27: \"no colon\": the", "/etc/aliases:28: Alice: the name",
		"/odd:2: incl3: a list holds addr", "/odd:3: incl3: a list holds addr", "/odd:4: incl3: a list holds addr", "/odd:6: incl3: \"one@\" is not an "}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	good, _ := expander("root: a@x\nb: root, :include:/list\nalice: c@d\n").Table()
	if wrong := x.Check(good); wrong != nil {
		t.Errorf("a good file: %v", wrong)
	}
}

// A file made to blow up does not: each name is expanded once.
func TestExpandingEnds(t *testing.T) {
	var b strings.Builder
	for i := range 45 {
		fmt.Fprintf(&b, "n%d: n%d, n%d, m%d@x\n", i, i+1, i+1, i)
	}
	got, _ := expander(b.String()).Expand(locals("n0"))
	if len(got.Recipients) != 46 || len(got.Failed) != 0 {
		t.Errorf("%d recipients, %v", len(got.Recipients), got.Failed)
	}
	b.Reset()
	for i := range 100_000 {
		fmt.Fprintf(&b, "n%d: n%d\n", i, i+1)
	}
	got, _ = expander(b.String()).Expand(locals("n0"))
	if len(got.Recipients) != 0 || len(got.Failed) != 1 || !strings.Contains(got.Failed[0].Reason, "more than 50 aliases") {
		t.Errorf("a long chain: %s", show(got))
	}
}

// A list of rubbish is not told line by line, and its good lines count.
func TestManyFaults(t *testing.T) {
	x := expander("all: :include:/list\n")
	x.List = func(string) (string, error) { return strings.Repeat("@\n", 1000) + "ok@x.example\n", nil }
	got, _ := x.Expand(locals("all"))
	if len(got.Failed) != maxFaults || got.Failed[maxFaults-1].Reason != "more is wrong than is told here" || len(got.Recipients) != 1 {
		t.Errorf("%d faults, the last is %v; recipients %v", len(got.Failed), got.Failed[len(got.Failed)-1], got.Recipients)
	}
}

// A thousand addresses that are no aliases take no allocation each.
func TestExpandAllocates(t *testing.T) {
	var given []headers.Address
	for i := range 1000 {
		given = append(given, headers.Address{Local: fmt.Sprint("user", i), Domain: "x.example"})
	}
	x := &Expander{Domain: "host.example", Hosts: []string{"localhost"}}
	if n := testing.AllocsPerRun(10, func() {
		if r, err := x.Expand(given); err != nil || len(r.Recipients) != len(given) {
			t.Fatal(r, err)
		}
	}); n > 10 {
		t.Errorf("%v allocations", n)
	}
}
