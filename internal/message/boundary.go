package message

import (
	"bytes"
	"mime"
	"strings"
)

// delimiter is a delimiter line of a multipart (RFC 2046 5.1.1), with the CRLF
// before it, which belongs to it and not to the part above.
type delimiter struct {
	span
	close bool // the last one
}

// next finds the next line in s that delimits parts, and measures what is in
// front of it. Without one, found is false and all of s is measured.
func (c *cursor) next(s span, boundary string) (d delimiter, f Facts, found bool, err error) {
	var m meter
	at, start := s.from, true
	for at < s.to {
		l, err := c.line(span{at, s.to})
		if err != nil {
			return d, f, false, err
		}
		if start {
			if is, last := isDelimiter(l, boundary); is {
				d = delimiter{span{max(s.from, at-2), at + int64(len(l))}, last}
				return d, m.result(), true, nil
			}
		}
		m.add(l)
		at += int64(len(l))
		start = l[len(l)-1] == '\n'
	}
	return d, m.result(), false, nil
}

// isDelimiter reports whether the line l is "--", the boundary, perhaps "--",
// blanks and the line's end.
func isDelimiter(l []byte, boundary string) (is, last bool) {
	if len(l) < 2+len(boundary) || l[0] != '-' || l[1] != '-' || string(l[2:2+len(boundary)]) != boundary {
		return false, false
	}
	l = l[2+len(boundary):]
	if bytes.HasPrefix(l, []byte("--")) && len(bytes.TrimRight(l[2:], " \t\r\n")) == 0 {
		return true, true
	}
	return len(bytes.TrimRight(l, " \t\r\n")) == 0, false
}

// boundaryOf returns the boundary parameter of an unfolded Content-Type value,
// or "" if there is none that can be used. What the strict parser does not
// understand is searched for "boundary=" as mail readers do: unquoted
// boundaries with "=" in them are common.
func boundaryOf(value string) string {
	_, params, err := mime.ParseMediaType(value)
	b := params["boundary"]
	if err != nil || b == "" {
		b = looseBoundary(value)
	}
	b = strings.TrimRight(b, " \t")
	if len(b) > 200 || !isPrintable(b) {
		return ""
	}
	return b
}

func looseBoundary(value string) string {
	const name = "boundary="
	i := strings.Index(strings.ToLower(value), name)
	if i < 0 || len(strings.ToLower(value)) != len(value) {
		return ""
	}
	value = value[i+len(name):]
	if strings.HasPrefix(value, `"`) {
		b, _, closed := strings.Cut(value[1:], `"`)
		if !closed {
			return ""
		}
		return b
	}
	if i := strings.IndexAny(value, "; \t"); i >= 0 {
		value = value[:i]
	}
	return value
}

func isPrintable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
