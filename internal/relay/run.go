package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"postern/internal/smtp"
	"postern/internal/spool"
)

// RunOptions say which messages a run tries.
type RunOptions struct {
	DueOnly bool                                     // only those whose time has come
	Match   func(id string, state *spool.State) bool // nil for all
}

// grace is how long a run that is asked to stop may finish what is under way.
const grace = 20 * time.Second

// Run tries the messages of the queue once, over several connections side by
// side. It ends early when ctx does, after what is under way, and when the
// smarthost cannot be reached: one probe, then all wait.
//
// There is one run at a time. If another is under way, this one waits for it. If
// it is for all that is due, and such a run waits already, Run returns at once,
// since that one will see all that is in the queue now.
func (q *Queue) Run(ctx context.Context, o RunOptions) (Progress, error) {
	done, err := q.Spool.Turn(ctx, o.DueOnly && o.Match == nil)
	if err != nil || done == nil {
		return Progress{}, err
	}
	r := &run{q: q, o: o, seen: make(map[string]bool)}
	err = r.all(ctx)
	return r.progress, errors.Join(err, done())
}

// run is one pass over the queue.
type run struct {
	q *Queue
	o RunOptions

	mu       sync.Mutex
	todo     []spool.Entry
	seen     map[string]bool // ids that this run has tried
	progress Progress
	down     error // the smarthost cannot be reached
}

func (r *run) all(ctx context.Context) error {
	if _, err := r.q.Spool.Recover(); err != nil {
		r.q.Relay.Log.Warning("spool: " + err.Error())
	}
	for pass := 0; !stopping(ctx); pass++ {
		if err := r.collect(pass == 0); err != nil {
			return err
		}
		if len(r.todo) == 0 {
			return nil
		}
		r.drain(ctx)
		if r.down != nil {
			r.postpone(ctx)
			return r.down
		}
	}
	return nil
}

// collect lists what is to be tried. Later passes find the reports that the
// first has written.
func (r *run) collect(first bool) error {
	entries, strangers, err := r.q.Spool.List("queue")
	if err != nil {
		return err
	}
	if first {
		for _, s := range strangers {
			r.q.Relay.Log.Warning(fmt.Sprintf("spool: %s: %s; it is left alone", s.Name, s.Reason))
		}
	}
	r.todo = nil
	for _, e := range entries {
		if r.seen[e.ID] || (r.o.DueOnly || !first) && !r.q.Spool.Due(e) {
			continue
		}
		if r.o.Match != nil && first {
			state, err := r.q.Spool.Read(e)
			if err != nil || !r.o.Match(e.ID, state) {
				continue
			}
		}
		r.todo = append(r.todo, e)
	}
	if r.o.Match != nil && !first {
		r.todo = nil // what was chosen is done
	}
	return nil
}

// next claims the next message, nil if there is none left.
func (r *run) next() *spool.Claim {
	for {
		r.mu.Lock()
		if len(r.todo) == 0 {
			r.mu.Unlock()
			return nil
		}
		e := r.todo[0]
		r.todo = r.todo[1:]
		r.seen[e.ID] = true
		r.mu.Unlock()
		c, err := r.q.Spool.Claim(e)
		switch {
		case err == nil:
			return c
		case errors.Is(err, spool.ErrTaken) || errors.Is(err, fs.ErrNotExist):
		default:
			r.q.Relay.Log.Warning(err.Error())
		}
	}
}

// connections is how many are worth opening: a few messages each.
func (r *run) connections() int {
	const each = 5
	return min(max(1, len(r.todo)/each), r.q.config().Smarthost.MaxConnections)
}

// drain sends what is to be done. The first connection is the probe; only when
// it is ready are others opened.
func (r *run) drain(ctx context.Context) {
	// Stopping is asked of next; what is under way gets some time to finish.
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	n := r.connections()
	probe, err := smtp.Dial(hard, r.q.Relay.SMTP())
	if err != nil {
		r.down = err
		return
	}
	if r.q.config().Smarthost.Rate.Count > 0 {
		r.paced(ctx, hard, probe)
		return
	}
	var wg sync.WaitGroup
	for i := range n {
		first := probe
		if i > 0 {
			first = nil
		}
		wg.Go(func() { r.connection(ctx, hard, first) })
	}
	wg.Wait()
}

// connection drains over one connection, and over another one when the server
// takes no more on it or it was lost after some success.
func (r *run) connection(ctx, hard context.Context, c *smtp.Client) {
	for !stopping(ctx) {
		if c == nil {
			if r.empty() {
				return
			}
			var err error
			if c, err = smtp.Dial(hard, r.q.Relay.SMTP()); err != nil {
				return // the others go on, and the next run begins with a probe
			}
		}
		b := newBatch(r, c)
		err := c.Drain(hard, smtp.DrainOptions{Window: r.q.config().Smarthost.Window}, b.next(ctx), b.done)
		b.close()
		if err == nil || b.taken == 0 {
			if err != nil && !r.empty() {
				r.fail(err)
			}
			return
		}
		c = nil
	}
	if c != nil {
		c.Close()
	}
}

func (r *run) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.todo) == 0
}

// fail notes that the smarthost is of no use now.
func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = err
}

// paced sends one message at a time, no faster than the configured rate.
func (r *run) paced(ctx, hard context.Context, c *smtp.Client) {
	rate := r.q.config().Smarthost.Rate
	pause := rate.Per / time.Duration(rate.Count)
	for first := true; !stopping(ctx) && !r.empty(); first = false {
		if !first {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				c.Close()
				return
			}
		}
		if !c.IsConnected() {
			var err error
			if c, err = smtp.Dial(hard, r.q.Relay.SMTP()); err != nil {
				r.fail(err)
				return
			}
		}
		b := newBatch(r, c)
		t, err := b.next(ctx)(ctx)
		if err != nil {
			break
		}
		result, _ := c.Send(hard, t.Envelope, fitted(c, t)) // the result has the error
		b.done(t, result)
		b.close()
	}
	// The goodbye changes nothing.
	_, _ = c.Quit(hard)
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
func (r *run) postpone(ctx context.Context) {
	for c := r.next(); c != nil; c = r.next() {
		o := Outcome{Status: Deferred, Err: r.down, Text: shortReason(r.down)}
		all := make([]Outcome, len(c.State.Recipients))
		for i, one := range c.State.Recipients {
			all[i] = o
			all[i].Recipient = one.Address
		}
		r.settle(c, all)
		if stopping(ctx) {
			return
		}
	}
}

func shortReason(err error) string {
	return outcomeOf("", smtp.RecipientResult{Err: err}).Text
}
