package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	for _, row := range []struct {
		why, pattern, address string
		want                  bool
	}{
		{"the same", "a@x.example", "a@x.example", true},
		{"case of both halves", "A@X.example", "a@x.EXAMPLE", true},
		{"all of a domain", "*@x.example", "a.b+c@x.example", true},
		{"not of a domain that ends alike", "*@x.example", "a@ax.example", false},
		{"nor of one below", "*@x.example", "a@b.x.example", false},
		{"all below", "*@*.x.example", "a@c.b.x.example", true},
		{"below is not the domain itself", "*@*.x.example", "a@x.example", false},
		{"a dot is a dot", "a@x.example", "a@xzexample", false},
		{"one character", "web?@x.example", "web1@x.example", true},
		{"not two", "web?@x.example", "web12@x.example", false},
		{"not none", "web?@x.example", "web@x.example", false},
		{"a star that has to go on", "*b@x", "abab@x", true},
		{"two stars", "a*b*@x", "aXbY@x", true},
		{"the star may be empty", "alerts*@*", "alerts@x", true},
		{"brackets mean nothing", "[ab]@x", "a@x", false},
		{"null sender", "<>", "", true},
		{"null sender only", "<>", "a@x", false},
		{"it has no @", "*@*", "", false},
		{"everybody", "*", "", true},
		{"everybody, with an address", "*", "a@x", true},
		{"quoted local part", `"a b"@x`, `"a b"@x`, true},
	} {
		if got := Pattern(row.pattern).Match(row.address); got != row.want {
			t.Errorf("%s: %q matches %q: %v", row.why, row.pattern, row.address, got)
		}
	}
}

// Many stars take no more than a moment.
func TestPatternEnds(t *testing.T) {
	p := Pattern(strings.Repeat("*a", 200) + "@x")
	if p.Match(strings.Repeat("a", 5000) + "@y") {
		t.Error("it matches")
	}
}

func TestChoose(t *testing.T) {
	c, err := Source{}.parse("/f", `
[[smarthost]]
name = "alerts"
host = "a"
senders = ["alerts@*", "<>"]
recipients = "*@out.example"
[[smarthost]]
name = "inside"
host = "b"
recipients = ["*@in.example", "*@*.in.example"]
[[smarthost]]
host = ["c", "d"]
`, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ why, sender, recipient, want string }{
		{"sender and recipient", "alerts@h", "x@out.example", "alerts"},
		{"sender alone is not enough", "alerts@h", "x@y", "c, d"},
		{"the null sender is one", "", "x@out.example", "alerts"},
		{"recipient alone", "", "x@in.example", "inside"},
		{"below", "u@h", "x@a.in.example", "inside"},
		{"the rest", "u@h", "x@out.example", "c, d"},
	} {
		if got := c.Choose(row.sender, row.recipient).Label(); got != row.want {
			t.Errorf("%s: got %s, want %s", row.why, got, row.want)
		}
	}
	c.Smarthosts = c.Smarthosts[:2]
	if h := c.Choose("u@h", "x@y"); h != nil {
		t.Errorf("got %s for what none takes", h.Label())
	}
}

