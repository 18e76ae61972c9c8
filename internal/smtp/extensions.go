package smtp

import (
	"slices"
	"strconv"
	"strings"
)

// Extensions is what a server offered in its reply to EHLO (RFC 5321 4.1.1.1).
type Extensions struct {
	list []extension
}

type extension struct{ name, param string } // name in upper case

// parseExtensions reads the lines after the first. "AUTH=LOGIN PLAIN" is
// understood as AUTH; its words are joined with those of a proper line.
func parseExtensions(lines []string) Extensions {
	var e Extensions
	for _, l := range lines[min(1, len(lines)):] {
		name, param, _ := strings.Cut(strings.TrimSpace(l), " ")
		name = strings.ToUpper(name)
		if first, ok := strings.CutPrefix(name, "AUTH="); ok {
			name, param = "AUTH", first+" "+param
		}
		if name == "" {
			continue
		}
		param = strings.TrimSpace(param)
		if i := e.find(name); i < 0 {
			e.list = append(e.list, extension{name, param})
		} else if name == "AUTH" {
			e.list[i].param += " " + param
		}
	}
	return e
}

func (e Extensions) find(name string) int {
	return slices.IndexFunc(e.list, func(x extension) bool { return len(x.name) == len(name) && strings.EqualFold(x.name, name) })
}

// Get returns the parameters of an extension and whether it is offered. Names
// do not depend on case.
func (e Extensions) Get(name string) (param string, ok bool) {
	i := e.find(name)
	if i < 0 {
		return "", false
	}
	return e.list[i].param, true
}

// Has reports whether an extension is offered.
func (e Extensions) Has(name string) bool { return e.find(name) >= 0 }

// Names returns all keywords in the server's order, each with its parameters.
func (e Extensions) Names() []string {
	names := make([]string, len(e.list))
	for i, x := range e.list {
		names[i] = strings.TrimSpace(x.name + " " + x.param)
	}
	return names
}

// MaxSize is the largest message that the server takes, 0 if it names none
// (RFC 1870).
func (e Extensions) MaxSize() int64 {
	param, _ := e.Get("SIZE")
	n, err := strconv.ParseInt(param, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// limit returns a value of the LIMITS extension (RFC 9422), 0 if there is none.
func (e Extensions) limit(name string) int {
	param, _ := e.Get("LIMITS")
	for word := range strings.FieldsSeq(param) {
		key, value, _ := strings.Cut(word, "=")
		if n, err := strconv.Atoi(value); strings.EqualFold(key, name) && err == nil && n > 0 {
			return n
		}
	}
	return 0
}

// authMechanisms are the offered mechanisms in upper case, each once.
func (e Extensions) authMechanisms() []string {
	param, _ := e.Get("AUTH")
	var names []string
	for word := range strings.FieldsSeq(strings.ToUpper(param)) {
		if !slices.Contains(names, word) {
			names = append(names, word)
		}
	}
	return names
}
