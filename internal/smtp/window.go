package smtp

import "context"

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

// windowed keeps up to d.window messages in flight: RSET, MAIL, RCPT and BDAT
// LAST of each, replies matched in order. RSET in front is not optional: Exim
// takes a MAIL that follows a failed message without it for part of that message,
// and would send the next one under its sender. And its answer shows that replies
// and commands still match: see hold. It returns a transaction that was taken but
// not begun, if any.
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
	var flying []*transaction
	var octets int64
	land := func() {
		// What breaks here is in the transactions and in broken.
		_ = c.collect(flying[0])
		octets -= flying[0].msg.Size()
		flying = flying[1:]
	}
	for t != nil && c.broken == nil {
		for len(flying) > 0 && (len(flying) >= d.window || octets+t.msg.Size() > windowOctets || c.pending+len(t.who) > windowReplies) {
			land()
		}
		if !d.daring(t) || c.broken != nil {
			break
		}
		text, err := c.load(t)
		if err != nil {
			t = d.take(ctx)
			continue
		}
		if err := c.envelope(t, true); err != nil {
			_ = c.giveUp(t, err) // the same error
			return nil
		}
		if c.chunk(t, text) != nil {
			return nil
		}
		flying = append(flying, t)
		octets += t.msg.Size()
		t = d.take(ctx)
	}
	if t == nil {
		d.sayQuit()
	}
	_ = c.collect(nil) // in the transactions and in broken
	return t
}
