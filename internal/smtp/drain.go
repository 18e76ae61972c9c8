package smtp

import (
	"context"
	"errors"
	"io"
)

const (
	wholeLimit    = 64 << 10  // largest message that goes in one flight with its envelope
	windowOctets  = 256 << 10 // in flight at most, with DrainOptions.Window
	windowReplies = 250       // due at most: what we do not read meanwhile must fit the receive buffer
	windowAfter   = 2         // plain successes on the connection before that
	maxIdleOffers = 1 << 20   // transactions per drain; only a loop of ours has more
)

// DrainOptions say how daring a Drain is.
type DrainOptions struct {
	// Window is how many messages may be in flight. Up to 1, the content of one
	// travels with MAIL, RCPT and DATA of the next (RFC 2920 3.1): one round trip
	// a message, and one message whose fate a lost connection leaves unknown.
	// More needs CHUNKING and PIPELINING, costs no round trip a message, and
	// leaves up to Window messages unknown. It begins after two successes, which go in
	// one flight each (RFC 3030), has at most 256 KiB under way, and ends for good at
	// the first surprise.
	Window int
	// Told, if set, is called after done when no other outcome is at hand: before
	// anything more is sent, and before more is waited for. So what is known of several
	// messages at once can be kept at once, and nothing is sent before it is.
	Told func()
}

// Drain transfers messages until next returns io.EOF, then quits. next is called
// while a message is under way, so it must not wait for new work; any error but
// io.EOF ends the drain after what was begun. done is called for each message
// that next gave, with the outcome, and never later than Drain returns.
//
// The error is nil if the drain came to its end; ErrTransactionLimit if the
// server takes no more on this connection; next's; or that of the connection.
func (c *Client) Drain(ctx context.Context, o DrainOptions, next func(context.Context) (*Transaction, error), done func(*Transaction, Result)) error {
	return c.drain(ctx, &drain{c: c, next: next, done: done, told: o.Told, window: o.Window, quit: true})
}

func (c *Client) drain(ctx context.Context, d *drain) error {
	if c.broken != nil {
		return c.broken
	}
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return err
	}
	if d.told != nil { // else it is not worth looking for a reply
		c.lull = d.tell
	}
	d.run(ctx)
	d.finish()
	c.lull = nil
	d.tell()
	var e *Error
	switch {
	case d.err != nil:
		return d.err
	case errors.As(c.broken, &e) && e.Stage == StageQuit:
		return nil
	}
	return c.broken
}

// drain feeds transactions to one connection.
type drain struct {
	c      *Client
	next   func(context.Context) (*Transaction, error)
	done   func(*Transaction, Result)
	window int
	quit   bool // say goodbye at the end
	single bool // there is one message, so the rest of the flight is free

	queue     []*job // with groups left to send
	ended     bool   // next has no more
	err       error  // why it ended early
	said      bool   // QUIT is sent
	successes int
	told      func() // may be nil
	fresh     bool   // done was called since
	surprised bool
	wasted    bool // a content was sent that nobody wanted
}

// job is a message and what is left of it.
type job struct {
	tx     *Transaction
	env    Envelope
	msg    Message
	result *Result
	groups [][]int // recipients of transactions still to be made
	open   int     // transactions under way
}

// take makes the next transaction, nil if there is none.
func (d *drain) take(ctx context.Context) *transaction {
	for range maxIdleOffers {
		if len(d.queue) == 0 && !d.fetch(ctx) {
			return nil
		}
		if d.limited() {
			return nil
		}
		j := d.queue[0]
		group := j.groups[0]
		if j.groups = j.groups[1:]; len(j.groups) == 0 {
			d.queue = d.queue[1:]
		}
		// What was said to those who did not fit before does not count any more.
		j.result.set(group, RecipientResult{})
		t := &transaction{job: j, env: &j.env, msg: j.msg, who: group, result: j.result}
		t.done = func() { d.settled(j, t) }
		j.open++
		if err := d.c.prepareLines(t); err != nil {
			t.failOpen(RecipientResult{Err: err})
			t.settle()
			continue
		}
		if len(t.who) == 0 { // no address that could be sent
			t.settle()
			continue
		}
		return t
	}
	return nil
}

// limited reports whether the server takes no more messages here (RFC 9422).
func (d *drain) limited() bool {
	most := d.c.ext.limit("MAILMAX")
	if most == 0 || d.c.sent < most {
		return false
	}
	d.err = d.c.failure(StageMail, because(ErrTransactionLimit, errors.New("no more messages on this connection")))
	return true
}

// fetch asks for one more message and queues it.
func (d *drain) fetch(ctx context.Context) bool {
	for !d.ended && d.err == nil && !d.limited() {
		tx, err := d.next(ctx)
		if err != nil || tx == nil {
			d.ended = true
			if err != io.EOF {
				d.err = err
			}
			return false
		}
		if d.enqueue(tx) {
			return true
		}
		d.tell()
	}
	return false
}

