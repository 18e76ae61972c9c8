package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Message is content to send: header, empty line and body, in wire form: every
// line ends with CRLF, no dot is doubled. Bytes makes one from text.
type Message interface {
	// Open returns a reader of the whole message from its beginning. It may be
	// called again, for a further transaction.
	Open() (io.ReadCloser, error)
	// Size is exactly how many octets a reader yields (RFC 1870, RFC 3030). A
	// message that turns out shorter or longer is not sent.
	Size() int64
}

// dotWriter writes content for DATA (RFC 5321 4.5.2): every line ends with CRLF
// (LF and bare CR become CRLF, 2.3.8), a dot at a line's start is doubled, and
// Close ends an unfinished line and writes the final dot.
type dotWriter struct {
	w     *bufio.Writer
	state dotState
	odd   bool // there is a CR without LF in what is being written
}

type dotState int

const (
	dotLineStart dotState = iota
	dotInside
	dotCR // a CR was written, its LF not yet
)

func newDotWriter(w *bufio.Writer) *dotWriter { return &dotWriter{w: w} }

// Write implements io.Writer. What needs no change goes on in one piece.
func (d *dotWriter) Write(p []byte) (int, error) {
	written := len(p)
	d.odd = false
	for len(p) > 0 {
		var err error
		switch {
		case d.state == dotCR:
			p = bytes.TrimPrefix(p, []byte("\n"))
			d.state = dotLineStart
			err = d.w.WriteByte('\n')
		case d.state == dotLineStart && p[0] == '.':
			d.state = dotInside
			err = d.w.WriteByte('.')
		case p[0] == '\n':
			p = p[1:]
			d.state = dotLineStart
			_, err = d.w.WriteString("\r\n")
		default:
			n := d.asIs(p)
			_, err = d.w.Write(p[:n])
			p = p[n:]
		}
		if err != nil {
			return 0, err
		}
	}
	return written, nil
}

// asIs is how much of p needs no change: all up to a dot that begins a line, a LF
// without CR, or behind a CR without LF. It is not 0.
func (d *dotWriter) asIs(p []byte) int {
	n := 0
	if d.state == dotLineStart && !d.odd {
		n = d.wholeLines(p)
	}
	for n < len(p) && (d.state != dotLineStart || p[n] != '.') {
		line, _, ended := bytes.Cut(p[n:], []byte("\n"))
		cr := bytes.IndexByte(line, '\r')
		switch {
		case cr >= 0 && (cr < len(line)-1 || !ended):
			d.state = dotCR
			return n + cr + 1
		case !ended:
			d.state = dotInside
			return len(p)
		case cr < 0:
			d.state = dotInside
			return n + len(line)
		}
		d.state = dotLineStart
		n += len(line) + 1
	}
	return n
}

// wholeLines is how much of p is lines that are as they should be, and do not begin
// with a dot. It is what nearly all content is, and may be 0 for any other. There is
// no CR without LF if there are as many CRs as lines.
func (d *dotWriter) wholeLines(p []byte) (n int) {
	lines := 0
	for n < len(p) && p[n] != '.' {
		lf := bytes.IndexByte(p[n:], '\n')
		if lf < 1 || p[n+lf-1] != '\r' {
			break
		}
		n += lf + 1
		lines++
	}
	if d.odd = bytes.Count(p[:n], []byte("\r")) != lines; d.odd {
		return 0
	}
	return n
}

// Close implements io.Closer; it does not flush.
func (d *dotWriter) Close() error {
	end := ".\r\n"
	switch d.state {
	case dotInside:
		end = "\r\n.\r\n"
	case dotCR:
		end = "\n.\r\n"
	}
	_, err := d.w.WriteString(end)
	return err
}

// errSize is a message that is not as long as it said. Half a message, or more
// octets than BDAT announced, must never become mail or commands.
var errSize = errors.New("the message is not as long as it was")

// copyContent writes the whole of m to w by way of buf. An error of m, or a wrong
// size, is ErrMessage; any other is w's.
func copyContent(w io.Writer, m Message, buf []byte) error {
	src, err := m.Open()
	if err != nil {
		return because(ErrMessage, err)
	}
	defer src.Close()
	r := &messageReader{r: src, left: m.Size()}
	// Only Read and Write, so that the copy goes through the buffer.
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buf); err != nil {
		return err
	}
	if r.left != 0 {
		return because(ErrMessage, errSize)
	}
	return nil
}

// messageReader yields at most left octets and gives errors their kind.
type messageReader struct {
	r    io.Reader
	left int64
}

func (m *messageReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if int64(n) > m.left {
		return 0, because(ErrMessage, errSize)
	}
	m.left -= int64(n)
	if err != nil && err != io.EOF {
		err = because(ErrMessage, err)
	}
	return n, err
}

// Bytes returns text as a Message: LF, CRLF and bare CR each become CRLF, and
// the last line gets its end.
func Bytes(text []byte) Message {
	var b bytes.Buffer
	b.Grow(len(text) + len(text)/32 + 2)
	for len(text) > 0 {
		i := bytes.IndexAny(text, "\r\n")
		if i < 0 {
			i = len(text)
		}
		b.Write(text[:i])
		b.WriteString("\r\n")
		if text = text[i:]; bytes.HasPrefix(text, []byte("\r\n")) {
			text = text[2:]
		} else if len(text) > 0 {
			text = text[1:]
		}
	}
	return bytesMessage(b.Bytes())
}

type bytesMessage []byte

func (b bytesMessage) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
func (b bytesMessage) Size() int64                  { return int64(len(b)) }
