package cli

import (
	"strings"

	"postern/internal/digest"
	"postern/internal/headers"
	"postern/internal/message"
)

// defaultSubject is what tells one log from the other in a list of mails.
const (
	defaultSubject = digest.Subject("{host}: {first}")
	digestSubject  = digest.Subject("{host}: {lines} lines: {first}")
)

// readText reads standard input as text for --text: what looks like a header in
// a log is none. Its errors are *fault.
func (a *app) readText(o *options, dir string) (*headers.Block, *message.Body, error) {
	now := a.now()
	text := digest.NewText(a.in)
	body, err := message.ReadBody(text, dir)
	if err != nil {
		return nil, nil, bodyFault(err)
	}
	d := &digest.Digest{From: now, To: a.now(), Lines: text.Lines, Matches: text.Lines, First: text.First}
	return a.textHeader(o, d, defaultSubject), body, nil
}

// textHeader is the header of a message that is made of text.
func (a *app) textHeader(o *options, d *digest.Digest, subject digest.Subject) *headers.Block {
	if o.subject != nil {
		subject = *o.subject
	}
	given, _ := argumentAddresses(o)
	var to []string
	for _, r := range given {
		to = append(to, r.String())
	}
	b := &headers.Block{}
	for _, f := range []struct{ name, value string }{
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: nobody's vacation message answers it
		{"Content-Transfer-Encoding", "8bit"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"MIME-Version", "1.0"},
		{"Subject", subject.For(d, a.host(), a.caller().login)},
		{"To", strings.Join(to, ", ")},
	} {
		// Arguments and subjects have no line ends; a field that could not stand
		// in a header is left out rather than sent broken.
		_ = b.Prepend(f.name, f.value)
	}
	return b
}

// digestBody is the text of a digest.
func (a *app) digestBody(d *digest.Digest, dir string) (*message.Body, error) {
	return message.ReadBody(d.Text(), dir)
}
