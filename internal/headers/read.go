package headers

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// DefaultLimit is how large a header may be, in octets.
const DefaultLimit = 16 << 20

// ErrTooLarge is a header over the limit.
var ErrTooLarge = errors.New("headers: the header is too large")

// maxName is the longest field name that is looked for. RFC 5322 2.1.1 ends a
// line at 998 octets.
const maxName = 998

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
	in := &reader{r: bufio.NewReader(r), limit: limit}
	if start, _ := in.r.Peek(5); string(start) == "From " {
		if err := in.skipLine(); err != nil {
			return nil, nil, err
		}
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
			err = in.skipLine()
			fallthrough
		case lineOther:
			return b, in.r, err
		}
		if err := in.take(); err != nil {
			return nil, nil, err
		}
	}
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

// next looks at the next line without taking it.
func (in *reader) next(within bool) (lineKind, error) {
	p, err := in.r.Peek(maxName + 2)
	if err != nil && err != io.EOF {
		return lineOther, err
	}
	switch {
	case len(p) == 0:
		return lineOther, nil
	case p[0] == '\n' || len(p) > 1 && p[0] == '\r' && p[1] == '\n':
		return lineEmpty, nil
	case p[0] == ' ' || p[0] == '\t':
		if within {
			return lineMore, nil
		}
		return lineOther, nil
	case nameEnd(p) > 0:
		return lineField, nil
	}
	return lineOther, nil
}

// nameEnd is the length of the field name that p begins with, 0 if p is no
// field: printable characters, perhaps blanks, and a colon (RFC 5322 2.2, 4.5).
func nameEnd(p []byte) int {
	n := 0
	for n < len(p) && p[n] > ' ' && p[n] < 0x7f && p[n] != ':' {
		n++
	}
	if rest := bytes.TrimLeft(p[n:], " \t"); len(rest) == 0 || rest[0] != ':' {
		return 0
	}
	return n
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
	var line []byte
	for {
		p, err := in.r.ReadSlice('\n')
		if in.size += len(p); in.size > in.limit {
			return ErrTooLarge
		}
		line = append(line, p...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && err != io.EOF {
			return err
		}
		break
	}
	line = clean(line)
	if in.raw == nil {
		n := nameEnd(line)
		colon := n + bytes.IndexByte(line[n:], ':')
		line = append(line[:n], line[colon:]...)
	}
	in.raw = append(in.raw, line...)
	return nil
}

// clean gives a line its CRLF and takes out what could act as another one.
func clean(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if bytes.IndexByte(line, 0) >= 0 {
		line = bytes.ReplaceAll(line, []byte{0}, nil)
	}
	for i, c := range line {
		if c == '\r' || c == '\n' {
			line[i] = ' '
		}
	}
	return append(line, crlf...)
}
