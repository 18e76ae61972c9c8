package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
)

// encodingKind is what a Content-Transfer-Encoding means for recoding.
type encodingKind int

const (
	identity        encodingKind = iota // none, 7bit, 8bit, binary, or a word that says nothing
	quotedPrintable                     // RFC 2045 6.7
	base64Encoded                       // RFC 2045 6.8
	private                             // "x-...": RFC 2045 6.3, only its users can decode it
)

func kindOf(encoding string) encodingKind {
	switch {
	case encoding == "quoted-printable":
		return quotedPrintable
	case encoding == "base64":
		return base64Encoded
	case strings.HasPrefix(encoding, "x-"):
		return private
	}
	return identity
}

// leaf writes an entity that holds no others, or none that can be found.
func (r *recoder) leaf(e entity) error {
	f, err := r.cur.facts(e.content)
	if err != nil {
		return err
	}
	if f.fits(r.wire) { // then it was the header of the part
		if err := r.head(e); err != nil {
			return err
		}
		return r.cur.copy(r.out, e.content)
	}
	media := e.mediaType()
	onlyLong := !f.NUL && (!f.EightBit || r.wire.EightBitMIME)
	multi := strings.HasPrefix(media, "multipart/")
	switch kind := kindOf(e.encoding()); {
	case kind == quotedPrintable:
		return r.repaired(e, r.repairQP)
	case kind == base64Encoded:
		return r.repaired(e, r.repairBase64)
	case onlyLong && (kind == private || multi):
		return r.repaired(e, r.armour)
	case kind == identity && (multi || isTextual(media)):
		return r.encodeQP(e, f)
	}
	return r.encodeBase64(e)
}

// isTextual reports whether people may want to read the content raw. Types
// that are no types are text (RFC 2045 5.2), and so are the reports among
// message/*, which RFC 3464 wants readable.
func isTextual(media string) bool {
	return !strings.Contains(media, "/") || strings.HasPrefix(media, "text/") ||
		strings.HasPrefix(media, "message/") && media != "message/global"
}

// repaired writes e with its header as it is and its content through repair.
func (r *recoder) repaired(e entity, repair func(span) error) error {
	if err := r.head(e); err != nil {
		return err
	}
	return repair(e.content)
}

// encoded writes the header of e with its new encoding and what belongs to it.
func (r *recoder) encoded(e entity, encoding, contentType string) error {
	if e.message && !e.fields.has("MIME-Version") {
		e.fields = e.fields.set("MIME-Version", "1.0")
	}
	if e.message && !e.fields.has("Content-Type") {
		e.fields = e.fields.set("Content-Type", contentType)
	}
	e.fields = e.fields.set("Content-Transfer-Encoding", encoding)
	e.ended = true
	return r.head(e)
}

func (r *recoder) encodeQP(e entity, f Facts) error {
	charset := "us-ascii"
	if f.EightBit {
		valid, err := r.cur.validUTF8(e.content)
		if err != nil {
			return err
		}
		charset = "unknown-8bit" // RFC 1428: never guess
		if valid {
			charset = "utf-8"
		}
	}
	if err := r.encoded(e, "quoted-printable", "text/plain; charset="+charset); err != nil {
		return err
	}
	g := &dashGuard{w: r.out, on: e.within}
	q := quotedprintable.NewWriter(g)
	if err := r.cur.copy(q, e.content); err != nil {
		return err
	}
	if err := q.Close(); err != nil {
		return err
	}
	return g.flush()
}

func (r *recoder) encodeBase64(e entity) error {
	if err := r.encoded(e, "base64", "application/octet-stream"); err != nil {
		return err
	}
	enc := base64.NewEncoder(base64.StdEncoding, &wrapper{w: r.out})
	if err := r.cur.copy(enc, e.content); err != nil {
		return err
	}
	return enc.Close()
}

// wrapper breaks base64 into lines of 76 (RFC 2045 6.8), none of them empty.
type wrapper struct {
	w   io.Writer
	col int
	buf []byte
}

// Write implements io.Writer.
func (w *wrapper) Write(p []byte) (int, error) {
	w.buf = w.buf[:0]
	for rest := p; len(rest) > 0; {
		if w.col == 76 {
			w.buf = append(w.buf, crlf...)
			w.col = 0
		}
		n := min(76-w.col, len(rest))
		w.buf = append(w.buf, rest[:n]...)
		w.col += n
		rest = rest[n:]
	}
	if _, err := w.w.Write(w.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

// dashGuard passes quoted-printable lines on. A soft line break can put text
// that happens to be a delimiter of a multipart around it at the start of a
// line; so "--" there becomes "=2D-".
type dashGuard struct {
	w    io.Writer
	on   bool
	line []byte // not finished
}

// Write implements io.Writer.
func (g *dashGuard) Write(p []byte) (int, error) {
	if !g.on {
		return g.w.Write(p)
	}
	for rest := p; len(rest) > 0; {
		n := lineLen(rest)
		g.line = append(g.line, rest[:n]...)
		rest = rest[n:]
		if g.line[len(g.line)-1] == '\n' {
			if err := g.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// flush writes the line that is held.
func (g *dashGuard) flush() error {
	l := g.line
	if len(l) >= 2 && l[0] == '-' && l[1] == '-' {
		dash := "=2D"
		if len(bytes.TrimRight(l, "\r\n")) > 74 {
			dash = "=2D=\r\n" // 76 octets are the limit
		}
		l = append([]byte(dash), l[1:]...)
	}
	g.line = g.line[:0]
	if len(l) == 0 {
		return nil
	}
	_, err := g.w.Write(l)
	return err
}
