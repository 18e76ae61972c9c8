package smtp

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	maxRecipients = 100      // per transaction: what every server must take (RFC 5321 4.5.3.1.8)
	groupLimit    = 16 << 10 // octets of commands in flight; fits any TCP window (RFC 2920 3.1)
)

// transaction is one MAIL…content on the wire, for some recipients of a message.
type transaction struct {
	env    *Envelope
	msg    Message
	who    []int // indices of env.Recipients
	result *Result
	job    *job   // what it is part of
	done   func() // called once the outcome is known; may be nil

	mail  string
	rcpts []string // parallel to who

	mailErr   error // MAIL was refused
	dataErr   error // DATA was refused, although someone was accepted
	accepted  []int
	again     []int // too many recipients for one transaction
	start     bool  // 354 came
	committed bool  // the end of the content may have reached the server
	settled   bool
}

// expectation is a reply that is to come, in the order of the commands.
type expectation struct {
	stage  Stage
	within time.Duration
	on     func(Reply)
	of     *transaction
}

// prepare writes the command lines. What cannot be said to this server fails
// here, before anything is sent.
func (c *Client) prepareLines(t *transaction) error {
	var err error
	if t.mail, err = c.mailLine(t.env, t.msg.Size()); err != nil {
		return err
	}
	var who []int
	for _, i := range t.who {
		line, err := c.rcptLine(&t.env.Recipients[i])
		if err != nil {
			t.result.Recipients[i] = RecipientResult{Err: err}
			continue
		}
		who = append(who, i)
		t.rcpts = append(t.rcpts, line)
	}
	t.who = who
	return nil
}

// say writes a command and notes whose reply is to come. Without PIPELINING the
// reply is waited for at once.
func (c *Client) say(t *transaction, stage Stage, line string, on func(Reply)) error {
	if err := c.write(stage, line, ""); err != nil {
		return err
	}
	c.await(expectation{stage: stage, within: c.cfg.commandTimeout(), on: on, of: t})
	switch full := c.link.w.Buffered() > groupLimit; {
	case full && c.windowed: // the octets in flight are counted elsewhere
		if err := c.link.flush(); err != nil {
			return c.end(c.failure(stage, err))
		}
		return nil
	case full || !c.pipelining():
		return c.collect(nil)
	}
	return nil
}

func (c *Client) pipelining() bool { return c.ext.Has("PIPELINING") }

func (c *Client) await(e expectation) { c.expected = append(c.expected, e) }

// collect reads the replies that are due: all of them, or those up to the end
// of the transaction until. When the connection is lost, every transaction with
// a reply due learns so.
func (c *Client) collect(until *transaction) error {
	for len(c.expected) > 0 {
		if until != nil && until.settled {
			return nil
		}
		e := c.expected[0]
		c.expected = c.expected[1:]
		r, err := c.read(e.stage, e.within)
		if r.Code != 0 {
			e.on(r)
		}
		if err != nil {
			if r.Code == 0 && e.of != nil {
				e.of.lost(err)
			}
			c.abandon(err, r.Code != 0)
			return err
		}
	}
	return nil
}

// abandon tells the transactions with replies due that none will come. After a
// farewell the server has done nothing more of what we sent.
func (c *Client) abandon(err error, farewell bool) {
	for _, e := range c.expected {
		if e.of == nil {
			continue
		}
		if farewell {
			e.of.committed = false
		}
		e.of.lost(err)
	}
	c.expected = nil
}

// lost settles t after the connection broke.
func (t *transaction) lost(err error) {
	one := RecipientResult{Err: err}
	if t.mailErr == nil && t.committed { // also for those whose reply to RCPT is still due
		one.Fate = Unknown
	}
	t.failOpen(one)
	t.settle()
}

// failOpen sets the outcome of recipients that have none.
func (t *transaction) failOpen(one RecipientResult) {
	for _, i := range t.who {
		if r := &t.result.Recipients[i]; r.Err == nil && r.Fate == NotTaken {
			*r = one
		}
	}
}

// settle reports the outcome, once.
func (t *transaction) settle() {
	if t.settled {
		return
	}
	t.settled = true
	if t.done != nil {
		t.done()
	}
}

// envelope writes MAIL and RCPT, in front of them RSET if the transaction before
// was left open or always is set. Without PIPELINING it stops after a refusal of
// MAIL.
func (c *Client) envelope(t *transaction, reset bool) error {
	if reset || c.dirty {
		if err := c.say(t, StageReset, "RSET", func(r Reply) { c.onReset(r) }); err != nil {
			return err
		}
		c.dirty = false
	}
	c.sent++
	err := c.say(t, StageMail, t.mail, func(r Reply) { c.onMail(t, r) })
	for n := 0; err == nil && n < len(t.who) && t.mailErr == nil; n++ {
		i := t.who[n]
		err = c.say(t, StageRcpt, t.rcpts[n], func(r Reply) { c.onRcpt(t, i, r) })
	}
	return err
}

func (c *Client) onReset(r Reply) {
	if !r.Positive() { // what state the server is in nobody knows
		c.end(c.refusal(StageReset, r))
	}
}

func (c *Client) onMail(t *transaction, r Reply) {
	if r.Positive() {
		c.dirty = true
		return
	}
	e := c.refusal(StageMail, r)
	e.Addr = t.env.Sender
	t.mailErr = e
	t.failOpen(RecipientResult{Err: e, Reply: r})
}

