package message

import (
	"bytes"
	"errors"
	"io"
)

// crlf ends every line of the wire form.
var crlf = []byte("\r\n")

// Message is a header and a body, ready for the wire. It is never changed, so
// several sessions may read it at the same time.
type Message struct {
	header []byte
	facts  Facts // of header and body
	body   *Body
	owns   bool // the body was made by For
}

// New joins a header in wire form, its empty line included, and a body. The
// caller keeps the body and closes it when the message is done with.
func New(header []byte, body *Body) *Message {
	return &Message{header: header, body: body, facts: factsOf(header).join(body.facts)}
}

// Header returns the header in wire form with its final empty line. It must not
// be changed.
func (m *Message) Header() []byte { return m.header }

// Body returns the body, which belongs to the message or to the caller of New.
func (m *Message) Body() *Body { return m.body }

// Size returns the octets of the wire form, before dot-stuffing: what SIZE=
// (RFC 1870) and BDAT (RFC 3030) count.
func (m *Message) Size() int64 { return m.facts.Size }

// Facts returns what is known of header and body together.
func (m *Message) Facts() Facts { return m.facts }

// Open returns a reader of the whole message, independent of all others. It
// yields exactly Size octets or an error.
func (m *Message) Open() (io.ReadCloser, error) {
	return &reader{header: m.header, body: m.body.Open()}, nil
}

// Close frees what For made. On a message from New it does nothing, so the
// result of For can be closed without asking whether it is a new one.
func (m *Message) Close() error {
	if !m.owns {
		return nil
	}
	return m.body.Close()
}

// reader reads the header, then the body.
type reader struct {
	header []byte
	body   io.Reader // nil after Close
}

var errClosed = errors.New("message: reader is closed")

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.body == nil {
		return 0, errClosed
	}
	if len(r.header) == 0 {
		return r.body.Read(p)
	}
	n := copy(p, r.header)
	r.header = r.header[n:]
	if n == len(p) {
		return n, nil
	}
	k, err := r.body.Read(p[n:])
	if err == io.EOF {
		err = nil // said by the next call; n or k octets come first
	}
	return n + k, err
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.header, r.body = nil, nil
	return nil
}

// Wire says what the server at the other end accepts.
type Wire struct {
	EightBitMIME bool // RFC 6152: octets above 127 in the body
	UTF8         bool // RFC 6531: UTF-8 in header fields; it asks for 8BITMIME too
}

// For returns a message that may be sent on w: m itself when it fits, else a
// recoded copy in which no body line is over 998 octets, no octet is NUL, and
// none is above 127 unless the server offers 8BITMIME. What the recipient
// decodes is the same; see the package comment for the rules. The caller closes
// the result; m must stay open as long as it is m.
//
// The header of m is not judged: octets above 127 in it travel raw, as all
// reference programs send them, and its lines were folded when it was made.
// Errors are *StoreError.
func (m *Message) For(w Wire) (*Message, error) {
	w.EightBitMIME = w.EightBitMIME || w.UTF8
	if m.body.facts.fits(w) {
		return m, nil
	}
	header, body, err := recode(bytes.Clone(m.header), m.body, w)
	if err != nil {
		return nil, err
	}
	out := New(header, body)
	out.owns = true
	return out, nil
}
