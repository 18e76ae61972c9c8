package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rewriting says what a smarthost wants the addresses of a message to be.
type Rewriting struct {
	Profile string // ses, microsoft365, gmail, generic or ""
	// Own are addresses that need no other: the account may use them.
	Own          []Pattern
	Rewrite      []Rule  // the first that matches counts
	EnvelopeFrom string  // for what no rule matches; "" leaves it
	HeaderFrom   Mailbox // alike, for From, Sender, Resent-From, Resent-Sender
	ReplyTo      string  // for messages without one; "": the author that was
	RewriteTo    bool    // Rewrite is for recipients too
	AddTo        bool    // a message without To and Cc gets an empty group
	FixMessageID bool    // what is no Message-ID is replaced by one
	RedirectTo   string  // everything goes there, the recipients are kept in a field
	Capture      string  // a Maildir that gets the messages instead of the server
}

// Mailbox is an address, perhaps with a display name, in which {user} and {host}
// stand for who sends and where.
type Mailbox struct{ Name, Address string }

// Rule gives an address for those that match.
type Rule struct {
	Match Pattern
	To    string // with %l, %d and %%
}

// String is the rule as it stands in the file.
func (r Rule) String() string { return fmt.Sprintf("rewrite %q = %q", string(r.Match), r.To) }

// Expand gives local part and domain of the address that stands for another one,
// whose local part is without quotes. The result may need them, and may be no
// address if the domain is a literal.
func (r Rule) Expand(local, domain string) (string, string) {
	fill := func(s string) string { return strings.NewReplacer("%%", "%", "%l", local, "%d", domain).Replace(s) }
	toLocal, toDomain, _ := strings.Cut(r.To, "@")
	return fill(toLocal), fill(toDomain)
}

func rewritingFields(r *Rewriting) []field {
	return []field{
		{"own", words(&r.Own, pattern)},
		{"rewrite", rules(&r.Rewrite)},
		{"rewrite_to", flag(&r.RewriteTo)},
		{"envelope_from", text(&r.EnvelopeFrom, mailbox)},
		{"header_from", named(&r.HeaderFrom)},
		{"reply_to", text(&r.ReplyTo, mailbox)},
		{"add_to", flag(&r.AddTo)},
		{"fix_message_id", flag(&r.FixMessageID)},
		{"redirect_to", text(&r.RedirectTo, mailbox)},
		{"capture", text(&r.Capture, pathName)},
	}
}

// mailbox takes a whole address that any server takes.
func mailbox(s string) (string, string, string) {
	local, domain, ok := strings.Cut(s, "@")
	badLocal := local == "" || len(local) > 64 || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") ||
		strings.ContainsFunc(local, func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r) })
	_, badDomain, hint := hostName(domain)
	switch {
	case !ok || badLocal:
		return "", "is not an address: " + quoted(s), `write "user@example.com"`
	case badDomain != "":
		return "", "is not an address: " + quoted(s), cmp.Or(hint, `write "user@example.com"`)
	}
	return s, "", ""
}

// named takes an address with or without a display name.
func named(to *Mailbox) setter {
	return func(value any) (string, string) {
		var s string
		if problem, hint := text(&s, nil)(value); problem != "" || s == "" {
			return problem, hint
		}
		m := Mailbox{Address: strings.TrimSpace(s)}
		if open := strings.LastIndexByte(s, '<'); open >= 0 {
			rest, closed := strings.CutSuffix(strings.TrimSpace(s[open+1:]), ">")
			if !closed {
				return "is not an address: " + quoted(s), `write "Name <user@example.com>"`
			}
			m = Mailbox{strings.Trim(strings.TrimSpace(s[:open]), `"`), rest}
		}
		if problem, hint := placeholders(m.Name, "user", "host"); problem != "" {
			return problem, hint
		}
		var problem, hint string
		if m.Address, problem, hint = mailbox(m.Address); problem != "" {
			return problem, hint
		}
		*to = m
		return "", ""
	}
}

// placeholders looks for {words} that nothing will stand for.
func placeholders(s string, known ...string) (problem, hint string) {
	for {
		_, rest, found := strings.Cut(s, "{")
		word, after, closed := strings.Cut(rest, "}")
		switch {
		case !found:
			return "", ""
		case !closed:
			return "has a { without a }", ""
		case !slices.Contains(known, word):
			return "has an unknown " + quoted("{"+word+"}"), "known are {" + strings.Join(known, "} {") + "}"
		}
		s = after
	}
}

// rules takes a table of patterns and addresses. The most specific comes first:
// the one with most characters that are no wildcards.
func rules(to *[]Rule) setter {
	return func(value any) (string, string) {
		table, ok := value.(map[string]any)
		if !ok {
			return "must be a table, not " + kindOf(value), `write { "*@*.lan" = "alerts@example.com" }`
		}
		var list []Rule
		for _, key := range slices.Sorted(maps.Keys(table)) {
			p, problem, hint := checkText(key, pattern)
			if problem != "" {
				return quoted(key) + " " + problem, hint
			}
			if p == "<>" || p == "*" {
				return quoted(key) + " cannot be rewritten", `write "*@*" for every address; the null sender stays`
			}
			s, isText := table[key].(string)
			if !isText {
				return quoted(key) + " must be text, not " + kindOf(table[key]), ""
			}
			if problem, hint := template(s); problem != "" {
				return quoted(key) + ": " + problem, hint
			}
			list = append(list, Rule{Pattern(p), s})
		}
		slices.SortStableFunc(list, func(a, b Rule) int { return literals(b.Match) - literals(a.Match) })
		*to = list
		return "", ""
	}
}

func literals(p Pattern) int {
	return len(p) - strings.Count(string(p), "*") - strings.Count(string(p), "?")
}

// template takes an address with %l, %d and %%.
func template(s string) (problem, hint string) {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if i++; i == len(s) || !strings.ContainsRune("ld%", rune(s[i])) {
			return "unknown " + quoted(s[i-1:min(i+1, len(s))]), "%l is the local part, %d the domain, %% a percent sign"
		}
	}
	// If it is an address with these, then also with any others, quoted if need be.
	local, domain := Rule{To: s}.Expand("l", "d.example")
	if _, problem, _ = mailbox(local + "@" + domain); strings.Count(s, "@") != 1 || problem != "" {
		return "is not an address: " + quoted(s), `write "user@example.com" or "alerts+%l@example.com"`
	}
	return "", ""
}
