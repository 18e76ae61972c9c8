package smtp

import "context"

// learn takes note of what a message that went in one flight has told about the
// server. A window needs an answer to RSET that is always the same. Where content
// was sent in vain, it is offered first from now on.
func (d *drain) learn(t *transaction) {
	c := d.c
	switch {
	case !t.chunked || c.windowed:
	case len(t.accepted) == 0:
		d.wasted = true
	case !t.learn || !t.result.Reply.Positive():
	case t.reset.Positive() && c.resetText == "":
		c.resetText = t.reset.String()
	case !t.reset.Positive() || c.resetText != t.reset.String():
		d.surprised = true
	}
}

// whole reports whether t can go in one flight with its envelope, short enough to be
// wasted if nobody wants it: one that is the only message, where QUIT goes along and
// its answer shows that replies and commands match; or one of those before a window.
// Else a drain asks for the content with DATA: that costs it one round trip in all,
// wastes no content, and the 354 shows that they match.
func (d *drain) whole(t *transaction) bool {
	return (d.single && d.quit || d.windows() && !d.wasted) &&
		d.c.pipelining() && d.c.ext.Has("CHUNKING") && t.msg.Size() <= wholeLimit
}

// flight sends envelope and content at once (RFC 3030), and QUIT if it is the only
// message. Else the next one is taken only then, so that it does not share the fate of
// one that makes the server hang up.
func (d *drain) flight(ctx context.Context, t *transaction) *transaction {
	text, err := d.c.load(t)
	if err != nil {
		return d.take(ctx)
	}
	if err := d.c.envelope(t); err != nil {
		// It is in t and broken.
		_ = d.c.giveUp(t, err)
		return nil
	}
	if d.c.chunk(t, text) != nil {
		return nil
	}
	if d.single {
		d.sayQuit()
	}
	_ = d.c.collect(nil) // in t and broken
	if d.c.broken != nil {
		return nil
	}
	return d.take(ctx)
}
