package digest

import (
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"unicode"
)

// Subject is a template for subjects: text in which names in braces stand for
// something.
type Subject string

// maxSubject is how many characters a subject may have.
const maxSubject = 200

// Check says what is wrong with the template.
func (s Subject) Check() error {
	_, err := s.fill(func(name string) (string, bool) { return "", known(name) })
	return err
}

func known(name string) bool {
	_, ok := values(&Digest{}, "", "")[name]
	return ok
}

// For is the subject of a digest, ready for a header field: on one line, without
// control characters, cut at a length, encoded if it is not ASCII (RFC 2047).
// What the stream says is put in once and never read as a template.
func (s Subject) For(d *Digest, host, user string) string {
	v := values(d, host, user)
	text, err := s.fill(func(name string) (string, bool) { t, ok := v[name]; return t, ok })
	if err != nil {
		text = string(s) // it was checked
	}
	return encode(oneLine(text))
}

func values(d *Digest, host, user string) map[string]string {
	const form = "2006-01-02 15:04"
	return map[string]string{
		"host": host, "user": user, "first": d.First,
		"lines": strconv.FormatInt(d.Lines, 10), "matches": strconv.FormatInt(d.Matches, 10), "left": strconv.FormatInt(d.Left, 10),
		"from": d.From.Format(form), "to": d.To.Format(form),
	}
}

// fill replaces the names, in one pass.
func (s Subject) fill(value func(name string) (string, bool)) (string, error) {
	var b strings.Builder
	rest := string(s)
	for {
		before, after, found := strings.Cut(rest, "{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, behind, closed := strings.Cut(after, "}")
		text, ok := value(name)
		if !closed || !ok {
			return "", fmt.Errorf("{%s: %w", oneLine(strings.SplitAfter(after, "}")[0]), errUnknown)
		}
		b.WriteString(text)
		rest = behind
	}
}

// oneLine drops control characters and cuts.
func oneLine(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.ToValidUTF8(s, "?") {
		if unicode.IsControl(r) {
			r = ' '
		}
		if n++; n > maxSubject {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// encode leaves ASCII as it is, but for what a reader would take for an
// encoded-word and decode.
func encode(s string) string {
	return mime.QEncoding.Encode("utf-8", strings.ReplaceAll(s, "=?", "= ?"))
}

// errUnknown is a name in a subject that stands for nothing.
var errUnknown = errors.New("names are {host}, {user}, {lines}, {matches}, {left}, {first}, {from} and {to}")
