package relay

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"postern/internal/message"
	"postern/internal/smtp"
	"postern/internal/spool"
)

// batch is what goes over one connection.
type batch struct {
	r      *run
	server string
	cipher string

	mu     sync.Mutex
	claims map[*smtp.Transaction]*parcel
	taken  int // messages that the server took on this connection
}

// parcel is a claimed message under way.
type parcel struct {
	claim *spool.Claim
	began time.Time
	forms []*message.Message // made for the server
}

func newBatch(r *run, c *smtp.Client) *batch {
	b := &batch{r: r, claims: make(map[*smtp.Transaction]*parcel)}
	if info, err := c.Info(); err == nil {
		b.server, b.cipher = info.Relay(), info.Cipher()
	}
	return b
}

// next gives the drain its next message. It ends when soft does.
func (b *batch) next(soft context.Context) func(context.Context) (*smtp.Transaction, error) {
	return func(context.Context) (*smtp.Transaction, error) {
		for !stopping(soft) {
			c := b.r.next()
			if c == nil {
				break
			}
			if len(c.State.Recipients) == 0 { // a crash came between the last outcome and its consequences
				b.r.settle(c, nil)
				continue
			}
			t := b.transaction(c)
			b.mu.Lock()
			b.claims[t] = &parcel{claim: c, began: b.r.q.now()}
			b.mu.Unlock()
			return t, nil
		}
		return nil, io.EOF
	}
}

// transaction is a claimed message for the wire.
func (b *batch) transaction(c *spool.Claim) *smtp.Transaction {
	s := c.State
	host := &b.r.q.config().Smarthost
	t := &smtp.Transaction{Envelope: smtp.Envelope{Sender: s.Sender, Return: s.Return, EnvelopeID: s.EnvelopeID,
		RequireTLS: host.RequireTLS, Options: host.MailOptions}}
	for _, r := range s.Recipients {
		t.Envelope.Recipients = append(t.Envelope.Recipients,
			smtp.Recipient{Address: r.Address, Notify: r.Notify, Original: r.Original, Options: host.RcptOptions})
	}
	t.Fit = func(ext smtp.Extensions) (smtp.Message, bool, error) { return b.fit(t, c, ext) }
	return t
}

// fit sends the file as it lies, or recoded for a server that takes 7 bits.
func (b *batch) fit(t *smtp.Transaction, c *spool.Claim, ext smtp.Extensions) (smtp.Message, bool, error) {
	if !c.State.EightBit || ext.Has("8BITMIME") {
		return c, c.State.EightBit, nil
	}
	whole, err := loaded(c, b.r.q.Relay.TempDir)
	if err != nil {
		return nil, false, err
	}
	m, err := whole.For(message.Wire{})
	if err != nil {
		return nil, false, errors.Join(err, whole.Body().Close())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.claims[t]; p != nil {
		p.forms = append(p.forms, whole, m)
	}
	return m, false, nil
}

// done takes the outcome of a message.
func (b *batch) done(t *smtp.Transaction, result smtp.Result) {
	b.mu.Lock()
	p := b.claims[t]
	delete(b.claims, t)
	if result.Reply.Positive() {
		b.taken++
	}
	b.mu.Unlock()
	if p == nil {
		return
	}
	delay := b.r.q.now().Sub(p.claim.State.Created)
	outcomes := make([]Outcome, len(result.Recipients))
	for i, one := range result.Recipients {
		o := outcomeOf(t.Envelope.Recipients[i].Address, one)
		o.Relay, o.TLS, o.Delay = b.server, b.cipher, delay
		o.Original = t.Envelope.Recipients[i].Original
		outcomes[i] = o
	}
	for _, m := range p.forms {
		// A temporary file without a name that does not close harms nobody.
		_ = errors.Join(m.Close(), m.Body().Close())
	}
	b.r.settle(p.claim, outcomes)
}

// close gives back what the drain never came to tell about.
func (b *batch) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.claims {
		if err := p.claim.Release(b.r.q.now()); err != nil {
			b.r.q.Relay.Log.Warning(err.Error())
		}
	}
	b.claims = nil
}
