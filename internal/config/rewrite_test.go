package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func parsed(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Source{}.parse("/etc/p/f.toml", text, 0o600)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

func TestExpand(t *testing.T) {
	for _, row := range []struct{ why, to, local, domain, want string }{
		{"plain", "a@x.example", "root", "web1.lan", "a@x.example"},
		{"local part", "alerts+%l@x.example", "root", "web1.lan", "alerts+root@x.example"},
		{"domain", "%l=%d@x.example", "root", "web1.lan", "root=web1.lan@x.example"},
		{"domain in the domain", "%l@%d.x.example", "root", "web1", "root@web1.x.example"},
		{"percent sign", "%%l%%%l@x.example", "root", "h", "%l%root@x.example"},
		{"what stands for them is not looked at", "%l%d@x.example", "%d", "%l", "%d%l@x.example"},
	} {
		local, domain := Rule{To: row.to}.Expand(row.local, row.domain)
		if got := local + "@" + domain; got != row.want {
			t.Errorf("%s: got %s, want %s", row.why, got, row.want)
		}
	}
}

// The order of rules does not depend on the order in the file.
func TestRuleOrder(t *testing.T) {
	c := parsed(t, where+`rewrite = { "*@*" = "d@x.example", "root@web1.lan" = "a@x.example", "*@*.lan" = "c@x.example", "*@web?.lan" = "b@x.example" }`+"\n")
	var got []string
	for _, r := range c.Smarthosts[0].Rewrite {
		got = append(got, string(r.Match)+"→"+r.To)
	}
	want := []string{"root@web1.lan→a@x.example", "*@web?.lan→b@x.example", "*@*.lan→c@x.example", "*@*→d@x.example"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c = parsed(t, where+"[smarthost.rewrite]\n\"*@*.lan\" = \"c@x.example\"\n")
	if len(c.Smarthosts[0].Rewrite) != 1 || c.Smarthosts[0].Rewrite[0].String() != `rewrite "*@*.lan" = "c@x.example"` {
		t.Errorf("a table of its own: %v", c.Smarthosts[0].Rewrite)
	}
}

func TestRewritingMistakes(t *testing.T) {
	const key = `FILE:3: smarthost.rewrite: `
	runMistakes(t, []mistake{
		{"noTable", where + "rewrite = \"a@b\"\n", key + `must be a table, not text; write { "*@*.lan" = "alerts@example.com" }`, "one address of many"},
		{"badPattern", where + "rewrite = { \"lan\" = \"a@b\" }\n", key + `"lan" is no address: "lan"; write "*@lan" for a whole domain`, "it would match nothing"},
		{"badBelow", where + "rewrite = { \"*.lan\" = \"a@b\" }\n", key + `"*.lan" is no address: "*.lan"; write "*@lan" for a whole domain, "*@*.lan" for those below it`, "what was meant is told"},
		{"null", where + "rewrite = { \"<>\" = \"a@b\" }\n", key + `"<>" cannot be rewritten; write "*@*" for every address; the null sender stays`, "loops of reports"},
		{"number", where + "rewrite = { \"*@lan\" = 1 }\n", key + `"*@lan" must be text, not a number`, "no address"},
		{"unknownEscape", where + "rewrite = { \"*@lan\" = \"%u@b\" }\n",
			key + `"*@lan": unknown "%u"; %l is the local part, %d the domain, %% a percent sign`, "other programs have others"},
		{"openEscape", where + "rewrite = { \"*@lan\" = \"a@b%\" }\n",
			key + `"*@lan": unknown "%"; %l is the local part, %d the domain, %% a percent sign`, "half of one"},
		{"noAt", where + "rewrite = { \"*@lan\" = \"%l\" }\n",
			key + `"*@lan": is not an address: "%l"; write "user@example.com" or "alerts+%l@example.com"`, "no domain"},
		{"twoAts", where + "rewrite = { \"*@lan\" = \"a@b@c\" }\n",
			key + `"*@lan": is not an address: "a@b@c"; write "user@example.com" or "alerts+%l@example.com"`, "two domains"},
		{"inject", where + "rewrite = { \"*@lan\" = \"a>\\r\\nRCPT TO:<x@y\" }\n",
			key + `"*@lan": is not an address: "a>\r\nRCPT TO:<x@y"; write "user@example.com" or "alerts+%l@example.com"`, "a command"},
		{"badFrom", where + "envelope_from = \"app\"\n", `FILE:3: smarthost.envelope_from: is not an address: "app"; write "user@example.com"`, "no domain"},
		{"nullFrom", where + "envelope_from = \"<>\"\n", `FILE:3: smarthost.envelope_from: is not an address: "<>"; write "user@example.com"`, "no report would come back"},
		{"openBracket", where + "header_from = \"App <app@x\"\n", `FILE:3: smarthost.header_from: is not an address: "App <app@x"; write "Name <user@example.com>"`, "half of it"},
		{"placeholder", where + "header_from = \"{name} <app@x>\"\n", `FILE:3: smarthost.header_from: has an unknown "{name}"; known are {user} {host}`, "it would stand in mail"},
		{"openPlaceholder", where + "header_from = \"{user <app@x>\"\n", `FILE:3: smarthost.header_from: has a { without a }`, "the same"},
		{"profile", where + "profile = \"office365\"\n", `FILE:3: smarthost.profile: bad value "office365"; write "ses", "microsoft365", "gmail" or "generic"`, "not known"},
		{"profileWithoutAddress", where + "profile = \"generic\"\n",
			`FILE:3: smarthost.profile: needs the address that the account may send from; add from = "user@example.com" above the first table`, "nothing to rewrite to"},
		{"redirectAndCapture", where + "redirect_to = \"a@x\"\ncapture = \"/m\"\n", "FILE:3: smarthost.redirect_to: contradicts capture; keep one of them", "which of both?"},
		{"addNoTable", where + "[headers]\nadd = \"X\"\n", `FILE:4: headers.add: must be a table, not text; write { "X-Sent-By" = "{user} on {host}" }`, "a name is missing"},
		{"addBadName", where + "[headers]\nadd = { \"X Y\" = \"1\" }\n",
			`FILE:4: headers.add: "X Y" is no name of a header field; write letters, digits and hyphens, such as "X-Sent-By"`, "two fields"},
		{"addTaken", where + "[headers]\nadd = { bCC = \"a@x\" }\n", `FILE:4: headers.add: "bCC" is a field that belongs to each message`, "a leak"},
		{"addTaken2", where + "[headers]\nadd = { Content-Type = \"a\" }\n", `FILE:4: headers.add: "Content-Type" is a field that belongs to each message`, "it would break mail"},
		{"addLine", where + "[headers]\nadd = { X-A = \"a\\nBcc: b\" }\n", `FILE:4: headers.add: "X-A" holds a control character`, "an injected field"},
		{"addEmpty", where + "[headers]\nadd = { X-A = \" \" }\n", `FILE:4: headers.add: "X-A" is empty`, "nothing to tell"},
		{"addTwice", where + "[headers]\nadd = { X-A = \"1\", x-a = \"2\" }\n", `FILE:4: headers.add: "x-a" is there twice`, "names have no case"},
		{"addPlaceholder", where + "[headers]\nadd = { X-A = \"{pid}\" }\n", `FILE:4: headers.add: "X-A" has an unknown "{pid}"; known are {user} {uid} {host} {program}`, "it would stand in mail"},
		{"fromName", where + "[headers]\nfrom_name = \"{uid}\"\n", `FILE:4: headers.from_name: has an unknown "{uid}"; known are {user} {host}`, "the same"},
	})
}

// A profile sets what the manual says, line by line; keys of the file go before.
func TestProfiles(t *testing.T) {
	for _, row := range []struct {
		why, text   string
		host, tls   string
		connections int
		rate        Rate
		from        string // envelope_from and header_from
		own         string
		addTo       bool
	}{
		{"generic", "from = \"app@x.example\"\n[smarthost]\nprofile = \"generic\"\nhost = \"h\"\n", "h", "starttls", 4, Rate{}, "app@x.example", "app@x.example app@x.example", false},
		{"the user is an address", "[smarthost]\nhost = \"h\"\nusername = \"app@x.example\"\npassword = \"p\"\nprofile = \"generic\"\n", "h", "starttls", 4, Rate{}, "app@x.example", "app@x.example app@x.example", false},
		{"from is no address", "from = \"root\"\n[smarthost]\nhost = \"h\"\nusername = \"app@x.example\"\npassword = \"p\"\nprofile = \"generic\"\n", "h", "starttls", 4, Rate{}, "app@x.example", "app@x.example app@x.example", false},
		{"ses", "from = \"app@x.example\"\n[smarthost]\nprofile = \"ses\"\nhost = \"h\"\nusername = \"AKIA\"\npassword = \"p\"\n", "h", "starttls", 4, Rate{}, "app@x.example", "*@x.example *@*.x.example", true},
		{"microsoft365", "[smarthost]\nprofile = \"microsoft365\"\nusername = \"app@x.example\"\npassword = \"p\"\n", "smtp.office365.com", "starttls", 3, Rate{30, time.Minute}, "app@x.example", "app@x.example app@x.example", true},
		{"gmail", "[smarthost]\nprofile = \"gmail\"\nusername = \"app@x.example\"\npassword = \"p\"\n", "smtp.gmail.com", "implicit", 4, Rate{}, "app@x.example", "app@x.example app@x.example", false},
		{"what the file says", "[smarthost]\nadd_to = false\nhost = \"h\"\nmax_connections = 9\nown = \"*@y\"\nprofile = \"microsoft365\"\nrate = \"1/s\"\ntls = \"implicit\"\nusername = \"app@x.example\"\npassword = \"p\"\n",
			"h", "implicit", 9, Rate{1, time.Second}, "app@x.example", "*@y", false},
	} {
		h := parsed(t, row.text).Smarthosts[0]
		own := make([]string, len(h.Own))
		for i, p := range h.Own {
			own[i] = string(p)
		}
		if h.Hosts[0] != row.host || h.TLS != row.tls || h.MaxConnections != row.connections || h.Rate != row.rate || h.AddTo != row.addTo ||
			h.FixMessageID != (h.Profile == "gmail") ||
			h.EnvelopeFrom != row.from || h.HeaderFrom != (Mailbox{"", row.from}) || strings.Join(own, " ") != row.own {
			t.Errorf("%s: %+v", row.why, h)
		}
	}
	h := parsed(t, "[smarthost]\nprofile = \"gmail\"\nusername = \"app@x.example\"\npassword = \"p\"\nheader_from = \"Alerts <alias@x.example>\"\n").Smarthosts[0]
	if h.EnvelopeFrom != "app@x.example" || h.HeaderFrom != (Mailbox{"Alerts", "alias@x.example"}) || len(h.Own) != 2 {
		t.Errorf("header_from of the file: %+v", h)
	}
}

func TestCaptureNeedsNoHost(t *testing.T) {
	h := parsed(t, "[smarthost]\ncapture = \"mail\"\n").Smarthosts[0]
	if h.Capture != "/etc/p/mail" || h.Label() != "/etc/p/mail" {
		t.Errorf("%+v", h)
	}
}

func TestHeaders(t *testing.T) {
	c := parsed(t, where+"[headers]\nreceived = true\nfrom_name = \"{user} on {host}\"\nadd = { X-B = \" {uid} \", Auto-Submitted = \"auto-generated\" }\n")
	if !c.Headers.Received || c.Headers.FromName != "{user} on {host}" ||
		!slices.Equal(c.Headers.Add, []HeaderLine{{"Auto-Submitted", "auto-generated"}, {"X-B", "{uid}"}}) {
		t.Errorf("%+v", c.Headers)
	}
}

// The same in containers, where server and TLS are those of POSTERN_SMARTHOST.
func TestProfileOfEnvironment(t *testing.T) {
	for _, row := range []struct{ why, profile, target, from, tls, sender, fault string }{
		{"user", "gmail", "smtp://app%40x.example@h:587", "", "starttls", "app@x.example", ""},
		{"from", "ses", "smtps://AKIA@h", "app@x.example", "implicit", "app@x.example", ""},
		{"no user", "generic", "h:25", "app@x.example", "auto", "app@x.example", ""},
		{"no address", "generic", "h:25", "", "", "", "POSTERN_PROFILE: needs the address that the account may send from; set POSTERN_FROM"},
		{"unknown", "hotmail", "h:25", "a@x", "", "", `POSTERN_PROFILE: bad value "hotmail"; write "ses", "microsoft365", "gmail" or "generic"`},
	} {
		pairs := []string{"POSTERN_PROFILE", row.profile, "POSTERN_SMARTHOST", row.target, "POSTERN_FROM", row.from}
		if strings.Contains(row.target, "@") {
			pairs = append(pairs, "POSTERN_PASSWORD", "p")
		}
		c, err := Source{Getenv: env(pairs...)}.fromEnv()
		if row.fault != "" {
			if err == nil || err.Error() != row.fault {
				t.Errorf("%s: got %v", row.why, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", row.why, err)
		} else if h := c.Smarthosts[0]; h.TLS != row.tls || h.EnvelopeFrom != row.sender || h.HeaderFrom.Address != row.sender || len(h.Hosts) != 1 || h.Hosts[0] != "h" {
			t.Errorf("%s: %+v", row.why, h)
		}
	}
}

func TestReportsNeedAWay(t *testing.T) {
	const spool = "[spool]\ndir = \"/x\"\n"
	const some = "[[smarthost]]\nhost = \"h\"\nsenders = \"*@x\"\n"
	for text, want := range map[string]int{some + spool: 1, some: 0, where + spool: 0, some + "[[smarthost]]\nhost = \"h\"\nsenders = \"<>\"\n" + spool: 0} {
		if got := parsed(t, text).Warnings; len(got) != want {
			t.Errorf("%q in\n%s", got, text)
		}
	}
}
