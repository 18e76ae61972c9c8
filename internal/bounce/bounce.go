// Package bounce writes delivery status notifications (RFC 3464): it tells the
// sender of a message, or the postmaster, in plain words and in a form for
// programs, what became of it.
package bounce

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/emersion/go-message/textproto"
)

// Kind says what is reported.
type Kind int

const (
	Failure    Kind = iota // undeliverable for good
	Delay                  // not delivered yet, still trying
	Postmaster             // undeliverable, and nobody could be told
)

// String names the kind in a file of the spool.
func (k Kind) String() string { return [...]string{"failure", "delay", "postmaster"}[k] }

// Recipient is one address and what became of it.
type Recipient struct {
	Address string
	// Original is the address that the sender used, "rfc822;address" (ORCPT); ""
	// if he did not say.
	Original string
	Status   string // enhanced status code (RFC 3463); default X.0.0
	Reply    string // what the server said, on one line; "" if it said nothing
	Reason   string // in plain words, when there was no reply
	Server   string // who said it; "" for nobody
	LastTry  time.Time
	Maybe    bool // an answer was lost: perhaps delivered
}

// Report is a notification to be written.
type Report struct {
	Kind       Kind
	Host       string // this host's full name: who reports
	Domain     string // of MAILER-DAEMON
	To         string // who is told
	Sender     string // of the message, "" for the null sender
	EnvelopeID string // ENVID of the message (RFC 3461)
	Return     string // FULL or HDRS (RFC 3461); "" for HDRS
	Arrived    time.Time
	Now        time.Time
	Until      time.Time // Delay: how long it is tried
	MessageID  string    // of the report, without angle brackets
	Boundary   string    // random, so that no message has it
	Recipients []Recipient
}

const (
	maxFull   = 1 << 20  // octets of a message that is returned whole
	maxHeader = 64 << 10 // octets of its header otherwise
	dateForm  = "Mon, 2 Jan 2006 15:04:05 -0700"
)

// ErrBoundary is a message that holds the boundary of the report.
var ErrBoundary = errors.New("bounce: the boundary is in the message")

// Write writes the report in wire form. original is the message, size octets in
// wire form; only its header is used unless all of it is to be returned.
func Write(w io.Writer, r Report, original io.Reader, size int64) error {
	part, err := readOriginal(original, r.Return == "FULL" && size <= maxFull)
	if err != nil {
		return err
	}
	if bytes.Contains(part.text, []byte(r.Boundary)) {
		return ErrBoundary
	}
	out := bufio.NewWriter(w)
	if err := textproto.WriteHeader(out, r.header(part)); err != nil {
		return err
	}
	m := textproto.NewMultipartWriter(out)
	if err := m.SetBoundary(r.Boundary); err != nil {
		return err
	}
	for _, p := range []struct {
		contentType, encoding string
		text                  []byte
	}{
		{"text/plain; charset=utf-8", "8bit", r.words()},
		{"message/delivery-status", "7bit", r.status()},
		{part.contentType, part.encoding, part.text},
	} {
		var h textproto.Header
		h.Add("Content-Transfer-Encoding", p.encoding)
		h.Add("Content-Type", p.contentType)
		body, err := m.CreatePart(h)
		if err != nil {
			return err
		}
		if _, err := body.Write(p.text); err != nil {
			return err
		}
	}
	if err := m.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// header is the header of the report.
func (r *Report) header(part *original) textproto.Header {
	var h textproto.Header
	add := func(name, value string) { h.Add(name, value) } // Add puts it in front
	add("Content-Type", "multipart/report; report-type=delivery-status; boundary=\""+r.Boundary+"\"")
	add("Content-Transfer-Encoding", "8bit")
	add("MIME-Version", "1.0")
	add("Auto-Submitted", "auto-replied")
	if id := part.messageID; id != "" {
		add("References", id)
		add("In-Reply-To", id)
	}
	add("Message-ID", "<"+r.MessageID+">")
	add("Date", r.Now.Format(dateForm))
	add("Subject", mime.QEncoding.Encode("utf-8", r.subject(part.subject)))
	add("To", clean(r.To))
	add("From", "Mail Delivery System <MAILER-DAEMON@"+clean(r.Domain)+">")
	return h
}

func (r *Report) subject(of string) string {
	what := "Undelivered mail"
	if r.Kind == Delay {
		what = "Delayed mail"
	}
	if of == "" {
		return what
	}
	return what + ": " + of
}

// words is the part for people.
func (r *Report) words() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) {
		for _, l := range wrap(fmt.Sprintf(format, args...)) {
			b.WriteString(l + "\r\n")
		}
	}
	line("This is the mail system at %s.", clean(r.Host))
	line("")
	switch r.Kind {
	case Delay:
		line("Your message has not been delivered yet to the following recipients.")
		line("It will be tried until %s. You need not send it again.", r.Until.Format(dateForm))
	case Postmaster:
		line("A message from <%s> could not be delivered to the following recipients, and its sender cannot be told. It is kept in the spool of %s.", clean(r.Sender), clean(r.Host))
	default:
		line("Your message could not be delivered to the following recipients.")
		line("It will not be tried again.")
	}
	for _, one := range r.Recipients {
		line("")
		line("<%s>: %s", clean(one.Address), one.story())
		if one.Maybe {
			line("(An answer of the server was lost, so it may have been delivered nevertheless.)")
		}
	}
	return b.Bytes()
}

// story is what became of a recipient, in words.
func (one *Recipient) story() string {
	switch {
	case one.Reply != "" && one.Server != "":
		return "the server " + clean(one.Server) + " said: " + clean(one.Reply)
	case one.Reply != "":
		return clean(one.Reply)
	}
	return clean(one.Reason)
}

// status is the part for programs (RFC 3464 2.2, 2.3).
func (r *Report) status() []byte {
	var b bytes.Buffer
	field := func(name, value string) {
		if value != "" {
			b.WriteString(strings.Join(wrap(name+": "+value), "\r\n ") + "\r\n")
		}
	}
	field("Reporting-MTA", "dns; "+ascii(r.Host))
	field("Original-Envelope-Id", ascii(r.EnvelopeID))
	field("Arrival-Date", r.Arrived.Format(dateForm))
	action, class := "failed", "5"
	if r.Kind == Delay {
		action, class = "delayed", "4"
	}
	for _, one := range r.Recipients {
		b.WriteString("\r\n")
		if one.Original != "" {
			field("Original-Recipient", ascii(one.Original))
		}
		field("Final-Recipient", addressType(one.Address)+"; "+ascii(one.Address))
		field("Action", action)
		status := one.Status
		if status == "" || r.Kind == Failure && status[0] != '5' {
			// A message that was given up failed, whatever the last answer was.
			status = class + ".0.0"
			if one.Status != "" && class == "5" {
				status = "5.4.7" // delivery time expired (RFC 3463 3.5)
			}
		}
		field("Status", status)
		if one.Server != "" {
			field("Remote-MTA", "dns; "+ascii(one.Server))
		}
		if one.Reply != "" {
			field("Diagnostic-Code", "smtp; "+ascii(one.Reply))
		}
		if !one.LastTry.IsZero() {
			field("Last-Attempt-Date", one.LastTry.Format(dateForm))
		}
		if r.Kind == Delay {
			field("Will-Retry-Until", r.Until.Format(dateForm))
		}
	}
	return b.Bytes()
}
