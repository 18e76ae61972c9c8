package smtpd

import (
	"bufio"
	"bytes"
	"io"
)

// content reads what follows DATA up to the lone dot, dots taken off (RFC 5321
// 4.5.2), line ends as they came.
//
// The line end is what the DATA command itself ended with. After CRLF only CRLF
// ends a line here: a dot behind a bare LF or CR is data, or whoever wrote the
// text could end the message and go on with commands of his own. A caller that
// speaks with bare LF, as scripts do on standard input, means LF, and CRLF as
// well.
type content struct {
	w       *wire
	left    int64 // octets that may still come; see tooLarge
	limited bool
	start   bool // at the beginning of a line
	cr      bool // the piece before ended with CR
	piece   []byte
	err     error
}

// content begins to read a message.
func (w *wire) content(limit int64) *content {
	return &content{w: w, left: limit, limited: limit > 0, start: true}
}

// Read implements io.Reader. A connection that ends before the dot gives
// io.ErrUnexpectedEOF.
func (c *content) Read(p []byte) (int, error) {
	for len(c.piece) == 0 {
		if c.err == nil {
			c.err = c.next()
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	n := copy(p, c.piece)
	c.piece = c.piece[n:]
	return n, nil
}

// next takes a line, or a piece of a long one.
func (c *content) next() error {
	c.w.arm()
	p, err := c.w.r.ReadSlice('\n')
	c.w.span.came(len(p))
	switch err {
	case nil, bufio.ErrBufferFull:
	case io.EOF:
		return io.ErrUnexpectedEOF
	default:
		return err
	}
	if c.start && p[0] == '.' {
		p = p[1:]
		if string(p) == "\r\n" || c.w.lf && string(p) == "\n" {
			return io.EOF
		}
	}
	crlf := bytes.HasSuffix(p, []byte("\r\n")) || c.cr && string(p) == "\n"
	c.start = err == nil && (crlf || c.w.lf)
	c.cr = bytes.HasSuffix(p, []byte("\r"))
	c.piece = p
	if c.left -= int64(len(p)); c.limited && c.left < 0 {
		c.piece = nil
		return errTooLarge
	}
	return nil
}

// drain reads to the lone dot, whatever is wrong with the message. It reports
// whether it came.
func (c *content) drain() bool {
	for c.err == nil || c.err == errTooLarge {
		c.err = nil
		if c.err = c.next(); c.err == errTooLarge {
			c.err = nil
		}
		c.piece = nil
	}
	return c.err == io.EOF
}
