package message

import (
	"bytes"
	"io"
)

// NewInput returns what the caller of sendmail means by its standard input r.
//
// With ignoreDots (-i, -oi) that is r itself. Without it, a line of one dot ends
// the message: "." and LF, "." and CRLF, or "." (perhaps with a CR) at the end
// of the input. A line that begins with two dots loses one; any other dot
// stays. Only an LF begins a new line here.
//
// After the dot the rest of r is read and thrown away before io.EOF is returned,
// so the writing program never gets a SIGPIPE. Memory is bounded however long a
// line is. An error of r is returned as it is.
func NewInput(r io.Reader, ignoreDots bool) io.Reader {
	if ignoreDots {
		return r
	}
	return &input{r: r, state: lineStart}
}

// inputState is what the octets since the last LF were.
type inputState int

const (
	lineStart  inputState = iota // nothing yet
	lineDot                      // "."
	lineDotCR                    // "." CR
	lineInside                   // a line that is data
)

// input applies the lone-dot rule.
type input struct {
	r       io.Reader
	state   inputState
	buf     [chunkSize]byte
	rest    []byte // of buf, not yet looked at
	pending []byte // held back octets that turned out to be data
	err     error  // to return after pending
}

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for idle := 0; ; {
		if n := copy(p, in.pending); n > 0 {
			in.pending = in.pending[n:]
			return n, nil
		}
		if in.err != nil {
			return 0, in.err
		}
		if len(in.rest) == 0 {
			if n := in.fill(); n > 0 {
				idle = 0
			} else if idle++; idle == 100 {
				in.err = io.ErrNoProgress
			}
			continue
		}
		if n := in.take(p); n > 0 {
			return n, nil
		}
	}
}

// fill reads once. At the end of r a held back dot is decided.
func (in *input) fill() int {
	n, err := in.r.Read(in.buf[:])
	in.rest = in.buf[:n]
	if err == nil {
		return n
	}
	if n > 0 {
		in.r = failed{err} // after these octets
		return n
	}
	in.err = err
	if err != io.EOF && in.state != lineInside {
		in.pending = held(in.state)
	}
	return 0
}

// take copies data to p, up to and including one octet that changes the state.
func (in *input) take(p []byte) int {
	if in.state == lineInside {
		return in.takeInside(p)
	}
	c := in.rest[0]
	switch {
	case c == '.' && in.state == lineStart:
		in.state = lineDot
		in.rest = in.rest[1:]
	case c == '\r' && in.state == lineDot:
		in.state = lineDotCR
		in.rest = in.rest[1:]
	case c == '\n' && in.state != lineStart:
		in.drain()
	case c == '.' && in.state == lineDot:
		in.state = lineInside // the held dot is the one to lose
	default:
		in.pending = held(in.state)
		in.state = lineInside
	}
	return 0
}

// takeInside copies up to the end of the line, or all there is. It looks ahead
// over lines that do not begin with a dot.
func (in *input) takeInside(p []byte) int {
	src := in.rest[:min(len(p), len(in.rest))]
	n := len(src)
	if i := bytes.Index(src, []byte("\n.")); i >= 0 {
		n = i + 1
	}
	copy(p, src[:n])
	in.rest = in.rest[n:]
	if src[n-1] == '\n' {
		in.state = lineStart
	}
	return n
}

// drain reads r to its end. The message is complete, so an error there is none
// of its business.
func (in *input) drain() {
	in.rest = nil
	in.err = io.EOF
	for idle := 0; idle < 100; {
		n, err := in.r.Read(in.buf[:])
		if err != nil {
			return
		}
		if idle++; n > 0 {
			idle = 0
		}
	}
}

// held returns the octets that a state stands for.
func held(s inputState) []byte {
	switch s {
	case lineDot:
		return []byte(".")
	case lineDotCR:
		return []byte(".\r")
	}
	return nil
}

// failed is a reader at its end.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }
