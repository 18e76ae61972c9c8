package headers

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
)

// DefaultLimit is how large a header may be, in octets.
const DefaultLimit = 16 << 20

// ErrTooLarge is a header over the limit.
var ErrTooLarge = errors.New("headers: the header is too large")

// maxName is how long a field name may be. It leaves room for the colon in a
// line of 998 octets (RFC 5322 2.1.1), so that folding never cuts a name.
const maxName = 990

// Read takes the header off r: fields up to the empty line, which is dropped, or
// up to a line that is no field, or the end. Everything after it, that line
// included, is read from rest, byte for byte.
//
// LF and CRLF end a line and become CRLF; any other CR becomes a blank and NUL
// is dropped, so that neither can make a field of a part of one. Blanks between
// name and colon are dropped. A leading mbox line ("From x date") is dropped. An
// empty or indented first line means that there is no header at all.
//
// At most limit octets are held; more is ErrTooLarge. A first line that is no
// field is not held, however long it is. Other errors are those of r.
func Read(r io.Reader, limit int) (b *Block, rest io.Reader, err error) {
	in := &reader{r: bufio.NewReader(&sticky{r: r}), limit: limit}
	if err := in.skipMbox(); err != nil {
		return nil, nil, err
	}
	b = &Block{}
	for {
		kind, err := in.next(in.raw != nil)
		if err != nil {
			return nil, nil, err
		}
		if kind != lineMore && in.raw != nil {
			b.fields = append(b.fields, newField(in.raw))
			in.raw = nil
		}
		switch kind {
		case lineEmpty:
			_, err = in.r.ReadSlice('\n') // next has seen all of it
			return b, in.r, err
		case lineOther:
			return b, in.r, nil
		}
		if err := in.take(); err != nil {
			return nil, nil, err
		}
	}
}

// sticky ends where r ends or fails, also when it is asked again: a terminal
// would go on behind its end of file.
type sticky struct {
	r   io.Reader
	err error
}

func (s *sticky) Read(p []byte) (n int, err error) {
	if s.err == nil {
		n, s.err = s.r.Read(p)
	}
	return n, s.err
}

// lineKind is what a line is to a header.
type lineKind int

const (
	lineField lineKind = iota
	lineMore           // continues the field before
	lineEmpty          // ends the header
	lineOther          // is body, or the end
)

// reader reads a header line by line.
type reader struct {
	r     *bufio.Reader
	limit int
	size  int
	raw   []byte // the field under way
}

// next looks at the next line without taking it, and at no more of it than it
// needs to.
func (in *reader) next(within bool) (lineKind, error) {
	for n := 1; ; n = in.r.Buffered() + 1 {
		_, failed := in.r.Peek(n)
		p, _ := in.r.Peek(in.r.Buffered())
		kind, sure := classify(p, within)
		switch {
		case sure || failed == io.EOF || failed == bufio.ErrBufferFull:
			return kind, nil
		case failed != nil:
			return lineOther, failed
		}
	}
}

// classify tells what the line is that begins with p. It is not sure if more of
// the line could make it something else.
func classify(p []byte, within bool) (kind lineKind, sure bool) {
	switch {
	case len(p) == 0 || len(p) == 1 && p[0] == '\r':
		return lineOther, false
	case p[0] == '\n' || p[0] == '\r' && p[1] == '\n':
		return lineEmpty, true
	case isBlank(p[0]) && within:
		return lineMore, true
	}
	name, colon := nameEnd(p)
	if name == 0 || name > maxName {
		return lineOther, true
	}
	if colon == len(p) {
		return lineOther, false
	}
	if p[colon] != ':' {
		return lineOther, true
	}
	return lineField, true
}

// nameEnd is the length of the field name that p begins with, and the place
// behind the blanks that follow, where the colon of a field must be (RFC 5322
// 2.2, 4.5).
func nameEnd(p []byte) (name, colon int) {
	for name < len(p) && p[name] > ' ' && p[name] < 0x7f && p[name] != ':' {
		name++
	}
	for colon = name; colon < len(p) && isBlank(p[colon]); {
		colon++
	}
	return name, colon
}

// skipMbox drops a leading mbox line. "From : x" is a field.
func (in *reader) skipMbox() error {
	if start, _ := in.r.Peek(5); string(start) != "From " {
		return nil
	}
	if kind, err := in.next(false); err != nil || kind == lineField {
		return err
	}
	return in.skipLine()
}

// skipLine drops a line.
func (in *reader) skipLine() error {
	for {
		_, err := in.r.ReadSlice('\n')
		switch err {
		case nil, io.EOF:
			return nil
		case bufio.ErrBufferFull:
			continue
		}
		return err
	}
}

// take adds a line to the field under way.
func (in *reader) take() error {
	start := len(in.raw)
	for {
		p, err := in.r.ReadSlice('\n')
		if in.size += len(p); in.size > in.limit {
			return ErrTooLarge
		}
		if room := len(p) + 1; cap(in.raw)-len(in.raw) < room { // for a CR; twice as much as there is, for a list of thousands
			in.raw = slices.Grow(in.raw, len(in.raw)+room)
		}
		in.raw = append(in.raw, p...)
		if err == nil || err == io.EOF {
			break
		}
		if err != bufio.ErrBufferFull {
			return err
		}
	}
	if start == 0 {
		name, colon := nameEnd(in.raw)
		in.raw = slices.Delete(in.raw, name, colon)
	}
	in.raw = clean(in.raw, start)
	return nil
}

// clean gives the line that begins at start its CRLF, and takes out what could
// act as another one.
func clean(raw []byte, start int) []byte {
	line := bytes.TrimSuffix(raw[start:], []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	n := start
	for _, c := range line {
		switch c {
		case 0:
			continue
		case '\r':
			c = ' '
		}
		raw[n] = c
		n++
	}
	return append(raw[:n], crlf...)
}
