package config

import (
	"maps"
	"slices"
	"strings"
)

// Headers says what a message tells of who sends it.
type Headers struct {
	Received bool         // a Received field with user and program
	FromName string       // display name of a From that is missing, with {user} and {host}
	Add      []HeaderLine // in the order of their names
}

// HeaderLine is a field for every message. In its value {user}, {uid}, {host} and
// {program} stand for who sends, where, and with what.
type HeaderLine struct{ Name, Value string }

func headersFields(h *Headers) []field {
	return []field{
		{"received", flag(&h.Received)},
		{"from_name", text(&h.FromName, func(s string) (string, string, string) {
			problem, hint := placeholders(s, "user", "host")
			return s, problem, hint
		})},
		{"add", lines(&h.Add)},
	}
}

// lines takes a table of names and values.
func lines(to *[]HeaderLine) setter {
	return func(value any) (string, string) {
		table, ok := value.(map[string]any)
		if !ok {
			return "must be a table, not " + kindOf(value), `write { "X-Sent-By" = "{user} on {host}" }`
		}
		var list []HeaderLine
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if problem, hint := headerName(name); problem != "" {
				return quoted(name) + " " + problem, hint
			}
			var text string
			if problem, hint := must(&text, nil)(table[name]); problem != "" {
				return quoted(name) + " " + problem, hint
			}
			if problem, hint := placeholders(text, "user", "uid", "host", "program"); problem != "" {
				return quoted(name) + " " + problem, hint
			}
			if strings.TrimSpace(text) == "" {
				return quoted(name) + " is empty", ""
			}
			if slices.ContainsFunc(list, func(l HeaderLine) bool { return strings.EqualFold(l.Name, name) }) {
				return quoted(name) + " is there twice", ""
			}
			list = append(list, HeaderLine{name, strings.TrimSpace(text)})
		}
		*to = list
		return "", ""
	}
}

// headerName refuses what is no name, and fields that have a meaning of their
// own: a fixed value would be wrong for some message.
func headerName(name string) (problem, hint string) {
	if name == "" || len(name) > 76 || strings.ContainsFunc(name, func(r rune) bool { return r != '-' && !isAlnum(r) }) {
		return "is no name of a header field", `write letters, digits and hyphens, such as "X-Sent-By"`
	}
	low := strings.ToLower(name)
	taken := []string{"from", "sender", "to", "cc", "bcc", "reply-to", "date", "message-id", "subject", "received", "return-path",
		"in-reply-to", "references", "mime-version", "dkim-signature", "x-original-to"}
	for _, prefix := range []string{"resent-", "content-", "arc-"} {
		if strings.HasPrefix(low, prefix) {
			taken = append(taken, low)
		}
	}
	if slices.Contains(taken, low) {
		return "is a field that belongs to each message", ""
	}
	return "", ""
}
