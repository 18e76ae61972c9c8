package aliases

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"postern/internal/headers"
)

// Error is something wrong in an alias file or a list.
type Error struct {
	File   string
	Line   int    // 0: the file as a whole
	Name   string // the alias, "" if it is not known
	Reason string
	Err    error // of reading a file
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports a failure that can pass without anybody changing a file.
func (e *Error) Temporary() bool {
	if e.Err == nil {
		return false
	}
	for _, lasting := range []error{errAnyone, errOthers, errOwner, errRegular, errSize, fs.ErrNotExist, fs.ErrPermission, syscall.ENOTDIR, syscall.ELOOP} {
		if errors.Is(e.Err, lasting) {
			return false
		}
	}
	return true
}

// Error says where, and what.
func (e *Error) Error() string {
	text := e.Reason
	if e.Name != "" {
		text = e.Name + ": " + text
	}
	if e.Line == 0 {
		return e.File + ": " + text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
}

// entry is an alias.
type entry struct {
	name    string // as it is written
	line    int
	targets []Target
	wrong   []string // what could not be read of it
}

// Table is an alias file that was read.
type Table struct {
	file    string
	entries map[string]*entry // by name in lower case
	order   []string
	faults  []*Error // lines that are no alias, names that come twice
}

// Parse reads the text of an alias file. It does not fail: a line that cannot be
// read is told by Check, and its name, if it has one, refuses mail.
func Parse(file, text string) *Table {
	t := &Table{file: file, entries: make(map[string]*entry)}
	for _, l := range logicalLines(text) {
		t.add(l)
	}
	return t
}

// line is a line with its continuations.
type line struct {
	text   string
	number int
}

// logicalLines joins lines that begin with a blank to the one before, and those
// in front of which a backslash stands at the end. Empty lines and comments
// between them are dropped; a comment behind a blank too.
func logicalLines(text string) (all []line) {
	number, glued := 0, false
	for raw := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		raw = strings.TrimRight(raw, "\r\n")
		more := glued || strings.HasPrefix(raw, " ") || strings.HasPrefix(raw, "\t")
		body, slash := strings.CutSuffix(raw, `\`)
		if at := scan(body).hash; at >= 0 {
			body, slash = body[:at], false
		}
		glued = slash
		switch {
		case strings.TrimSpace(body) == "":
		case more && len(all) > 0:
			all[len(all)-1].text += " " + strings.TrimSpace(body)
		default:
			all = append(all, line{strings.TrimSpace(body), number})
		}
	}
	return all
}

// Faults are the lines that are no alias, and names that come twice.
func (t *Table) Faults() []*Error { return t.faults }

// add takes one alias. The first of a name counts.
func (t *Table) add(l line) {
	fault := func(name, format string, args ...any) {
		t.faults = append(t.faults, &Error{File: t.file, Line: l.number, Name: name, Reason: fmt.Sprintf(format, args...)})
	}
	at := scan(l.text).colon
	if at < 0 {
		fault("", "%s: there is no colon; write \"name: address\"", shown(l.text))
		return
	}
	name, reason := aliasName(l.text[:at])
	if reason != "" {
		fault("", "%s", reason)
		return
	}
	key := strings.ToLower(name)
	if first := t.entries[key]; first != nil {
		fault(name, "the name is there already, in line %d, which counts", first.line)
		return
	}
	e := &entry{name: name, line: l.number}
	e.targets, e.wrong = targets(l.text[at+1:])
	t.entries[key] = e
	t.order = append(t.order, key)
}

// aliasName reads what stands in front of the colon.
func aliasName(text string) (name, reason string) {
	text = strings.TrimSpace(text)
	found, bad := headers.ParseList(text, "")
	switch {
	case len(bad) > 0:
		return "", bad[0].Error()
	case len(found) != 1 || strings.ContainsAny(text, "<("):
		return "", shown(text) + " is not one name"
	case found[0].Domain != "":
		return "", shown(text) + " has a domain; aliases are for local names"
	}
	return found[0].Local, ""
}
