package bounce

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"
)

// original is what is returned of the message.
type original struct {
	contentType string
	encoding    string
	text        []byte
	subject     string // decoded, short
	messageID   string // with angle brackets, "" if there is none that can stand in a field
}

// readOriginal reads the message, or its header.
func readOriginal(r io.Reader, full bool) (*original, error) {
	o := &original{contentType: "text/rfc822-headers"}
	limit := int64(maxHeader)
	if full {
		o.contentType, limit = "message/rfc822", maxFull
	}
	text, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, err
	}
	header := text
	if i := bytes.Index(text, []byte("\r\n\r\n")); i >= 0 {
		header = text[:i+2]
	} else if i := bytes.LastIndex(text, []byte("\r\n")); i >= 0 && int64(len(text)) == limit {
		header = text[:i+2] // cut at a line
	}
	if !full {
		text = header
	}
	o.text = text
	o.encoding = "7bit"
	if bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		o.encoding = "8bit"
	}
	o.look(header)
	return o, nil
}

// look takes subject and message id from the header.
func (o *original) look(header []byte) {
	text := strings.ReplaceAll(strings.ReplaceAll(string(header), "\r\n ", " "), "\r\n\t", " ")
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "subject":
			o.subject = subject(value)
		case "message-id":
			if isMessageID(value) {
				o.messageID = value
			}
		}
	}
}

// subject decodes a subject and keeps its first hundred characters.
func subject(s string) string {
	const most = 100
	d := mime.WordDecoder{CharsetReader: func(string, io.Reader) (io.Reader, error) {
		return nil, errors.New("unknown charset")
	}}
	if decoded, err := d.DecodeHeader(s); err == nil {
		s = decoded
	}
	runes := []rune(clean(s))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}

// isMessageID reports an id that can stand in References (RFC 5322 3.6.4).
func isMessageID(s string) bool {
	inner, ok1 := strings.CutPrefix(s, "<")
	inner, ok2 := strings.CutSuffix(inner, ">")
	return ok1 && ok2 && len(s) <= 250 && inner != "" && !strings.ContainsFunc(inner, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '<' || r == '>'
	})
}

// clean makes one line of text: what could end a line, act on a terminal or is
// not UTF-8 becomes a question mark.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, s)
}

// ascii writes what is not ASCII as RFC 6533 3 wants it in a delivery-status part
// that is 7-bit: \x{HEX}.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	return b.String()
}

// addressType is "utf-8" for internationalised addresses (RFC 6533 3).
func addressType(address string) string {
	for i := range len(address) {
		if address[i] >= utf8.RuneSelf {
			return "utf-8"
		}
	}
	return "rfc822"
}

// wrap breaks a line at blanks so that it has at most 78 characters if it can,
// and never more than 900 octets.
func wrap(s string) []string {
	const good, most = 78, 900
	var lines []string
	for len(s) > good {
		i := strings.LastIndexByte(s[:good], ' ')
		if i <= 0 {
			if i = strings.IndexByte(s, ' '); i <= 0 || i > most {
				i = min(most, len(s))
				for i < len(s) && i > 0 && !utf8.RuneStart(s[i]) {
					i--
				}
			}
		}
		lines = append(lines, s[:i])
		s = strings.TrimPrefix(s[i:], " ")
		if s == "" {
			return lines
		}
	}
	return append(lines, s)
}
