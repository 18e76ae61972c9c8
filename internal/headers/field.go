package headers

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// Field is one header field in wire form: name, colon, value with its folding,
// and CRLF at the end of each line.
type Field struct {
	raw   []byte
	name  int  // octets of the name
	whole bool // its list was read, and no name in it is without a domain
}

// newField takes the lines of a field, which end with CRLF.
func newField(raw []byte) Field { return Field{raw: raw, name: bytes.IndexByte(raw, ':')} }

// Name is the name as it is written.
func (f Field) Name() string { return string(f.raw[:f.name]) }

// Is reports whether the field has that name; case does not matter.
func (f Field) Is(name string) bool {
	return f.name == len(name) && strings.EqualFold(string(f.raw[:f.name]), name)
}

// Raw is the whole field. It must not be changed.
func (f Field) Raw() []byte { return f.raw }

// Value is what follows the colon, folds included, without the final CRLF.
func (f Field) Value() string { return string(bytes.TrimSuffix(f.raw[f.name+1:], crlf)) }

// Unfolded is the value on one line, without blanks around it (RFC 5322 2.2.3).
func (f Field) Unfolded() string {
	return strings.Trim(strings.ReplaceAll(f.Value(), "\r\n", ""), " \t")
}

// isResent reports a field that resending adds (RFC 5322 3.6.6).
func (f Field) isResent() bool {
	const prefix = "Resent-"
	return f.name > len(prefix) && strings.EqualFold(string(f.raw[:len(prefix)]), prefix)
}

// isAny reports whether the field has one of the names.
func (f Field) isAny(names []string) bool {
	for _, n := range names {
		if f.Is(n) {
			return true
		}
	}
	return false
}

var crlf = []byte("\r\n")

// Block is a header: fields in their order.
type Block struct {
	fields []Field
}

// Fields returns the fields. They must not be changed.
func (b *Block) Fields() []Field { return b.fields }

// Bytes is the wire form with the empty line at the end.
func (b *Block) Bytes() []byte {
	out := make([]byte, 0, b.Size())
	for _, f := range b.fields {
		out = append(out, f.raw...)
	}
	return append(out, crlf...)
}

// Size is the length of Bytes.
func (b *Block) Size() int {
	n := len(crlf)
	for _, f := range b.fields {
		n += len(f.raw)
	}
	return n
}

// Get returns the unfolded value of the first field of that name.
func (b *Block) Get(name string) (string, bool) {
	for _, f := range b.fields {
		if f.Is(name) {
			return f.Unfolded(), true
		}
	}
	return "", false
}

// Has reports whether there is a field of that name, be it empty.
func (b *Block) Has(name string) bool { return b.Count(name) > 0 }

// Count returns how many fields have that name.
func (b *Block) Count(name string) int {
	n := 0
	for _, f := range b.fields {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// All returns the unfolded values of all fields of that name.
func (b *Block) All(name string) []string {
	var values []string
	for _, f := range b.fields {
		if f.Is(name) {
			values = append(values, f.Unfolded())
		}
	}
	return values
}

// Remove drops all fields of these names and returns how many there were.
func (b *Block) Remove(names ...string) int {
	kept := make([]Field, 0, len(b.fields))
	for _, f := range b.fields {
		if !f.isAny(names) {
			kept = append(kept, f)
		}
	}
	n := len(b.fields) - len(kept)
	b.fields = kept
	return n
}

// ReceivedCount is how many servers the message says it has passed.
func (b *Block) ReceivedCount() int { return b.Count("Received") }

// ErrBadField is a field that Prepend refuses.
var ErrBadField = errors.New("headers: a field with a line end, NUL, or a name that is none")

// Prepend puts a field in front, but after trace fields that are on top
// (RFC 5322 3.6: they stay together and first).
func (b *Block) Prepend(name, value string) error { return b.insert(b.afterTrace(), name, value) }

func (b *Block) insert(at int, name, value string) error {
	end, _ := nameEnd([]byte(name))
	if name == "" || end != len(name) || end > maxName || strings.ContainsAny(value, "\r\n\x00") {
		return ErrBadField
	}
	line := []byte(name + ": " + value + "\r\n")
	field := newField(fold(line))
	b.fields = slices.Insert(b.fields, at, field)
	return nil
}

// afterTrace is the place behind the trace fields that the header begins with.
func (b *Block) afterTrace() int {
	trace := []string{"Received", "Return-Path", "Delivered-To", "X-Original-To", "DKIM-Signature",
		"Authentication-Results", "Received-SPF", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"}
	for i, f := range b.fields {
		if !f.isAny(trace) {
			return i
		}
	}
	return len(b.fields)
}