func TestSeveralMistakes(t *testing.T) {
	const a, b = "[[smarthost]]\nhost = \"a\"\nrecipients = \"*@x\"\n", "[[smarthost]]\nhost = \"b\"\n"
	runMistakes(t, []mistake{
		{"lineOfFirst", "[[smarthost]]\nhost = \"a\"\nport = 0\nrecipients = \"*@x\"\n[log]\nto = \"none\"\n" + b,
			"FILE:3: smarthost.port: 0 is not between 1 and 65535", "the line of the table, not of the last one"},
		{"lineOfEach", "[[smarthost]]\nprot = 1\nhost = \"a\"\nrecipients = \"*@x\"\n[[smarthost]]\nhost = \"b\"\nprot = 1\n",
			"FILE:2: smarthost.prot: unknown key; did you mean \"port\"?\nFILE:7: smarthost.prot: unknown key; did you mean \"port\"?",
			"both, each with its line"},
		{"lineInText", "[[smarthost]]\nhost = \"a\"\nusername = \"\"\"\\\n[[smarthost]]\\\n\"\"\"\npassword = \"p\"\nrecipients = \"*@x\"\nport = 0\n" + b,
			"FILE:8: smarthost.port: 0 is not between 1 and 65535", "what looks like a table in a text is none"},
		{"withoutHost", a + "[[smarthost]]\nport = 25\n",
			`FILE:4: smarthost: nothing says where the server is; add host = "smtp.example.com" below [smarthost]`, "the second one"},
		{"hostTwice", "[[smarthost]]\nport = 25\nsenders = \"<>\"\n[[smarthost]]\nport = 25\n",
			"FILE:1: smarthost: nothing says where the server is; add host = \"smtp.example.com\" below [smarthost]\n" +
				"FILE:4: smarthost: nothing says where the server is; add host = \"smtp.example.com\" below [smarthost]",
			"a fault of one does not hide the other's"},
		{"never", b + a, "FILE:3: smarthost: gets no mail: the one in line 1 takes all; put this one first, and give it senders or recipients",
			"a smarthost that is never used is a mistake"},
		{"badSenders", "[[smarthost]]\nhost = \"a\"\nsenders = \"x\"\n" + b, `FILE:3: smarthost.senders: is no address: "x"; write "*@x" for a whole domain`,
			"that the second gets no mail is not known"},
		{"sameName", "[[smarthost]]\nname = \"n\"\nhost = \"a\"\nsenders = \"<>\"\n[[smarthost]]\nname = \"n\"\nhost = \"b\"\n",
			`FILE:5: smarthost: two of them have the name "n"`, "nobody could tell them apart"},
		{"badName", where + "name = \"a b\"\n", `FILE:3: smarthost.name: is not one word of letters, digits, dots and hyphens: "a b"`, "it stands in log lines"},
		{"domainOnly", where + "senders = \"example.com\"\n",
			`FILE:3: smarthost.senders: is no address: "example.com"; write "*@example.com" for a whole domain`, "it would match nothing"},
		{"atDomain", where + "recipients = [\"a@x\", \"@example.com\"]\n",
			`FILE:3: smarthost.recipients: item 2 is no address: "@example.com"; write "*@example.com" for a whole domain`, "other programs write it so"},
		{"name", where + "senders = \"J <a@x>\"\n",
			`FILE:3: smarthost.senders: is no address: "J <a@x>"; write "user@example.com", "*@example.com" or "*@*.example.com"`, "it would match nothing"},
		{"uLabel", where + "recipients = \"*@büro.example\"\n",
			`FILE:3: smarthost.recipients: has a domain that is not in ASCII: "*@büro.example"; write the form that begins with xn--`, "it would match nothing"},
		{"inlineList", "smarthost = [{ host = \"a\", senders = \"<>\" }, { host = \"b\" }]\n",
			"FILE:1: smarthost: must be a table, not a list; write [[smarthost]] on a line of its own for each", "no line could be told"},
		{"tooMany", strings.Repeat(a, maxSmarthosts+1), "FILE:151: smarthost: more than 50 of them", "a bound"},
	})
}

// Each of the ways to write one, and several.
func TestFormsOfTables(t *testing.T) {
	for _, row := range []struct{ why, text, want string }{
		{"one table", "[smarthost]\nhost = \"a\"\n", "a"},
		{"a list of one", "[[smarthost]]\nhost = \"a\"\n", "a"},
		{"dotted", "smarthost.host = \"a\"\n", "a"},
		{"inline", "smarthost = { host = \"a\" }\n", "a"},
		{"tables between", "[[smarthost]]\nhost = \"a\"\nsenders = \"<>\"\n[log]\nto = \"none\"\n[[smarthost]]\nhost = \"b\"\n", "a b"},
	} {
		c, err := Source{}.parse("/f", row.text, 0o600)
		if err != nil {
			t.Errorf("%s: %v", row.why, err)
			continue
		}
		var hosts []string
		for _, h := range c.Smarthosts {
			hosts = append(hosts, h.Hosts...)
		}
		if got := strings.Join(hosts, " "); got != row.want {
			t.Errorf("%s: got %s, want %s", row.why, got, row.want)
		}
	}
}

// Secrets and paths belong to their own smarthost.
func TestSeveralSecrets(t *testing.T) {
	c, err := Source{}.parse("/etc/p/f.toml", `[[smarthost]]
host = "a"
senders = "<>"
username = "u"
password = "first"
ca_file = "one.pem"
[[smarthost]]
host = "b"
username = "v"
password = "second"
`, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range c.Smarthosts {
		text, err := h.Secret.Read(t.Context())
		got = append(got, fmt.Sprint(h.Username, text, err, h.CAFile))
	}
	if want := []string{"ufirst<nil>/etc/p/one.pem", "vsecond<nil>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
