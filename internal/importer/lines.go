package importer

import (
	"strings"
)

// line is a line of a file that says something.
type line struct {
	n    int // from 1
	text string
}

// meaningful are the lines that are neither empty nor comments, without the
// blanks around them.
func meaningful(text string) (list []line) {
	n := 0
	for raw := range strings.Lines(text) {
		n++
		if s := strings.TrimSpace(raw); s != "" && s[0] != '#' {
			list = append(list, line{n, s})
		}
	}
	return list
}

// thisLine stands for what may be anything, a password too.
const thisLine = "this line"

// unknown is the name of a line with a setting that nobody knows. A word alone may
// be the rest of a value.
func (l line) unknown() string {
	if !strings.ContainsAny(l.text, " \t=:|") {
		return thisLine
	}
	return l.name()
}

// name is the first word of a line as a message may show it: it is a setting's
// name, or "this line" when it may be anything.
func (l line) name() string {
	word := l.text
	if i := strings.IndexAny(word, " \t=:|"); i >= 0 {
		word = word[:i]
	}
	odd := func(r rune) bool {
		return r != '_' && r != '-' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}
	if word == "" || len(word) > 40 || strings.ContainsFunc(word, odd) {
		return thisLine
	}
	return word
}

// pair cuts a line at the first blank or equals sign, with blanks around it.
func pair(s string) (name, value string) {
	i := strings.IndexAny(s, " \t=")
	if i < 0 {
		return s, ""
	}
	name, value = s[:i], strings.TrimLeft(s[i:], " \t")
	if strings.HasPrefix(value, "=") {
		value = strings.TrimLeft(value[1:], " \t")
	}
	return name, value
}

// unquote takes double quotes off.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// shellWords splits as a shell does; ok is false for an open quote.
func shellWords(s string) (words []string, ok bool) {
	var w strings.Builder
	inWord := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == ' ' || c == '\t':
			if inWord {
				words, inWord = append(words, w.String()), false
				w.Reset()
			}
			continue
		case c == '\'' || c == '"':
			end := closing(s, i)
			if end < 0 {
				return words, false
			}
			w.WriteString(inQuotes(s[i+1:end], c))
			i = end
		case c == '\\' && i+1 < len(s):
			i++
			w.WriteByte(s[i])
		default:
			w.WriteByte(c)
		}
		inWord = true
	}
	if inWord {
		words = append(words, w.String())
	}
	return words, true
}

// closing is where the quote that opens at i ends, -1 if it does not.
func closing(s string, i int) int {
	for j := i + 1; j < len(s); j++ {
		switch {
		case s[i] == '"' && s[j] == '\\':
			j++
		case s[j] == s[i]:
			return j
		}
	}
	return -1
}

// inQuotes undoes the backslashes that mean something between double quotes.
func inQuotes(s string, quote byte) string {
	if quote == '\'' {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`").Replace(s)
}

// command is a shell's command line as an argument list: its words when it has
// nothing that only a shell understands.
func command(s string) []string {
	if !strings.ContainsAny(s, "|&;<>()$`*?[#~=%{}!\n\\'\"") {
		return strings.Fields(s)
	}
	return []string{"/bin/sh", "-c", s}
}

// yes reads what the programs take for yes.
func yes(s string) bool {
	switch strings.ToLower(s) {
	case "yes", "on", "true", "1", "enabled":
		return true
	}
	return false
}
