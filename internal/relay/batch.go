package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"postern/internal/message"
	"postern/internal/smtp"
	"postern/internal/spool"
)

// maxAgain is how many messages a server may refuse for now while another one is
// there, until the rest goes to that one.
const maxAgain = 10

// batch is what goes over one connection.
type batch struct {
	l      *lane
	server string
	cipher string
	others bool // there is another server for what this one refuses now

	mu     sync.Mutex
	first  []*parcel // to be sent before the queue is asked
	claims map[*smtp.Transaction]*parcel
	again  []*parcel // for another server
	full   bool      // of them: this server is of little use now
	only   bool      // the queue is not asked
	taken  int       // messages that the server took on this connection
	cancel func()    // ends the connection
	pen    *pen      // nil if what became of a message is written without it
	burst  []*parcel // whose outcomes came together, not written down yet
	group  *spool.Group
}

// parcel is a claimed message under way.
type parcel struct {
	claim *spool.Claim
	limit *time.Timer        // of the transfer
	forms []*message.Message // made for the server
	who   []int              // places of the recipients that go here
	given []smtp.Recipient   // these
	place []int              // and their places on the wire
	// outcomes are of the server that refused it for now.
	outcomes []Outcome
}

// newBatch makes a batch for c. With messages that another server refused it is
// for these only, unless they are so many that the rest had better go here too.
func newBatch(l *lane, c *smtp.Client, first []*parcel) *batch {
	b := &batch{l: l, first: first, only: len(first) > 0 && len(first) < maxAgain, others: c.HasNext(),
		claims: make(map[*smtp.Transaction]*parcel), group: l.r.q.Spool.Group()}
	if info, err := c.Info(); err == nil {
		b.server, b.cipher = info.Relay(), info.Cipher()
	}
	if q := l.r.q; q.aside || q.Spool.Remote() {
		b.pen = &pen{}
	}
	return b
}

// bounded gives a context that ends when the transfer of any message takes longer
// than a delivery may: what takes for ever would hold up the others, and outlast
// its claim.
func (b *batch) bounded(hard context.Context) (context.Context, context.CancelFunc) {
	hard, b.cancel = context.WithCancel(hard)
	return hard, b.cancel
}

// drain sends over c what there is.
func (b *batch) drain(soft, hard context.Context, c *smtp.Client) error {
	hard, cancel := b.bounded(hard)
	defer cancel()
	defer b.close()
	return c.Drain(hard, smtp.DrainOptions{Window: b.l.host.Window, Told: b.settleBurst}, b.next(soft), b.done)
}

// next gives the drain its next message. It ends when soft does.
func (b *batch) next(soft context.Context) func(context.Context) (*smtp.Transaction, error) {
	return func(context.Context) (*smtp.Transaction, error) {
		for !stopping(soft) {
			p := b.parcel()
			if p == nil {
				break
			}
			if len(p.who) == 0 { // nothing to send, but consequences to draw
				_ = b.l.settle(p.claim, p.who, p.outcomes) // what fails is in the log
				continue
			}
			t := b.transaction(p)
			b.mu.Lock()
			p.limit = time.AfterFunc(b.l.r.q.config().Timeout, b.cancel)
			b.claims[t] = p
			b.mu.Unlock()
			return t, nil
		}
		return nil, io.EOF
	}
}

// parcel is the next message, nil if there is none.
func (b *batch) parcel() *parcel {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(b.first) > 0:
		p := b.first[0]
		b.first = b.first[1:]
		return p
	case b.only || b.full:
		return nil
	}
	c := b.l.next()
	if c == nil {
		return nil
	}
	return &parcel{claim: c, who: b.l.mine(c.State)}
}

// transaction is a claimed message for the wire.
func (b *batch) transaction(p *parcel) *smtp.Transaction {
	s, host := p.claim.State, b.l.host
	w := b.l.r.q.Relay.wanted(host, s.Sender, s.UID)
	sender, _ := w.envelopeSender()
	t := &smtp.Transaction{Envelope: smtp.Envelope{Sender: sender, Return: s.Return, EnvelopeID: s.EnvelopeID,
		RequireTLS: host.RequireTLS, Options: host.MailOptions}}
	p.given = nil
	for _, i := range p.who {
		r := s.Recipients[i]
		p.given = append(p.given, smtp.Recipient{Address: r.Address, Notify: r.Notify, Original: r.Original})
	}
	t.Envelope.Recipients, p.place = w.recipients(p.given)
	t.Fit = func(ext smtp.Extensions) (smtp.Message, bool, error) {
		m, eightBit, err := b.fit(p, w, ext)
		if err == nil && b.pen != nil {
			m = orderly{m, b.pen}
		}
		return m, eightBit, err
	}
	return t
}

