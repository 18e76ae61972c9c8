package smtp

import (
	"context"
	"errors"
	"io"
	"strings"
)

// Transaction is a message in a Drain.
type Transaction struct {
	Envelope Envelope
	Message  Message
	// Fit, if set, gives the message in the form that a server with these
	// extensions takes, and whether it still has octets above 127.
	Fit func(Extensions) (m Message, eightBit bool, err error)
	// Committed, if set, is called when the whole content is on its way: from
	// then on giving up would leave the outcome unknown.
	Committed func()
}

// Send transfers a message in one or more transactions and keeps the connection
// for more. Recipients that are refused do not stop the others: the result has
// an outcome for each. The error is nil if any was taken; a *RecipientsError if
// all were refused; else the failure, which is also in the outcomes.
func (c *Client) Send(ctx context.Context, e Envelope, m Message) (Result, error) {
	return c.send(ctx, &Transaction{Envelope: e, Message: m}, false)
}

// SendAndQuit is Send and then Quit, in as few round trips as can be: QUIT
// travels with the content. The connection is closed in any case.
func (c *Client) SendAndQuit(ctx context.Context, e Envelope, m Message) (Result, error) {
	return c.send(ctx, &Transaction{Envelope: e, Message: m}, true)
}

func (c *Client) send(ctx context.Context, t *Transaction, quit bool) (Result, error) {
	var out Result
	once := true
	next := func(context.Context) (*Transaction, error) {
		if !once {
			return nil, io.EOF
		}
		once = false
		return t, nil
	}
	done := func(_ *Transaction, r Result) { out = r }
	err := c.drain(ctx, &drain{c: c, next: next, done: done, quit: quit, single: true})
	if quit { // also when it never came to a goodbye
		c.Close()
	}
	if len(out.Recipients) == 0 { // nor to the message
		out = *newResult(len(t.Envelope.Recipients), 0)
		for i := range out.Recipients {
			out.Recipients[i].Err = err
		}
		return out, err
	}
	return out, out.Err()
}

// checkEnvelope refuses what is no envelope. An empty sender is the null sender,
// so only a missing recipient can be found here.
func checkEnvelope(e *Envelope) error {
	if len(e.Recipients) == 0 {
		return &Error{Stage: StageRcpt, Err: ErrNoRecipients}
	}
	return nil
}

// Send connects as cfg says, transfers a message, and quits. Recipients that one
// connection did not take for lack of room (LIMITS, 452) get another. A message
// that a server takes for nobody, but only for now, is offered to the next one.
// The result and the error are those of Client.Send.
func Send(ctx context.Context, cfg Config, e Envelope, m Message) (Result, error) {
	return SendTransaction(ctx, cfg, &Transaction{Envelope: e, Message: m}, nil)
}

// SendTransaction is Send for a message that has still to be fitted to the
// server. opened, if not nil, is called for each connection that is ready.
func SendTransaction(ctx context.Context, cfg Config, t *Transaction, opened func(*Client)) (Result, error) {
	if err := checkEnvelope(&t.Envelope); err != nil {
		return Result{}, err
	}
	out := &Result{}
	left := make([]int, len(t.Envelope.Recipients))
	for i := range left {
		left[i] = i
	}
	var refusing *Client // the server that would not take it now
	for len(left) > 0 {
		c, err := dialAfter(ctx, cfg, refusing)
		if err != nil {
			if refusing == nil { // else what that one said tells more
				if out.Recipients == nil {
					out = newResult(len(left), 0)
				}
				out.set(left, RecipientResult{Err: err})
			}
			break
		}
		if opened != nil {
			opened(c)
		}
		part := *t
		part.Envelope.Recipients = some(t.Envelope.Recipients, left)
		r, _ := c.send(ctx, &part, true) // the outcomes have the error
		out.Size = r.Size
		if r.Reply.Code != 0 {
			out.Reply = r.Reply
		}
		again := merge(out, left, r)
		refusing = nil
		if ctx.Err() == nil && c.HasNext() && r.Elsewhere() {
			refusing, again = c, left
		}
		left = again
	}
	return *out, out.Err()
}

// some are those at indices, which ascend.
func some(all []Recipient, indices []int) []Recipient {
	if len(indices) == len(all) {
		return all
	}
	list := make([]Recipient, len(indices))
	for n, i := range indices {
		list[n] = all[i]
	}
	return list
}

// dialAfter connects to a server, to one behind refusing if that is not nil.
func dialAfter(ctx context.Context, cfg Config, refusing *Client) (*Client, error) {
	if refusing != nil {
		return refusing.Next(ctx)
	}
	return Dial(ctx, cfg)
}

// merge takes the outcomes of part of the recipients over, and returns those
// that deserve another connection: there are any only if this one took some.
func merge(out *Result, part []int, r Result) (left []int) {
	taken := 0
	whole := len(out.Recipients) <= len(part) // as nearly always
	if whole {
		out.Recipients = r.Recipients
	}
	for n, i := range part {
		if !whole {
			out.Recipients[i] = r.Recipients[n]
		}
		if out.Recipients[i].Err == nil {
			taken++
		} else if wantsAnother(out.Recipients[i]) {
			left = append(left, i)
		}
	}
	if taken == 0 {
		return nil
	}
	return left
}

func wantsAnother(r RecipientResult) bool {
	return errors.Is(r.Err, ErrTransactionLimit) || r.Reply.Code/100 == 4 && errors.Is(r.Err, ErrRecipientRefused) && tooMany(r.Reply)
}

// split cuts the recipients into transactions that the server takes.
func (c *Client) split(e *Envelope, all []int) [][]int {
	most := maxRecipients
	if n := c.ext.limit("RCPTMAX"); n > 0 {
		most = min(most, n)
	}
	domains := c.ext.limit("RCPTDOMAINMAX")
	groups := make([][]int, 0, (len(all)+most-1)/most)
	seen := make(map[string]bool)
	from := 0 // where the group begins
	for n, i := range all {
		full := n-from == most
		if domains > 0 {
			domain := strings.ToLower(e.Recipients[i].Address[len(localPart(e.Recipients[i].Address)):])
			full = full || !seen[domain] && len(seen) == domains
			if full {
				clear(seen)
			}
			seen[domain] = true
		}
		if full {
			groups = append(groups, all[from:n:n])
			from = n
		}
	}
	if from < len(all) {
		groups = append(groups, all[from:])
	}
	return groups
}