func (c *Client) onRcpt(t *transaction, i int, r Reply) {
	switch {
	case t.mailErr != nil: // it decides
	case r.Positive():
		t.accepted = append(t.accepted, i)
		t.result.Recipients[i].Reply = r
	case tooMany(r) && len(t.accepted) > 0:
		t.again = append(t.again, i)
		t.result.Recipients[i] = RecipientResult{Err: c.refuseRcpt(t, i, r), Reply: r}
	default:
		t.result.Recipients[i] = RecipientResult{Err: c.refuseRcpt(t, i, r), Reply: r}
	}
}

func (c *Client) refuseRcpt(t *transaction, i int, r Reply) *Error {
	e := c.refusal(StageRcpt, r)
	e.Addr = t.env.Recipients[i].Address
	return e
}

// tooMany reports "too many recipients" (RFC 5321 4.5.3.1.10: 452, and 552 from
// old servers); the rest belongs into another transaction.
func tooMany(r Reply) bool {
	e := r.Enhanced
	return (r.Code == CodeInsufficientStorage || r.Code == CodeStorageExceeded) &&
		(e == Enhanced{} || e[1] == 5 && e[2] == 3)
}

// onData takes the answer to DATA.
func (c *Client) onData(t *transaction, r Reply) {
	if r.Code == CodeStartInput {
		t.start = true
		return
	}
	e := c.refusal(StageData, r)
	if r.Positive() { // 250 to DATA is nonsense, and it must not mean success
		e.Err = because(ErrProtocol, errors.New("DATA was not answered with 354"))
	}
	t.dataErr = e
	t.result.set(t.accepted, RecipientResult{Err: e, Reply: r})
}

// onContent takes the answer to the end of the content.
func (c *Client) onContent(t *transaction, r Reply) {
	c.dirty = false
	one := RecipientResult{Fate: Taken, Reply: r}
	if !r.Positive() {
		one = RecipientResult{Err: c.refusal(StageContent, r), Reply: r}
	}
	t.result.Reply = r
	if t.mailErr == nil {
		t.result.set(t.accepted, one)
	}
	t.settle()
}

// offer says who writes to whom and asks for the content, in one group. After
// it t is settled, or t.start is set and somebody wants the content.
func (c *Client) offer(t *transaction) error {
	if err := c.writeOffer(t); err != nil {
		return c.giveUp(t, err)
	}
	if err := c.collect(nil); err != nil {
		return err
	}
	return c.afterOffer(t)
}

func (c *Client) writeOffer(t *transaction) error {
	if err := c.envelope(t, false); err != nil {
		return err
	}
	if !c.pipelining() && len(t.accepted) == 0 {
		return nil // MAIL or all RCPT were refused
	}
	return c.say(t, StageData, "DATA", func(r Reply) { c.onData(t, r) })
}

// afterOffer settles a transaction that nobody wants the content of. A server
// that nevertheless asks for it gets a lone dot (RFC 2920 3.1).
func (c *Client) afterOffer(t *transaction) error {
	if c.broken != nil {
		return c.giveUp(t, c.broken)
	}
	if t.start && len(t.accepted) == 0 {
		err := c.say(t, StageContent, ".", func(Reply) { c.dirty = false })
		if err == nil {
			err = c.collect(nil)
		}
		t.settle()
		return err
	}
	if !t.start {
		t.settle()
	}
	return nil
}

// giveUp settles t, and all that had replies due, after err.
func (c *Client) giveUp(t *transaction, err error) error {
	t.lost(err)
	c.abandon(err, false)
	return err
}

// content writes the message and its end; it does not flush. A message that
// cannot be read ends the connection, since half of it is on the wire.
func (c *Client) content(t *transaction) error {
	c.link.say('>', fmt.Sprintf("[%d octets of message]", t.msg.Size()))
	d := newDotWriter(c.link.w)
	err := copyContent(d, t.msg)
	if err == nil {
		t.committed = true
		c.dirty = false // content ends a transaction, whatever the answer
		err = d.Close()
	}
	return c.contentWritten(t, err)
}

// chunk writes the message as one BDAT command (RFC 3030); it does not flush.
func (c *Client) chunk(t *transaction) error {
	line := fmt.Sprintf("BDAT %d LAST", t.msg.Size())
	if err := c.link.writeLine(line, line); err != nil {
		return c.contentWritten(t, err)
	}
	c.dirty = true // a failed BDAT leaves a state that only RSET ends
	t.committed = true
	return c.contentWritten(t, copyContent(c.link.w, t.msg))
}

func (c *Client) contentWritten(t *transaction, err error) error {
	if err == nil {
		if t.job != nil && t.job.tx.Committed != nil {
			t.job.tx.Committed()
		}
		c.pending++
		c.await(expectation{stage: StageContent, within: contentTimeoutFactor * c.cfg.commandTimeout(), of: t,
			on: func(r Reply) { c.onContent(t, r) }})
		return nil
	}
	t.committed = false
	if errors.Is(err, ErrMessage) {
		e := &Error{Stage: StageContent, Host: c.name, Err: err}
		c.end(c.failure(StageContent, because(ErrDisconnected, errors.New("the connection was closed within a message"))))
		return c.giveUp(t, e)
	}
	return c.giveUp(t, c.end(c.interrupted(err)))
}

// interrupted is the error for a connection that broke while content was being
// written; the server may have said why.
func (c *Client) interrupted(err error) error {
	if r, ok := c.link.lastWords(); ok && !r.Positive() && r.Code != CodeStartInput && strings.TrimSpace(r.Text()) != "" {
		return c.refusal(StageContent, r)
	}
	return c.failure(StageContent, c.link.fail(err))
}
