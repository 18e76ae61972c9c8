package smtp

import (
	"errors"
	"strings"
	"time"
)

// expectation is a reply that is to come, in the order of the commands.
type expectation struct {
	stage  Stage
	within time.Duration
	on     func(Reply)
	of     *transaction
}

// say writes a command and notes whose reply is to come. Without PIPELINING the
// reply is waited for at once.
func (c *Client) say(t *transaction, stage Stage, line string, on func(Reply)) error {
	if len(c.expected) == 0 {
		c.group = c.link.written()
	}
	if err := c.write(stage, line, ""); err != nil {
		return err
	}
	c.await(expectation{stage: stage, within: c.cfg.commandTimeout(), on: on, of: t})
	// In a window the octets in flight are counted elsewhere.
	if !c.windowed && (!c.pipelining() || c.link.written()-c.group > groupLimit) {
		return c.collect(nil)
	}
	return nil
}

func (c *Client) pipelining() bool { return c.ext.Has("PIPELINING") }

func (c *Client) await(e expectation) {
	if len(c.expected) == 0 {
		c.expected = c.room
	}
	c.expected = append(c.expected, e)
	if cap(c.expected) > cap(c.room) {
		c.room = c.expected[:0]
	}
}

// due takes the first of the expectations.
func (c *Client) due() expectation {
	e := c.expected[0]
	c.expected = c.expected[1:]
	return e
}

// collect reads the replies that are due: all of them, or those up to the end
// of the transaction until. When the connection is lost, every transaction with
// a reply due learns so.
func (c *Client) collect(until *transaction) error {
	if len(c.expected) > 0 {
		if err := c.flush(c.expected[0].stage); err != nil {
			c.abandon(err, false)
			return err
		}
	}
	for len(c.expected) > 0 {
		if until != nil && until.settled {
			return nil
		}
		if err := c.hear(); err != nil {
			return err
		}
	}
	return c.confirm()
}

// catchUp reads the replies that are here already. What breaks is in the
// transactions and in broken.
func (c *Client) catchUp() {
	for len(c.expected) > 0 && c.link.ready() {
		if c.hear() != nil {
			return
		}
	}
}

// hear reads the next reply that is due.
func (c *Client) hear() error {
	if c.lull != nil && !c.link.ready() {
		c.lull()
	}
	e := c.due()
	r, err := c.read(e.stage, e.within)
	if r.Code != 0 {
		e.on(r)
	}
	if err != nil {
		if r.Code == 0 && e.of != nil {
			c.lose(e.of, err)
		}
		c.abandon(err, r.Code != 0)
	}
	return err
}

// abandon tells the transactions with replies due that none will come, and those
// that were held that theirs counts. After a farewell the server has done
// nothing more of what we sent.
func (c *Client) abandon(err error, farewell bool) {
	c.release()
	due := c.expected
	c.expected, c.room = nil, nil
	for _, e := range due {
		if e.of == nil {
			continue
		}
		if farewell {
			e.of.committed = false
		}
		c.lose(e.of, err)
	}
}

// stopped ends the connection after a failure to write. What the server said
// before it hung up counts: replies that are due decide about their messages, so
// that none is sent twice, and a refusal beyond them says why.
func (c *Client) stopped(stage Stage, cause error) error {
	for c.broken == nil {
		r, ok := c.link.lastReply()
		if !ok {
			break
		}
		farewell := r.Code == CodeServiceNotAvailable
		if len(c.expected) > 0 {
			e := c.due()
			c.pending--
			e.on(r)
			if farewell {
				err := c.end(c.refusal(e.stage, r))
				c.abandon(err, true)
			}
			continue
		}
		if farewell || !r.Positive() && r.Code != CodeStartInput && strings.TrimSpace(r.Text()) != "" {
			return c.end(c.refusal(stage, r))
		}
		break
	}
	return c.end(c.failure(stage, c.link.fail(cause)))
}

// hold keeps back that the content of t was accepted. A surplus reply shifts all
// that follow by one, and then the answer to RCPT would be taken for that to the
// content. So the outcome waits for the rest of its flight: the answer to the next
// RSET in a window, which always has the same words, or the last reply, after
// which nothing more may come. If replies and commands turn out not to match,
// nobody knows which was whose.
func (c *Client) hold(t *transaction) { c.held = append(c.held, t) }

// release lets the held transactions keep what they have.
func (c *Client) release() {
	held := c.held
	c.held = nil
	for _, t := range held {
		t.settle()
	}
}

// confirm releases the held transactions unless there is a reply too many.
func (c *Client) confirm() error {
	if len(c.held) == 0 {
		return nil
	}
	oddly := c.closing != 0 && c.closing != CodeClosing // QUIT had an answer that may be another's
	if c.link.r.Buffered() == 0 && !oddly {
		c.release()
		return nil
	}
	r, err := c.surplus()
	switch {
	case err == nil && r.Code != CodeServiceNotAvailable:
		return c.doubt()
	case err == nil: // goodbye is not a reply to anything; the next call will hear of it
		c.end(c.refusal(StageCommand, r))
	}
	c.release()
	return nil
}

// surplus reads a reply that nobody asked for, if there is one before the server
// hangs up.
func (c *Client) surplus() (Reply, error) {
	r, err := c.link.reply(min(quitTimeout, c.cfg.commandTimeout()), maxReplyLine)
	if errors.Is(err, ErrProtocol) { // it did say something
		return Reply{Code: CodeInvalidResponse}, nil
	}
	return r, err
}

// doubt makes the outcome of the held transactions unknown and ends the
// connection.
func (c *Client) doubt() error {
	err := c.end(c.failure(StageContent, because(ErrProtocol, errors.New("the server gave more replies than commands"))))
	for _, t := range c.held {
		t.result.set(t.accepted, RecipientResult{Fate: Unknown, Err: err})
	}
	c.release()
	return err
}
