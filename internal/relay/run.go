package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"postern/internal/config"
	"postern/internal/spool"
)

// RunOptions say which messages a run tries.
type RunOptions struct {
	DueOnly bool                                     // only those whose time has come
	Match   func(id string, state *spool.State) bool // nil for all
}

// grace is how long a run that is asked to stop may finish what is under way.
const grace = 20 * time.Second

// AwayError says why mail waits that was to be tried: a smarthost cannot be
// reached, or there is none. The mail is kept, and its state has been noted.
type AwayError struct{ Err error }

func (e *AwayError) Error() string { return e.Err.Error() }

// Unwrap gives the errors of the smarthosts.
func (e *AwayError) Unwrap() error { return e.Err }

// Run tries the messages of the queue once, for each smarthost over several
// connections side by side. It ends early when ctx does, after what is under way.
// What is for a smarthost that cannot be reached waits: one probe, and no message
// is offered there.
//
// There is one run at a time. If another is under way, this one waits for it. If
// it is for all that is due, and such a run waits already, Run returns at once,
// since that one will see all that is in the queue now.
//
// What waits in the fallback comes along, or is tried from there if the spool is
// away.
//
// An error other than *AwayError is of the spool.
func (q *Queue) Run(ctx context.Context, o RunOptions) (Progress, error) {
	if q.Fallback != nil {
		if _, err := q.fetch(ctx, math.MaxInt); err != nil {
			p, other := q.standIn(ctx, o)
			return p, errors.Join(err, other)
		}
	}
	done, err := q.Spool.Turn(ctx, o.DueOnly && o.Match == nil)
	if err != nil || done == nil {
		return Progress{}, err
	}
	defer q.Spool.KeepOpen()()
	defer q.Spool.Keep(func(err error) { q.Relay.Log.Warning("the lease could not be renewed: " + err.Error()) })()
	r := &run{q: q, o: o, seen: make(map[string]bool)}
	for i, h := range slices.Concat(q.config().Smarthosts, []*config.Smarthost{nil}) {
		r.lanes = append(r.lanes, &lane{r: r, host: h, place: i})
	}
	r.lanes[len(r.lanes)-1].down = &config.Error{File: q.config().Path, Msg: "no smarthost takes some of the mail", Hint: addSmarthost}
	err = r.all(ctx)
	return r.progress, errors.Join(err, done())
}

// run is one pass over the queue.
type run struct {
	q    *Queue
	o    RunOptions
	hard context.Context // what is under way has to end with it

	mu       sync.Mutex
	lanes    []*lane         // one for each smarthost, and one for what none takes
	seen     map[string]bool // ids that this run has tried
	progress Progress
	lost     error     // the spool went away
	patience time.Time // until when to wait for it, see rescue
}

func (r *run) all(ctx context.Context) error {
	if _, err := r.q.Spool.Recover(); err != nil {
		r.q.Relay.Log.Warning("spool: " + err.Error())
	}
	defer func() { // if it is told to stop
		for _, l := range r.lanes {
			l.giveBack()
		}
	}()
	for pass := 0; !stopping(ctx); pass++ {
		if err := r.collect(pass == 0); err != nil {
			return err
		}
		if r.left() == 0 {
			break
		}
		// A message for several smarthosts goes from lane to lane, perhaps to one
		// that was done already.
		for r.left() > 0 && !stopping(ctx) {
			r.drain(ctx)
		}
		if r.lost != nil {
			return r.lost
		}
		if r.away() {
			break
		}
	}
	return r.err()
}

// drain works off all lanes side by side.
func (r *run) drain(ctx context.Context) {
	// Stopping is asked of next; what is under way gets some time to finish.
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r.hard = hard
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	var wg sync.WaitGroup
	for _, l := range r.lanes {
		if !l.empty() {
			wg.Go(func() { l.drain(ctx, hard) })
		}
	}
	wg.Wait()
}

// abandon ends the run, since the spool went away: what has not been claimed can
// not be.
func (r *run) abandon(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = err
	for _, l := range r.lanes {
		l.todo = nil
	}
}

// left is how many messages are still to be tried.
func (r *run) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, l := range r.lanes {
		n += len(l.todo) + len(l.ready)
	}
	return n
}

// away reports that no smarthost can be reached.
func (r *run) away() bool {
	for _, l := range r.lanes {
		if l.isDown() == nil {
			return false
		}
	}
	return true
}

// err is why mail waits.
func (r *run) err() error {
	var errs []error
	for _, l := range r.lanes {
		if err := l.isDown(); err != nil && (l.host != nil || l.stuck) {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &AwayError{errors.Join(errs...)}
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
	for _, l := range r.lanes {
		l.todo = nil
	}
	if r.o.Match != nil && !first {
		return nil // what was chosen is done
	}
	entries = slices.DeleteFunc(entries, func(e spool.Entry) bool {
		return r.seen[e.ID] || (r.o.DueOnly || !first) && !r.q.Spool.Due(e)
	})
	if r.o.Match == nil && r.single() {
		r.lanes[0].todo = entries
		return nil
	}
	r.q.Spool.Each(entries, r.choose)
	return nil
}

// choose puts a message on the lane that it goes by first, if it is to be tried.
func (r *run) choose(e spool.Entry, state *spool.State, err error) {
	if r.o.Match != nil && (err != nil || !r.o.Match(e.ID, state)) {
		return
	}
	l := r.lanes[0] // also for what cannot be read, which claiming finds out
	if err == nil {
		if next := r.after(-1, state); next != nil {
			l = next
		}
	}
	l.todo = append(l.todo, e)
}

// single reports that no file has to be opened to know where a message goes.
func (r *run) single() bool {
	h := r.q.config().Smarthosts[0]
	return len(h.Senders)+len(h.Recipients) == 0
}

// after is the first lane behind a place that has a recipient of a message, nil
// if there is none.
func (r *run) after(place int, s *spool.State) *lane {
	for _, l := range r.lanes[place+1:] {
		if len(l.mine(s)) > 0 {
			return l
		}
	}
	return nil
}

// pass gives a message back and on to another lane. Its time is now: if this run
// ends before that lane comes to it, the next run is to try it soon.
func (r *run) pass(c *spool.Claim, to *lane) error {
	if err := c.Release(r.q.now()); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	to.todo = append(to.todo, c.Entry())
	return nil
}
