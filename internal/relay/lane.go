package relay

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"postern/internal/config"
	"postern/internal/smtp"
	"postern/internal/spool"
)

// lane is a smarthost in a run of the queue, with what is to go there.
type lane struct {
	r     *run
	host  *config.Smarthost // nil for what no smarthost takes
	place int

	// guarded by run.mu
	todo   []spool.Entry
	ready  []*spool.Claim // taken from todo, several together if the spool is far away
	down   error          // it cannot be reached
	stuck  bool           // messages have to wait for it
	open   int            // connections
	barren int            // connections in a row that were lost before any success
}

// mine are the places of the recipients that go here.
func (l *lane) mine(s *spool.State) []int {
	var who []int
	sender := Matched(s.Sender)
	for i, to := range s.Recipients {
		if l.r.q.config().Choose(sender, Matched(to.Address)) == l.host {
			who = append(who, i)
		}
	}
	return who
}

// next claims the next message, nil if there is none left.
func (l *lane) next() *spool.Claim {
	for {
		l.r.mu.Lock()
		if len(l.ready) > 0 {
			c := l.ready[0]
			l.ready = l.ready[1:]
			l.r.mu.Unlock()
			return c
		}
		if len(l.todo) == 0 {
			l.r.mu.Unlock()
			return nil
		}
		some := l.todo[:min(l.r.q.Spool.Batch(), len(l.todo))]
		l.todo = l.todo[len(some):]
		for _, e := range some {
			l.r.seen[e.ID] = true
		}
		l.r.mu.Unlock()
		l.claim(some)
	}
}

// claim makes messages ready, those that nobody else has.
func (l *lane) claim(some []spool.Entry) {
	for _, got := range l.r.q.Spool.ClaimAll(some) {
		switch {
		case got.Err == nil:
			l.r.mu.Lock()
			l.ready = append(l.ready, got.Claim)
			l.r.mu.Unlock()
		case errors.Is(got.Err, spool.ErrTaken) || errors.Is(got.Err, fs.ErrNotExist):
		default:
			l.r.q.Relay.Log.Warning(got.Err.Error())
			if errors.Is(got.Err, spool.ErrAway) {
				l.r.abandon(got.Err)
			}
		}
	}
}

// giveBack releases what was claimed and not begun.
func (l *lane) giveBack() {
	l.r.mu.Lock()
	ready := l.ready
	l.ready = nil
	l.r.mu.Unlock()
	for _, c := range ready {
		if err := c.Release(c.Entry().Due); err != nil {
			l.r.q.Relay.Log.Warning(err.Error())
		}
	}
}

func (l *lane) empty() bool {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return len(l.todo)+len(l.ready) == 0
}

func (l *lane) isDown() error {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return l.down
}

// lost notes that a connection was lost before any success, and reports whether
// to give up. A message that makes the server hang up must not hold up all
// others, so there is another try, but not a third. What one connection gives up,
// others may go on with; only after the last the smarthost counts as down.
func (l *lane) lost(err error) bool {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if l.barren++; l.barren < 2 {
		return false
	}
	if l.open == 1 && len(l.todo)+len(l.ready) > 0 {
		l.down = err
	}
	return true
}

func (l *lane) count(connections int, success bool) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.open += connections
	if success {
		l.barren = 0
	}
}

// fail notes that the smarthost is of no use now.
func (l *lane) fail(err error) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.down = err
}

// connections is how many are worth opening: a few messages each.
func (l *lane) connections() int {
	const each = 5
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return min(max(1, len(l.todo)/each), l.host.MaxConnections)
}

func (l *lane) dial(ctx context.Context) (*smtp.Client, error) {
	return smtp.Dial(ctx, l.r.q.Relay.SMTP(l.host))
}

// drain sends what is to be done. The first connection is the probe: if it does
// not become ready, all wait.
func (l *lane) drain(ctx, hard context.Context) {
	if l.host != nil && l.host.Capture != "" {
		l.captureAll(ctx)
		return
	}
	if l.isDown() == nil {
		if l.host.Rate.Count > 0 {
			l.paced(ctx, hard)
		} else {
			l.sideBySide(ctx, hard, l.connections())
		}
	}
	if l.isDown() != nil {
		l.postpone(ctx)
	}
}