// settle has it written down what became of a message. What fails is in the log.
func (b *batch) settle(p *parcel) {
	if b.pen != nil {
		b.pen.write(func() error { return b.l.settle(p.claim, p.who, p.outcomes) })
		return
	}
	b.burst = append(b.burst, p)
}

// settleBurst writes down what became of the messages whose answers came together, or
// of the one there is without a window. Their removal is made durable at once, and
// before anything more is sent, so that what is not written down is never more than
// what can be in flight.
func (b *batch) settleBurst() {
	if len(b.burst) == 0 {
		return
	}
	for _, p := range b.burst {
		p.claim.Join(b.group)
		_ = b.l.settle(p.claim, p.who, p.outcomes) // what fails is in the log
	}
	b.burst = nil
	if err := b.group.Sync(); err != nil {
		b.l.r.q.Relay.Log.Warning(fmt.Sprintf("%v; a power cut could bring back what was sent", err))
	}
}

// finish waits until all is written down.
func (b *batch) finish() {
	b.settleBurst()
	b.group.Tidy()
	if b.pen != nil {
		_ = b.pen.wait() // what fails is in the log
	}
}

// fit sends the file as it lies, with another header if the smarthost wants one,
// or recoded for a server that takes 7 bits.
func (b *batch) fit(p *parcel, w wanted, ext smtp.Extensions) (smtp.Message, bool, error) {
	c := p.claim
	header, skip, err := p.header(w)
	if err != nil {
		return nil, false, err
	}
	if !c.State.EightBit || ext.Has("8BITMIME") {
		if header != nil {
			return &reheaded{claim: c, skip: skip, header: header}, c.State.EightBit, nil
		}
		return c, c.State.EightBit, nil
	}
	whole, err := loaded(c, b.l.r.q.Relay.TempDir)
	if err != nil {
		return nil, false, err
	}
	if header != nil {
		whole = message.New(header, whole.Body())
	}
	m, err := whole.For(message.Wire{})
	if err != nil {
		return nil, false, errors.Join(err, whole.Body().Close())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p.forms = append(p.forms, whole, m)
	return m, false, nil
}

// header is the header that the smarthost wants, and the length of the one that
// the file has; nil if it is to stay.
func (p *parcel) header(w wanted) (header []byte, skip int64, err error) {
	if !rewrites(w.h) {
		return nil, 0, nil
	}
	f, err := p.claim.Open()
	if err != nil {
		return nil, 0, err
	}
	text, err := readHeader(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, 0, err
	}
	header, _, err = w.header(text, p.given, p.claim.Open)
	return header, int64(len(text)), err
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
	p.limit.Stop()
	delay := b.l.r.q.now().Sub(p.claim.State.Created)
	p.outcomes = outcomesOf(p.given, p.place, t.Envelope.Recipients, result, nil)
	for i := range p.outcomes {
		o := &p.outcomes[i]
		o.Relay, o.TLS, o.Delay = b.server, b.cipher, delay
	}
	for _, m := range p.forms {
		// A temporary file without a name that does not close harms nobody.
		_ = errors.Join(m.Close(), m.Body().Close())
	}
	p.forms = nil
	if b.others && result.Elsewhere() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.again = append(b.again, p)
		b.full = b.full || len(b.again) >= maxAgain
		return
	}
	b.settle(p)
}

// elsewhere connects to the server behind c for what c refused for now. If none
// is ready, or nothing was refused, it is nil, and what c said counts.
func (b *batch) elsewhere(ctx context.Context, c *smtp.Client) (*smtp.Client, []*parcel) {
	if len(b.again) == 0 {
		return nil, nil
	}
	other, err := c.Next(ctx)
	if err == nil {
		return other, b.again
	}
	b.l.r.q.Relay.Log.Warning("no other server for what " + b.server + " does not take now: " + shortReason(err))
	for _, p := range b.again {
		b.settle(p)
	}
	b.finish()
	return nil, nil
}

// close gives back what the drain never came to tell about. Then all is written
// down.
func (b *batch) close() {
	defer b.finish()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.claims {
		p.limit.Stop()
		if err := p.claim.Release(b.l.r.q.now()); err != nil {
			b.l.r.q.Relay.Log.Warning(err.Error())
		}
	}
	b.claims = nil
	first := b.first
	b.first = nil
	for _, p := range first { // what the server before said counts
		b.settle(p)
	}
}
