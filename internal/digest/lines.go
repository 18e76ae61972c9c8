package digest

import (
	"io"
	"unicode/utf8"
)

// Lines cuts a stream, in chunks of any size, into lines of text.
type Lines struct {
	// Emit takes a line, without its end. The line is only lent.
	Emit func(line []byte)
	// Max is how many octets a line may have; a longer one is cut.
	Max int

	line  []byte
	clean []byte // of line, if it had to be made
	state sequence
	size  int // octets of the sequence so far
	cr    carriage
}

// sequence is where in an escape sequence (ECMA-48) the stream is.
type sequence int

const (
	plain    sequence = iota
	escape            // behind ESC
	control           // behind ESC [
	text              // within a title or other string, up to BEL or ESC \
	textEnds          // behind an ESC in it
)

// A sequence that is longer was none: the stream must not be swallowed by one
// that never ends.
const (
	maxControl = 128
	maxText    = 4096
)

// carriage is what a CR before has done.
type carriage int

const (
	none     carriage = iota
	wasEnd            // it ended a line, so that an LF now is part of the end
	wasBlank          // there was nothing to end
)

// Write takes a chunk.
func (l *Lines) Write(p []byte) {
	for len(p) > 0 {
		if l.state != plain {
			l.step(p[0])
			p = p[1:]
			continue
		}
		n := textLength(p)
		l.add(p[:n])
		if n < len(p) {
			l.special(p[n])
			n++
		}
		p = p[n:]
	}
}

// textLength is how many octets in front are no control characters.
func textLength(p []byte) int {
	for i, c := range p {
		if isControl(c) {
			return i
		}
	}
	return len(p)
}

func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// End takes the end of the stream: a line that is not finished is one.
func (l *Lines) End() {
	if len(l.line) > 0 {
		l.finish()
	}
}

// step takes an octet of an escape sequence. A line end, and what cannot belong
// to it, ends the sequence and counts by itself.
func (l *Lines) step(c byte) {
	l.size++
	switch {
	case l.state == textEnds && c == '\\', l.state == text && c == '\a':
		l.state = plain
	case l.state == text && c == 0x1b:
		l.state = textEnds
	case l.state == text && c != '\n' && l.size <= maxText:
	case l.state == control && c >= 0x40 && c <= 0x7e:
		l.state = plain
	case l.state == control && c >= 0x20 && c <= 0x3f && l.size <= maxControl:
	case l.state == escape || l.state == textEnds:
		l.escaped(c)
	default:
		l.again(c)
	}
}

// escaped takes what follows ESC.
func (l *Lines) escaped(c byte) {
	switch {
	case c == '[':
		l.state, l.size = control, 0
	case c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_':
		l.state, l.size = text, 0
	case c >= 0x20 && c <= 0x2f && l.size <= maxControl:
		l.state = escape
	case c >= 0x30 && c <= 0x7e:
		l.state = plain
	default:
		l.again(c)
	}
}

// again takes an octet that has ended a sequence before its time.
func (l *Lines) again(c byte) {
	l.state = plain
	if isControl(c) {
		l.special(c)
		return
	}
	l.add([]byte{c})
}

// special takes a control character outside of sequences.
func (l *Lines) special(c byte) {
	switch c {
	case 0x1b:
		l.state, l.size = escape, 0
	case '\n':
		if l.cr != wasEnd {
			l.finish()
		}
		l.cr = none
	case '\r':
		switch {
		case len(l.line) > 0:
			l.finish()
			l.cr = wasEnd
		case l.cr == none:
			l.cr = wasBlank
		}
	}
}

// add takes text.
func (l *Lines) add(p []byte) {
	for len(p) > 0 {
		l.cr = none
		n := min(len(p), max(l.Max, utf8.UTFMax)-len(l.line))
		l.line = append(l.line, p[:n]...)
		p = p[n:]
		if len(l.line) >= l.Max && len(p) > 0 {
			l.cut()
		}
	}
}

// cut finishes a line that is too long, not within a character.
func (l *Lines) cut() {
	end := len(l.line)
	for i := 1; i < utf8.UTFMax && i < end; i++ {
		if c := l.line[end-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(l.line[end-i:]) {
				end -= i
			}
			break
		}
	}
	rest := append([]byte(nil), l.line[end:]...)
	l.line = l.line[:end]
	l.finish()
	l.line = append(l.line, rest...)
}

func (l *Lines) finish() {
	l.Emit(l.readable())
	l.line = l.line[:0]
}

// readable is the line with octets that are not UTF-8 written as \xNN, and
// without the control characters that Unicode has beside those of ASCII.
func (l *Lines) readable() []byte {
	const hex = "0123456789abcdef"
	line, good := l.line, 0
	for good < len(line) && line[good] < 0x80 {
		good++
	}
	if good == len(line) {
		return line
	}
	out := append(l.clean[:0], line[:good]...)
	for p := line[good:]; len(p) > 0; {
		r, n := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, '\\', 'x', hex[p[0]>>4], hex[p[0]&15])
		case r >= 0x80 && r < 0xa0:
		default:
			out = append(out, p[:n]...)
		}
		p = p[n:]
	}
	l.clean = out
	return out
}

// Text reads a stream as text, for a message that is a log as a whole.
type Text struct {
	Lines int64  // that were read so far
	First string // the first that is not empty, cut at a length
	r     io.Reader
	lines *Lines
	chunk []byte
	out   []byte // made of the last chunk
	given int    // octets of it
	err   error
}

// maxTextLine is how long lines of Text may be.
const maxTextLine = 1 << 20

// NewText reads r.
func NewText(r io.Reader) *Text {
	t := &Text{r: r, chunk: make([]byte, 64<<10)}
	t.lines = &Lines{Max: maxTextLine, Emit: func(line []byte) {
		t.Lines++
		t.First = first(t.First, line)
		t.out = append(append(t.out, line...), '\n')
	}}
	return t
}

// Read implements io.Reader. Errors are those of the stream.
func (t *Text) Read(p []byte) (int, error) {
	for t.given == len(t.out) {
		if t.err != nil {
			return 0, t.err
		}
		var n int
		n, t.err = t.r.Read(t.chunk)
		t.out, t.given = t.out[:0], 0
		t.lines.Write(t.chunk[:n])
		if t.err == io.EOF {
			t.lines.End()
		}
	}
	n := copy(p, t.out[t.given:])
	t.given += n
	return n, nil
}

// first is the line that a subject names.
func first(before string, line []byte) string {
	const most = 120
	if before != "" {
		return before
	}
	if len(line) > most {
		line = line[:most]
		for len(line) > 0 && !utf8.Valid(line) {
			line = line[:len(line)-1]
		}
		return string(line) + "…"
	}
	return string(line)
}
