package message

import (
	"bytes"
	"errors"
	"strings"
)

// maxDepth bounds how deep multiparts and messages are looked into; what is
// deeper is encoded as a whole.
const maxDepth = 32

// errUnfit would be a fault of this package: better no mail now than a line
// that no server has to take.
var errUnfit = errors.New("message: the recoded body does not fit the wire")

// recode makes a header and body that fit w, as the package comment says.
func recode(header []byte, body *Body, w Wire) ([]byte, *Body, error) {
	r := &recoder{cur: newCursor(body), out: &store{open: body.open}, wire: w}
	defer r.out.discard()
	e := entity{
		head:    head{fields: split(header), ended: true},
		content: span{0, body.facts.Size},
		root:    true,
		message: true,
	}
	if err := r.entity(e); err != nil {
		return nil, nil, err
	}
	if r.out.meter.line > 0 {
		if err := r.write(crlf); err != nil {
			return nil, nil, err
		}
	}
	b, err := r.out.body()
	if err != nil {
		return nil, nil, err
	}
	if !b.facts.fits(w) {
		return nil, nil, errors.Join(errUnfit, b.Close())
	}
	return r.header, b, nil
}

// recoder walks the MIME tree of one body and writes it anew.
type recoder struct {
	cur    *cursor
	out    *store
	wire   Wire
	header []byte // of the message, once known
}

// head is the header of an entity.
type head struct {
	fields fields
	ended  bool // by an empty line, and not by the end or a line that is no field
}

// entity is a message or a part (RFC 2045 2.4).
type entity struct {
	head
	content span
	root    bool   // the message itself: its header is not part of the body
	message bool   // the message, or one within a message/rfc822 part
	within  bool   // a multipart is around it, so no line may look like a delimiter
	depth   int    // of entities around it
	media   string // its type if no field says so; "" is text/plain
}

func (e *entity) mediaType() string {
	if !e.fields.has("Content-Type") {
		return e.media
	}
	return token(e.fields.get("Content-Type"))
}

func (e *entity) encoding() string {
	return token(e.fields.get("Content-Transfer-Encoding"))
}

// entity writes e, which does not fit.
func (r *recoder) entity(e entity) error {
	if e.depth < maxDepth {
		media := e.mediaType()
		if strings.HasPrefix(media, "multipart/") {
			boundary := boundaryOf(e.fields.get("Content-Type"))
			d, found, err := r.first(e.content, boundary)
			if err != nil {
				return err
			}
			if found {
				return r.multipart(e, boundary, d)
			}
		}
		if media == "message/rfc822" && kindOf(e.encoding()) == identity {
			if err := r.container(e); err != nil {
				return err
			}
			return r.nested(entity{content: e.content, message: true, within: e.within, depth: e.depth + 1})
		}
	}
	return r.leaf(e)
}

// first finds the first delimiter in s.
func (r *recoder) first(s span, boundary string) (d delimiter, found bool, err error) {
	if boundary == "" {
		return d, false, nil
	}
	d, _, found, err = r.cur.next(s, boundary)
	return d, found, err
}

// multipart writes e, whose first delimiter is d.
func (r *recoder) multipart(e entity, boundary string, d delimiter) error {
	if err := r.container(e); err != nil {
		return err
	}
	if err := r.armour(span{e.content.from, d.from}); err != nil {
		return err
	}
	part := entity{within: true, depth: e.depth + 1}
	if e.mediaType() == "multipart/digest" {
		part.media = "message/rfc822" // RFC 2046 5.1.5
	}
	for {
		if err := r.delimiter(d); err != nil {
			return err
		}
		rest := span{d.to, e.content.to}
		if d.close {
			return r.armour(rest)
		}
		next, facts, found, err := r.cur.next(rest, boundary)
		if err != nil {
			return err
		}
		part.content = rest
		if found {
			part.content.to = next.from
		}
		if facts.fits(r.wire) {
			err = r.cur.copy(r.out, part.content)
		} else {
			err = r.nested(part)
		}
		if err != nil || !found {
			return err
		}
		d = next
	}
}

// delimiter writes d as it is, but for blanks that make it too long.
func (r *recoder) delimiter(d delimiter) error {
	if d.size() <= maxLine {
		return r.cur.copy(r.out, d.span)
	}
	p, err := r.cur.look(d.span, int(d.size()))
	if err != nil {
		return err
	}
	return r.write(append(bytes.TrimRight(p, " \t\r\n"), crlf...))
}

// nested writes the part whose header and content are e.content.
func (r *recoder) nested(e entity) error {
	h, content, ok, err := r.cur.head(e.content, e.message)
	if err != nil {
		return err
	}
	if !ok {
		return r.armour(e.content)
	}
	e.head, e.content = h, content
	return r.entity(e)
}

// container writes the header of an entity that holds others. Its encoding may
// not promise more than the wire allows (RFC 2045 6.4).
func (r *recoder) container(e entity) error {
	const name = "Content-Transfer-Encoding"
	switch enc := e.encoding(); {
	case (enc == "8bit" || enc == "binary") && !r.wire.EightBitMIME:
		e.fields = e.fields.set(name, "7bit")
	case enc == "binary":
		e.fields = e.fields.set(name, "8bit")
	}
	return r.head(e)
}

// head writes the header of e, or keeps it if e is the message.
func (r *recoder) head(e entity) error {
	if e.root {
		r.header = append(bytes.Join(e.fields, nil), crlf...)
		return nil
	}
	for _, f := range e.fields {
		if err := r.write(repairField(f, r.wire)); err != nil {
			return err
		}
	}
	if e.ended {
		return r.write(crlf)
	}
	return nil
}

func (r *recoder) write(p []byte) error {
	_, err := r.out.Write(p)
	return err
}

// head reads the header that s begins with. It ends with an empty line, or at
// one that is no field, which is content. ok is false if it is too long.
func (c *cursor) head(s span, message bool) (h head, content span, ok bool, err error) {
	var raw []byte
	for s.size() > 0 && !h.ended {
		l, err := c.line(s)
		if err != nil {
			return h, s, false, err
		}
		switch {
		case string(l) == "\r\n":
			h.ended = true
		case message && len(raw) == 0 && isMbox(l), len(raw) > 0 && isBlank(l[0]), nameEnd(l) > 0:
			if l, err = c.long(s, l); err != nil {
				return h, s, false, err
			}
			if len(raw)+len(l) > headerLimit {
				return h, s, false, nil
			}
			raw = append(raw, l...)
		default:
			return head{fields: split(raw)}, s, true, nil
		}
		s.from += int64(len(l))
	}
	h.fields = split(raw)
	return h, s, true, nil
}

// isMbox reports whether l is the line that mbox files have in front of a
// message, and attached messages sometimes too.
func isMbox(l []byte) bool {
	return bytes.HasPrefix(l, []byte("From ")) || bytes.HasPrefix(l, []byte(">From "))
}

// long returns the line that s and l begin with even if it is longer than the
// window, up to a little more than headerLimit octets.
func (c *cursor) long(s span, l []byte) ([]byte, error) {
	if l[len(l)-1] == '\n' {
		return l, nil
	}
	l = bytes.Clone(l)
	for l[len(l)-1] != '\n' && len(l) <= headerLimit && int64(len(l)) < s.size() {
		more, err := c.line(span{s.from + int64(len(l)), s.to})
		if err != nil {
			return nil, err
		}
		l = append(l, more...)
	}
	return l, nil
}
