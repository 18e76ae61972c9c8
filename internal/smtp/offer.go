package smtp

import (
	"bytes"
	"errors"
	"fmt"
)

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
	if err := c.envelope(t); err != nil {
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
	c.abandon(err, false)
	c.lose(t, err)
	return err
}

// content writes the message and its end; it does not flush. A message that
// cannot be read ends the connection, since half of it is on the wire.
func (c *Client) content(t *transaction) error {
	if err := c.quiet(StageContent); err != nil { // a reply too many would be taken for the answer
		return c.giveUp(t, err)
	}
	c.link.say('>', fmt.Sprintf("[%d octets of message]", t.msg.Size()))
	d := newDotWriter(c.link.w)
	err := copyContent(d, t.msg, c.link.copyBuffer())
	if err == nil {
		c.dirty = false // content ends a transaction, whatever the answer
		err = d.Close()
	}
	return c.contentWritten(t, err)
}

// load reads a message that is to go in one flight with its envelope before anything
// of it is written: BDAT tells its size in front, and there are servers that take what
// they have got for the whole when the connection ends within it.
func (c *Client) load(t *transaction) ([]byte, error) {
	var text bytes.Buffer
	text.Grow(int(t.msg.Size()))
	if err := copyContent(&text, t.msg, c.link.copyBuffer()); err != nil {
		err = &Error{Stage: StageContent, Host: c.name, Err: err}
		t.failOpen(RecipientResult{Err: err})
		t.settle()
		return nil, err
	}
	return text.Bytes(), nil
}

// chunk writes the message as one BDAT command (RFC 3030); it does not flush.
func (c *Client) chunk(t *transaction, text []byte) error {
	t.chunked = true
	line := fmt.Sprintf("BDAT %d LAST", len(text))
	err := c.link.writeLine(line, line)
	if err == nil {
		_, err = c.link.w.Write(text)
	}
	return c.contentWritten(t, err)
}

func (c *Client) contentWritten(t *transaction, err error) error {
	if err == nil {
		t.committed, t.end = true, c.link.written()
		c.group = t.end // the server takes content without an answer
		if t.job != nil && t.job.tx.Committed != nil {
			t.job.tx.Committed()
		}
		c.pending++
		c.await(expectation{stage: StageContent, within: contentTimeoutFactor * c.cfg.commandTimeout(), of: t,
			on: func(r Reply) { c.onContent(t, r) }})
		return nil
	}
	if !errors.Is(err, ErrMessage) {
		return c.giveUp(t, c.stopped(StageContent, err))
	}
	c.end(c.failure(StageContent, because(ErrDisconnected, errors.New("the connection was closed within a message"))))
	return c.giveUp(t, &Error{Stage: StageContent, Host: c.name, Err: err})
}
