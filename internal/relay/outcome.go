package relay

import (
	"errors"
	"slices"
	"strings"
	"time"

	"postern/internal/smtp"
)

// Status is what became of a message for one recipient.
type Status int

const (
	Sent     Status = iota // the smarthost took responsibility
	Failed                 // it refused for good
	Deferred               // not now; trying again can help
	Unknown                // its last answer was lost: perhaps delivered
	Queued                 // it is in the spool
)

func (s Status) String() string {
	switch s {
	case Sent:
		return "sent"
	case Failed:
		return "failed"
	case Deferred:
		return "deferred"
	case Queued:
		return "queued"
	}
	return "unknown"
}

// word is what mail logs call it.
func (s Status) word() string {
	if s == Failed {
		return "bounced"
	}
	return s.String()
}

// Outcome is what became of a message for one recipient.
type Outcome struct {
	Recipient string
	Went      string // the address on the wire, if it is another
	Original  string // ORCPT, "rfc822;" and what the caller named; may be ""
	Status    Status
	Code      int    // of the reply that decided, 0 if there was none
	Enhanced  string // "5.1.1", "" if the server gave none
	Text      string // the reply, or what went wrong, on one line
	Relay     string // "host[ip]:port", "" if there was no connection
	TLS       string // version and cipher
	Delay     time.Duration
	Err       error // nil if Sent
}

// named is what the caller named, if that is not the recipient itself.
func (o Outcome) named() string {
	kind, address, _ := strings.Cut(o.Original, ";")
	if !strings.EqualFold(kind, "rfc822") || address == o.Recipient {
		return ""
	}
	return address
}

// DSN is the enhanced status code, or the class alone where the server said
// nothing (RFC 3463 2).
func (o Outcome) DSN() string {
	switch {
	case o.Enhanced != "":
		return o.Enhanced
	case o.Status == Sent:
		return "2.0.0"
	case o.Status == Failed:
		return "5.0.0"
	}
	return "4.0.0"
}

// OfConnection reports a failure that is not about the message: whatever was
// said, another message would fare no better, and this one may fare well once it
// is mended.
func (o Outcome) OfConnection() bool {
	if o.Err == nil { // as for nearly all
		return false
	}
	var e *smtp.Error
	if !errors.As(o.Err, &e) {
		return false
	}
	switch e.Stage {
	case smtp.StageResolve, smtp.StageConnect, smtp.StageGreeting, smtp.StageHello, smtp.StageTLS, smtp.StageAuth:
		return true
	}
	return e.Code == smtp.CodeAccessDenied // a login is wanted
}

// told is what became of a message, for those that it was given for.
type told struct {
	given  []smtp.Recipient
	place  []int            // of each of them on the wire
	wire   []smtp.Recipient // may be fewer
	result smtp.Result
	err    error // for those without a result

	// Of those that a server took, most were taken with the same words.
	reply smtp.Reply
	taken Outcome
}

// outcomesOf are the outcomes of the given recipients, whose places on the wire
// are in place; err is for those without a result.
func outcomesOf(given []smtp.Recipient, place []int, wire []smtp.Recipient, result smtp.Result, err error) []Outcome {
	t := told{given: given, place: place, wire: wire, result: result, err: err}
	list := make([]Outcome, len(given))
	for i := range list {
		list[i] = t.outcome(i)
	}
	return list
}

// outcome is that of the given recipient i.
func (t *told) outcome(i int) Outcome {
	to := &t.given[i]
	one := smtp.RecipientResult{Err: t.err}
	if i < len(t.place) && t.place[i] < len(t.result.Recipients) {
		one = t.result.Recipients[t.place[i]]
	}
	var o Outcome
	if one.Err == nil {
		if !same(one.Reply, t.reply) {
			t.reply, t.taken = one.Reply, outcomeOf("", one)
		}
		o = t.taken
		o.Recipient = to.Address
	} else {
		o = outcomeOf(to.Address, one)
	}
	o.Original = to.Original
	if i < len(t.place) && t.wire[t.place[i]].Address != to.Address {
		o.Went = t.wire[t.place[i]].Address
	}
	return o
}

func same(a, b smtp.Reply) bool {
	return a.Code == b.Code && a.Enhanced == b.Enhanced && slices.Equal(a.Lines, b.Lines)
}

func outcomeOf(address string, r smtp.RecipientResult) Outcome {
	o := Outcome{Recipient: address, Err: r.Err}
	if r.Err == nil {
		o.Code, o.Enhanced, o.Text = r.Reply.Code, r.Reply.Enhanced.String(), r.Reply.String()
		return o
	}
	o.Text = r.Err.Error()
	var e *smtp.Error
	if errors.As(r.Err, &e) {
		o.Code, o.Enhanced = max(e.Code, 0), e.Enhanced.String()
		o.Text = e.Said()
		if e.Code <= 0 && e.Stage != smtp.StageMail && e.Stage != smtp.StageRcpt {
			o.Text = string(e.Stage) + ": " + o.Text
		}
		if (e.Stage == smtp.StageConnect || e.Stage == smtp.StageResolve) && e.Host != "" { // there is no relay to name
			o.Text = e.Host + ": " + o.Text
		}
	}
	switch {
	case r.Fate == smtp.Unknown:
		o.Status = Unknown
	case smtp.Temporary(r.Err):
		o.Status = Deferred
	default:
		o.Status = Failed
	}
	return o
}
