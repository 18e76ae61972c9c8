package config

import (
	"errors"
	"strings"

	"github.com/BurntSushi/toml"
)

// syntaxFault is for a text that is not TOML. It leaves out of the library's
// message what stands in the file, which may be a password.
func (d *decoder) syntaxFault(err error) *Error {
	e := &Error{File: d.path}
	var at toml.ParseError
	if !errors.As(err, &at) {
		e.Msg = "cannot be read as TOML"
		return e
	}
	e.Line = max(at.Position.Line, 1)
	if key, ok := strings.CutPrefix(at.Message, "Key '"); ok {
		key, _, _ = strings.Cut(key, "' ")
		e.Key, e.Msg = printable(key), "is set twice"
		return e
	}
	e.Msg, e.Hint = syntaxMessage(at.Message)
	return e
}

func syntaxMessage(msg string) (plain, hint string) {
	const quote = "put text in double quotes"
	for _, part := range []string{"out of range", "nvalid integer", "nvalid float", "non-decimal", " number: "} {
		if strings.Contains(msg, part) {
			return "not TOML: bad number", quote
		}
	}
	for _, cut := range []string{", but got ", " but got ", " but found ", " '\\", ": "} {
		msg, _, _ = strings.Cut(msg, cut)
	}
	if strings.Contains(msg, "expected value") || strings.Contains(msg, "top-level item") ||
		strings.Contains(msg, "a digit") || strings.Contains(msg, "datetime") {
		hint = quote
	}
	return "not TOML: " + printable(msg), hint
}
