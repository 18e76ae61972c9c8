package message

import (
	"bytes"
	"errors"
	"io"
)

// Body is a message body in wire form: every line ends with CRLF, none is
// dot-stuffed. It may be read by several readers at the same time.
type Body struct {
	facts Facts
	mem   []byte   // the octets, when file is nil
	file  tempFile // unlinked
	open  opener   // for a recoded copy
}

// InputError is a failure to read what the caller of the program pipes in. The
// message is not complete and must not be sent.
type InputError struct{ Err error }

func (e *InputError) Error() string { return "message: reading the input: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

// ReadBody reads r to its end and keeps it. LF, CRLF and a bare CR each end a
// line and become CRLF (RFC 5321 2.3.8 forbids the others); a last line
// without an end gets one; an input of no octets is a body of no octets. All
// other octets are kept, NUL too.
//
// Up to 1 MiB stays in memory; a longer body goes to an unlinked temporary file
// (mode 0600) in dir. Errors are *InputError when r fails and *StoreError when
// the file does; nothing is left behind then.
func ReadBody(r io.Reader, dir string) (*Body, error) {
	return readBody(r, openIn(dir))
}

func readBody(r io.Reader, open opener) (*Body, error) {
	s := &store{open: open}
	defer s.discard()
	n := normalizer{w: s}
	chunk := make([]byte, chunkSize)
	for idle := 0; ; {
		k, err := r.Read(chunk)
		if werr := n.write(chunk[:k]); werr != nil {
			return nil, werr
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, &InputError{Err: err}
		}
		if k > 0 {
			idle = 0
		} else if idle++; idle == 100 {
			return nil, &InputError{Err: io.ErrNoProgress}
		}
	}
	if err := n.end(); err != nil {
		return nil, err
	}
	return s.body()
}

// Facts returns what was seen while the body was read.
func (b *Body) Facts() Facts { return b.facts }

// Open returns a reader of the whole body, independent of all others. A body
// that turns out shorter than it was is an error, never a short message. It
// must not be used after Close.
func (b *Body) Open() *io.SectionReader {
	return io.NewSectionReader(b, 0, b.facts.Size)
}

// ReadAt implements io.ReaderAt. Its errors are io.EOF and *StoreError.
func (b *Body) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, &StoreError{Op: "read", Err: errors.New("negative offset")}
	}
	if off >= b.facts.Size {
		return 0, io.EOF
	}
	if b.file == nil {
		n := copy(p, b.mem[off:])
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}
	return b.readFile(p, off)
}

func (b *Body) readFile(p []byte, off int64) (int, error) {
	short := int64(len(p)) > b.facts.Size-off
	if short {
		p = p[:b.facts.Size-off]
	}
	n, err := b.file.ReadAt(p, off)
	switch {
	case n == len(p) && short:
		return n, io.EOF
	case n == len(p):
		return n, nil
	case err == nil || err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, &StoreError{Op: "read", Err: err}
}

// Close frees the memory or the file. Closing twice is harmless.
func (b *Body) Close() error {
	f := b.file
	b.file, b.mem, b.facts.Size = nil, nil, 0
	if f == nil {
		return nil
	}
	if err := f.Close(); err != nil {
		return &StoreError{Op: "close", Err: err}
	}
	return nil
}

// normalizer writes lines to w in wire form, from chunks cut anywhere.
type normalizer struct {
	w    io.Writer
	cr   bool // the octet before was a CR; its CRLF is still to be written
	open bool // the last line has no end yet
}

func (n *normalizer) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if n.cr {
		n.cr, n.open = false, false
		if p[0] == '\n' {
			p = p[1:]
		}
		if err := n.put(crlf); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		line := p
		if end >= 0 {
			line = p[:end+1]
		}
		p = p[len(line):]
		if err := n.line(line, end >= 0); err != nil {
			return err
		}
	}
	return nil
}

// line writes a piece without LF, or with one at its end.
func (n *normalizer) line(l []byte, lf bool) error {
	for {
		i := bytes.IndexByte(l, '\r')
		switch {
		case i < 0 && !lf:
			n.open = n.open || len(l) > 0
			return n.put(l)
		case i < 0:
			n.open = false
			if err := n.put(l[:len(l)-1]); err != nil {
				return err
			}
			return n.put(crlf)
		case lf && i == len(l)-2:
			n.open = false
			return n.put(l)
		case !lf && i == len(l)-1:
			n.cr = true // an LF may follow in the next chunk
			return n.put(l[:i])
		}
		if err := n.put(l[:i]); err != nil {
			return err
		}
		if err := n.put(crlf); err != nil {
			return err
		}
		n.open = false
		l = l[i+1:]
	}
}

func (n *normalizer) put(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := n.w.Write(p)
	return err
}

// end finishes the last line.
func (n *normalizer) end() error {
	if !n.cr && !n.open {
		return nil
	}
	n.cr, n.open = false, false
	return n.put(crlf)
}
