package message

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// span is the octets from up to, not including, to of a body.
type span struct{ from, to int64 }

func (s span) size() int64 { return s.to - s.from }

// cursor looks at any place of a body through one window, so that going back a
// little, as recoding does for every part, costs no reading, and a body of a
// million small parts is not read a million times.
type cursor struct {
	src  io.ReaderAt
	buf  []byte // the whole window
	base int64  // the place of buf[0] in src
	n    int    // octets of buf that are filled
}

func newCursor(src io.ReaderAt) *cursor {
	return &cursor{src: src, buf: make([]byte, chunkSize)}
}

// look returns the first octets of s: at least least of them unless s is
// shorter. They are valid until the next call.
func (c *cursor) look(s span, least int) ([]byte, error) {
	least = int(min(int64(least), s.size()))
	if i := s.from - c.base; i < 0 || i > int64(c.n) || int(int64(c.n)-i) < least {
		if err := c.fill(s.from); err != nil {
			return nil, err
		}
	}
	p := c.buf[s.from-c.base : c.n]
	if int64(len(p)) > s.size() {
		p = p[:s.size()]
	}
	if len(p) < least {
		return nil, &StoreError{Op: "read", Err: io.ErrUnexpectedEOF}
	}
	return p, nil
}

func (c *cursor) fill(at int64) error {
	n, err := c.src.ReadAt(c.buf, at)
	if err == io.EOF {
		err = nil
	}
	if err != nil {
		c.n = 0
		return err
	}
	c.base, c.n = at, n
	return nil
}

// line returns the first line of s with its LF, or as much of it as the window
// holds.
func (c *cursor) line(s span) ([]byte, error) {
	p, err := c.look(s, 1)
	if err != nil {
		return nil, err
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return p[:i+1], nil
	}
	if int64(len(p)) == s.size() {
		return p, nil
	}
	p, err = c.look(s, len(c.buf))
	if err != nil {
		return nil, err
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		p = p[:i+1]
	}
	return p, nil
}

// scan calls f with what comes next in s, at least ahead octets or, with last
// set, all that is left. f returns how many octets it used: all of them when
// last is set, else more than none.
func (c *cursor) scan(s span, ahead int, f func(p []byte, last bool) (int, error)) error {
	for s.size() > 0 {
		p, err := c.look(s, ahead)
		if err != nil {
			return err
		}
		n, err := f(p, int64(len(p)) == s.size())
		if err != nil {
			return err
		}
		s.from += int64(n)
	}
	return nil
}

// copy writes s to w.
func (c *cursor) copy(w io.Writer, s span) error {
	return c.scan(s, 1, func(p []byte, _ bool) (int, error) { return w.Write(p) })
}

// facts measures s.
func (c *cursor) facts(s span) (Facts, error) {
	var m meter
	err := c.scan(s, 1, func(p []byte, _ bool) (int, error) {
		m.add(p)
		return len(p), nil
	})
	return m.result(), err
}

// validUTF8 reports whether all of s is UTF-8.
func (c *cursor) validUTF8(s span) (bool, error) {
	valid := true
	err := c.scan(s, utf8.UTFMax, func(p []byte, last bool) (int, error) {
		cut := len(p)
		if !last {
			cut = wholeRunes(p)
		}
		valid = valid && utf8.Valid(p[:cut])
		return cut, nil
	})
	return valid, err
}

// wholeRunes returns how much of p, which has at least utf8.UTFMax octets, does
// not end within a character.
func wholeRunes(p []byte) int {
	for i := len(p) - 1; i > len(p)-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if utf8.FullRune(p[i:]) {
				return len(p)
			}
			return i
		}
	}
	return len(p)
}