// connection drains over one connection, and over another one when the server
// takes no more on it or it was lost. What a server refuses for now is offered to
// the next one.
func (l *lane) connection(ctx, hard context.Context, c *smtp.Client) {
	var again []*parcel // refused by the server before
	for !stopping(ctx) || len(again) > 0 {
		if c == nil {
			if l.empty() {
				return
			}
			var err error
			if c, err = l.dial(hard); err != nil {
				return // the others go on, and the next run begins with a probe
			}
		}
		b := newBatch(l, c, again)
		err := b.drain(ctx, hard, c)
		if c, again = b.elsewhere(hard, c); c != nil {
			continue
		}
		switch {
		case b.only: // that was another server, for a few messages
		case b.taken > 0:
			l.count(0, true)
			if err == nil {
				return
			}
		case err == nil || l.lost(err):
			return
		}
	}
	if c != nil {
		c.Close()
	}
}

// paced sends one message at a time, no faster than the configured rate.
func (l *lane) paced(ctx, hard context.Context) {
	c, err := l.dial(hard)
	if err != nil {
		l.fail(err)
		return
	}
	pause := l.host.Rate.Per / time.Duration(l.host.Rate.Count)
	for first := true; !stopping(ctx) && !l.empty(); first = false {
		if !first && !wait(ctx, pause) {
			break
		}
		if !c.IsConnected() {
			if c, err = l.dial(hard); err != nil {
				l.fail(err)
				return
			}
		}
		if !l.one(ctx, hard, c) {
			break
		}
	}
	// The goodbye changes nothing.
	_, _ = c.Quit(hard)
}

// one sends a message, to another server if this one will not take it now. It is
// false if there is none.
func (l *lane) one(ctx, hard context.Context, c *smtp.Client) bool {
	var again []*parcel
	for other := c; other != nil; {
		b := newBatch(l, other, again)
		hard, cancel := b.bounded(hard)
		defer cancel()
		t, err := b.next(ctx)(ctx)
		if err != nil {
			b.close()
			return false
		}
		result, _ := other.Send(hard, t.Envelope, fitted(other, t)) // the result has the error
		b.done(t, result)
		b.close()
		var next *smtp.Client
		next, again = b.elsewhere(hard, other)
		if other != c {
			// The goodbye changes nothing.
			_, _ = other.Quit(hard)
		}
		other = next
	}
	return true
}

// wait is false if ctx ended it.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fitted is the message of t for the server of c.
func fitted(c *smtp.Client, t *smtp.Transaction) smtp.Message {
	m, eight, err := t.Fit(c.Extensions())
	if err != nil {
		return failedMessage{err}
	}
	t.Envelope.EightBit = eight
	return m
}

// failedMessage cannot be read.
type failedMessage struct{ err error }

func (f failedMessage) Open() (io.ReadCloser, error) { return nil, f.err }
func (f failedMessage) Size() int64                  { return 0 }

// postpone gives all that is left its next time, since the smarthost cannot be
// reached; who has waited too long is told.
func (l *lane) postpone(ctx context.Context) {
	for c := l.next(); c != nil; c = l.next() {
		l.r.mu.Lock()
		l.stuck = true
		l.r.mu.Unlock()
		who := l.mine(c.State)
		all := make([]Outcome, len(who))
		for n, i := range who {
			all[n] = l.away(c.State.Sender, c.State.Recipients[i])
		}
		_ = l.settle(c, who, all) // no server has it
		if stopping(ctx) {
			return
		}
	}
}

// away is the outcome for a recipient of a smarthost that cannot be reached, or
// that is no longer in the file: once that is mended, the message can go.
func (l *lane) away(sender string, to spool.Recipient) Outcome {
	if l.host == nil {
		o := l.r.q.Relay.Unroutable(sender, smtp.Recipient{Address: to.Address, Original: to.Original})
		o.Status, o.Enhanced = Deferred, "4.4.4"
		return o
	}
	err := l.isDown()
	return Outcome{Recipient: to.Address, Original: to.Original, Status: Deferred, Err: err, Text: shortReason(err)}
}

func shortReason(err error) string {
	return outcomeOf("", smtp.RecipientResult{Err: err}).Text
}