// enqueue reports whether tx can be tried; if not, it has its outcome.
func (d *drain) enqueue(tx *Transaction) bool {
	j := &job{tx: tx, env: tx.Envelope, msg: tx.Message, result: newResult(len(tx.Envelope.Recipients), 0)}
	if err := checkEnvelope(&j.env); err != nil {
		d.report(j)
		d.err = err
		return false
	}
	all := make([]int, len(j.env.Recipients))
	for i := range all {
		all[i] = i
	}
	if tx.Fit != nil {
		var err error
		if j.msg, j.env.EightBit, err = tx.Fit(d.c.ext); err != nil {
			err = d.c.failure(StageMail, because(ErrMessage, err))
			j.result.set(all, RecipientResult{Err: err})
			d.report(j)
			return false
		}
	}
	j.result.Size = j.msg.Size()
	j.groups = d.c.split(&j.env, all)
	d.queue = append(d.queue, j)
	return true
}

// again queues recipients that need another transaction.
func (d *drain) again(j *job, t *transaction) {
	if len(t.again) == 0 {
		return
	}
	if len(j.groups) == 0 {
		d.queue = append([]*job{j}, d.queue...)
	}
	j.groups = append(j.groups, t.again)
	t.again = nil
}

// report gives a message its outcome.
func (d *drain) report(j *job) {
	d.done(j.tx, *j.result)
	d.fresh = true
}

// tell says that no other outcome is at hand.
func (d *drain) tell() {
	if d.fresh && d.told != nil {
		d.fresh = false
		d.told()
	}
}

// settled takes note of the end of a transaction.
func (d *drain) settled(j *job, t *transaction) {
	if d.c.broken == nil && !d.said {
		d.again(j, t)
	}
	if t.result.Reply.Positive() && len(t.accepted) > 0 {
		d.successes++
	}
	if t.mailErr != nil || (len(t.accepted) > 0) != t.result.Reply.Positive() {
		d.surprised = true
	}
	d.learn(t)
	if j.open--; j.open == 0 && len(j.groups) == 0 {
		d.report(j)
	}
}

// run sends until there is nothing more or the connection is lost.
func (d *drain) run(ctx context.Context) {
	t := d.take(ctx)
	for t != nil {
		d.tell()
		switch {
		case d.c.broken != nil:
			d.c.lose(t, d.c.broken)
			t = nil
		case t.settled:
			t = d.take(ctx)
		case t.start:
			t = d.deliver(ctx, t)
		case d.daring(t):
			t = d.windowed(ctx, t)
		case d.whole(t):
			t.learn = d.windows()
			t = d.flight(ctx, t)
		default:
			t.learn = d.windows() && d.c.resetText == ""
			// Its error is in t and in broken.
			_ = d.c.offer(t)
		}
	}
}

// deliver sends the content of t with what can follow in the same flight, and
// returns the next transaction, which then is offered already.
func (d *drain) deliver(ctx context.Context, t *transaction) *transaction {
	if d.c.content(t) != nil {
		return nil
	}
	d.requeue(t)
	next := d.take(ctx)
	if d.c.pipelining() {
		if next == nil {
			d.sayQuit()
		} else if !d.daringSoon(next) {
			if err := d.c.writeOffer(next); err != nil {
				// It is in next and broken.
				_ = d.c.giveUp(next, err)
				return nil
			}
			// So is this one.
			_ = d.c.collect(nil)
			d.tell()
			_ = d.c.afterOffer(next)
			return next
		}
	}
	_ = d.c.collect(nil) // in t and broken
	return next
}

// requeue moves recipients that did not fit before the next one is taken.
func (d *drain) requeue(t *transaction) {
	if len(t.again) > 0 {
		d.again(t.job, t)
	}
}

// sayQuit puts QUIT into the flight.
func (d *drain) sayQuit() {
	c := d.c
	if !d.quit || d.said || c.broken != nil || len(d.queue) > 0 && d.err == nil {
		return
	}
	if c.write(StageQuit, "QUIT", "") == nil {
		d.said = true
		c.await(expectation{stage: StageQuit, within: min(quitTimeout, c.cfg.commandTimeout()), on: func(r Reply) { c.closing = r.Code }})
	}
}

// finish says goodbye and gives the messages that were not tried their outcome.
func (d *drain) finish() {
	c := d.c
	d.tell()
	if c.broken == nil && c.dirty && !d.quit {
		// A failed RSET is found out by the next command.
		_, _ = c.reset()
	}
	if d.quit && !d.said && c.broken == nil {
		d.sayQuit()
		_ = c.collect(nil) // the mail is settled
	}
	if d.quit {
		c.Close()
	}
	why := c.broken
	if d.err != nil {
		why = d.err
	}
	for _, j := range d.queue {
		for _, group := range j.groups {
			for _, i := range group {
				if r := &j.result.Recipients[i]; r.Err == nil && r.Fate == NotTaken {
					r.Err = why
				}
			}
		}
		j.groups = nil
		d.report(j)
	}
	d.queue = nil
}
