package message

import (
	"bytes"
	"encoding/binary"
)

// maxLine is the longest line that may travel, without its CRLF (RFC 5321
// 4.5.3.1.6 counts 1,000 octets with it).
const maxLine = 998

// Facts says what was seen in a stream of lines in wire form.
type Facts struct {
	Size        int64 // octets in wire form, CRLF line ends, not dot-stuffed
	Lines       int64 // lines, an unfinished last one included
	LongestLine int   // octets of the longest line, without CRLF
	EightBit    bool  // an octet above 127 was seen
	NUL         bool  // an octet 0 was seen
}

// fits reports whether what was seen may travel over w as it is.
func (f Facts) fits(w Wire) bool {
	return f.LongestLine <= maxLine && !f.NUL && (w.EightBitMIME || !f.EightBit)
}

// join returns the facts of two streams of whole lines, one after the other.
func (f Facts) join(g Facts) Facts {
	return Facts{
		Size:        f.Size + g.Size,
		Lines:       f.Lines + g.Lines,
		LongestLine: max(f.LongestLine, g.LongestLine),
		EightBit:    f.EightBit || g.EightBit,
		NUL:         f.NUL || g.NUL,
	}
}

// meter collects Facts from chunks cut anywhere.
type meter struct {
	facts Facts
	line  int  // octets of the current line so far, a CR at its end included
	cr    bool // the octet before was a CR
}

// add counts the octets of p.
func (m *meter) add(p []byte) {
	m.facts.Size += int64(len(p))
	m.facts.EightBit = m.facts.EightBit || hasEightBit(p)
	m.facts.NUL = m.facts.NUL || bytes.IndexByte(p, 0) >= 0
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			m.line += len(p)
			m.cr = p[len(p)-1] == '\r'
			return
		}
		if i > 0 {
			m.cr = p[i-1] == '\r'
		}
		m.line += i
		if m.cr {
			m.line--
		}
		m.facts.LongestLine = max(m.facts.LongestLine, m.line)
		m.facts.Lines++
		m.line, m.cr = 0, false
		p = p[i+1:]
	}
}

// result returns the facts of all that was added, an unfinished line included.
func (m *meter) result() Facts {
	f := m.facts
	if m.line > 0 {
		f.Lines++
		f.LongestLine = max(f.LongestLine, m.line)
	}
	return f
}

// factsOf measures p.
func factsOf(p []byte) Facts {
	var m meter
	m.add(p)
	return m.result()
}

// hasEightBit reports whether p holds an octet above 127, eight at a time: a
// body is looked at once per octet, and nearly all of them are ASCII.
func hasEightBit(p []byte) bool {
	const high = 0x8080808080808080
	for len(p) >= 8 {
		if binary.NativeEndian.Uint64(p)&high != 0 {
			return true
		}
		p = p[8:]
	}
	for _, c := range p {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
