package smtp

import (
	"context"
	"slices"
)

// daring reports whether t may go into a window of messages in flight.
func (d *drain) daring(t *transaction) bool {
	return d.windows() && d.successes >= windowAfter && t.msg.Size() <= windowOctets
}

// windows reports whether there may be a window on this connection.
func (d *drain) windows() bool {
	return d.window > 1 && !d.surprised && d.c.pipelining() && d.c.ext.Has("CHUNKING")
}

// daringSoon is daring once the message under way is a success.
func (d *drain) daringSoon(t *transaction) bool {
	d.successes++
	defer func() { d.successes-- }()
	return d.daring(t)
}

// window is what is in flight.
type window struct {
	flying []*transaction
	octets int64
}

// windowed keeps up to d.window messages in flight: MAIL, RCPT and BDAT LAST of
// each with RSET behind it, replies matched in order. RSET is not optional: Exim
// takes a MAIL that follows a failed message without it for part of that message,
// and would send the next one under its sender. And its answer shows that replies
// and commands still match: see hold. In front of the next message it would do as well,
// but the outcome of the last one in a flight would wait for the next flight. windowed
// returns a transaction that was taken but not begun, if any.
func (d *drain) windowed(ctx context.Context, t *transaction) *transaction {
	c := d.c
	if c.resetText == "" { // it was not learnt; by itself it is surely the answer to this
		r, err := c.reset()
		if err != nil {
			d.surprised = true
			return t // run will see whether the connection is lost
		}
		c.resetText = r.String()
	}
	c.windowed = true
	defer func() { c.windowed = false }()
	if err := c.mark(); err != nil {
		_ = c.giveUp(t, err) // the same error
		return nil
	}
	w := &window{}
	for t != nil {
		d.makeRoom(w, t.msg.Size(), len(t.who))
		if !d.daring(t) || c.broken != nil {
			break
		}
		if d.fly(w, t) != nil {
			return nil
		}
		// A message that is not taken before it can go is there for other connections.
		if d.makeRoom(w, 0, 0); c.broken != nil {
			t = nil
			break
		}
		t = d.take(ctx)
	}
	if t == nil && !w.overflows() {
		d.sayQuit()
	}
	_ = c.collect(nil) // in the transactions and in broken
	if t == nil && c.broken == nil {
		t = d.take(ctx) // those that were too many
	}
	return t
}

// fly sends t on its way, if it can be read.
func (d *drain) fly(w *window, t *transaction) error {
	c := d.c
	text, err := c.load(t)
	if err != nil {
		d.tell()
		return nil
	}
	if err := c.addresses(t); err != nil {
		return c.giveUp(t, err)
	}
	if err := c.chunk(t, text); err != nil {
		return err
	}
	if err := c.mark(); err != nil {
		return c.giveUp(t, err)
	}
	w.flying = append(w.flying, t)
	w.octets += t.msg.Size()
	return nil
}

// mark ends what belongs to a message, whatever became of it.
func (c *Client) mark() error {
	return c.say(nil, StageReset, "RSET", c.onReset)
}

// makeRoom waits until there is room for a message. What came with the answer that
// made room is read and told before anything is sent.
func (d *drain) makeRoom(w *window, size int64, recipients int) {
	c := d.c
	for c.broken == nil && len(w.flying) > 0 &&
		(len(w.flying) >= d.window || w.octets+size > windowOctets || c.pending+recipients > windowReplies) {
		// What breaks here is in the transactions and in broken.
		_ = c.collect(w.flying[0])
		c.catchUp()
		d.tell()
		for len(w.flying) > 0 && w.flying[0].settled {
			w.octets -= w.flying[0].msg.Size()
			w.flying = w.flying[1:]
		}
	}
}

// overflows reports whether recipients in flight may turn out to be too many for
// their transaction, and need another one.
func (w *window) overflows() bool {
	return slices.ContainsFunc(w.flying, func(t *transaction) bool { return len(t.who) > 1 })
}
