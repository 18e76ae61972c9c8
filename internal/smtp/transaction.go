package smtp

import "errors"

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
	accepted  []int
	again     []int // too many recipients for one transaction
	learn     bool  // RSET goes in front, to hear how it is answered
	reset     Reply // that
	start     bool  // 354 came
	chunked   bool  // the content went as BDAT
	committed bool  // the whole content was written, up to octet end of the connection
	end       int64
	settled   bool
}

// prepare writes the command lines. What cannot be said to this server fails
// here, before anything is sent.
func (c *Client) prepareLines(t *transaction) error {
	var err error
	if t.mail, err = c.mailLine(t.env, t.who, t.msg.Size()); err != nil {
		return err
	}
	who := make([]int, 0, len(t.who))
	t.rcpts = make([]string, 0, len(t.who))
	t.accepted = make([]int, 0, len(t.who))
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

// lose settles t after the connection broke. What the server did is unknown only
// if the last octet of the content left us.
func (c *Client) lose(t *transaction, err error) {
	one := RecipientResult{Err: err}
	if t.mailErr == nil && t.committed && c.link.handed >= t.end { // also for those whose reply to RCPT is still due
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
// was left open. Without PIPELINING it stops after a refusal of MAIL.
func (c *Client) envelope(t *transaction) error {
	if t.learn = t.learn && !c.dirty; t.learn {
		if err := c.say(t, StageReset, "RSET", func(r Reply) { t.reset = r }); err != nil {
			return err
		}
	} else if c.dirty {
		if err := c.say(t, StageReset, "RSET", c.onReset); err != nil {
			return err
		}
		c.dirty = false
	}
	return c.addresses(t)
}

// addresses writes MAIL and RCPT.
func (c *Client) addresses(t *transaction) error {
	c.sent++
	err := c.say(t, StageMail, t.mail, func(r Reply) { c.onMail(t, r) })
	answered := 0 // the same for all of them, in their order
	on := func(r Reply) {
		answered++
		c.onRcpt(t, t.who[answered-1], r)
	}
	for n := 0; err == nil && n < len(t.who) && t.mailErr == nil; n++ {
		err = c.say(t, StageRcpt, t.rcpts[n], on)
	}
	return err
}

func (c *Client) onReset(r Reply) {
	switch {
	case r.Positive() && !c.windowed:
	case r.Positive() && c.resetText == r.String():
		c.dirty = false
		c.release()
	case len(c.held) > 0 && r.Code != CodeServiceNotAvailable: // is it the answer to the content?
		c.doubt()
	default: // what state the server is in nobody knows
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
		if t.learn && t.reset.Positive() { // 354 comes to nothing else, so what was before it is what it seems
			c.resetText = t.reset.String()
		}
		return
	}
	e := c.refusal(StageData, r)
	t.result.set(t.accepted, RecipientResult{Err: e, Reply: r})
	if !r.Positive() {
		return
	}
	// 250 to DATA is nonsense, must not mean success, and casts doubt on what was
	// answered before it.
	e.Err = because(ErrProtocol, errors.New("DATA was not answered with 354"))
	if len(c.held) > 0 {
		c.doubt()
	}
	c.end(e)
}

// onContent takes the answer to the end of the content.
func (c *Client) onContent(t *transaction, r Reply) {
	c.dirty = t.chunked && !r.Positive() // after a failed BDAT RSET is a must (RFC 3030 2)
	t.result.Reply = r
	if t.mailErr != nil || len(t.accepted) == 0 {
		t.settle()
		return
	}
	switch {
	case !r.Positive():
		t.result.set(t.accepted, RecipientResult{Err: c.refusal(StageContent, r), Reply: r})
		t.settle()
	case strayed(r):
		e := c.refusal(StageContent, r)
		e.Err = because(ErrProtocol, errors.New("that is no answer to a message"))
		t.result.set(t.accepted, RecipientResult{Fate: Unknown, Err: c.end(e), Reply: r})
		t.settle()
	default:
		t.result.set(t.accepted, RecipientResult{Fate: Taken, Reply: r})
		c.hold(t)
	}
}

// strayed reports a positive reply that answers another command than the end of
// a content: to QUIT, AUTH or HELP, or about an address (RFC 3463 3.2). Replies
// and commands are out of step then, and what became of the message is unknown.
func strayed(r Reply) bool {
	return r.Code/10 == 21 || r.Code/10 == 22 || r.Code/10 == 23 || r.Enhanced[0] == 2 && r.Enhanced[1] == 1
}
