package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/internal/spool"
)

// keep writes a message into the spool, and into the one that stands in for it
// while it is away. open gives the text anew for each.
func (q *Queue) keep(ctx context.Context, id string, state *spool.State, open func() (io.ReadCloser, error), due time.Time) (kept string, err error) {
	kept, err = keepIn(q.Spool, id, state, open, due)
	if q.Fallback == nil {
		return kept, err
	}
	if err == nil {
		q.fetchSome(ctx)
		return kept, nil
	}
	q.Relay.Log.Warning(fmt.Sprintf("%s: kept in fallback_dir, since the spool does not take it: %v", id, err))
	if errors.Is(err, spool.ErrInDoubt) {
		for i := range state.Recipients {
			state.Recipients[i].Maybe = true // it may lie in both, and arrive twice
		}
	}
	kept, other := keepIn(q.Fallback, id, state, open, due)
	if other != nil {
		return "", errors.Join(err, other)
	}
	return kept, nil
}

// keepIn writes a message into a spool.
func keepIn(s *spool.Spool, id string, state *spool.State, open func() (io.ReadCloser, error), due time.Time) (kept string, err error) {
	text, err := open()
	if err != nil {
		return "", err
	}
	d, err := s.CreateAs(id)
	if err != nil {
		return "", errors.Join(err, text.Close())
	}
	defer d.Abandon()
	_, err = io.Copy(d, text)
	if err = errors.Join(err, text.Close()); err != nil { // all that can fail is before it is kept
		return "", err
	}
	return d.ID(), d.Commit(state, due)
}

// fetchSome takes a few messages along from the fallback, for the caller waits.
func (q *Queue) fetchSome(ctx context.Context) {
	const some, atMost = 10, 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	if _, err := q.fetch(ctx, some); err != nil {
		q.Relay.Log.Warning("fallback_dir: " + err.Error())
	}
}

// fetch moves messages that wait in the fallback to the spool, at most so many,
// and returns how many came. A message is removed here once it is durable there;
// a crash between leaves it in both under the same name, and the next fetch puts
// it on top of itself, unless a run was quicker.
func (q *Queue) fetch(ctx context.Context, most int) (n int, err error) {
	if _, err := q.Fallback.Recover(); err != nil {
		return 0, err
	}
	entries, _, err := q.Fallback.List("queue")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if n == most || ctx.Err() != nil {
			break
		}
		c, err := q.Fallback.Claim(e)
		if err != nil { // it concerns this one only
			if !errors.Is(err, spool.ErrTaken) {
				q.Relay.Log.Warning("fallback_dir: " + err.Error())
			}
			continue
		}
		if err := q.move(c); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// move takes one message to the spool. One that is not what was written is parked
// here.
func (q *Queue) move(c *spool.Claim) error {
	state, e := *c.State, c.Entry()
	_, err := keepIn(q.Spool, e.ID, &state, c.Open, e.Due)
	switch {
	case errors.Is(err, spool.ErrDamaged):
		q.Relay.Log.Warning(fmt.Sprintf("fallback_dir: %s: %v; it is kept in failed/", e.ID, err))
		return c.Fail()
	case err != nil:
		return errors.Join(err, c.Release(e.Due))
	}
	return c.Finish()
}

// standIn runs the fallback as a queue of its own, while the spool is away.
func (q *Queue) standIn(ctx context.Context, o RunOptions) (Progress, error) {
	alone := *q
	alone.Spool, alone.Fallback = q.Fallback, nil
	return alone.Run(ctx, o)
}

// Close gives the spools up.
func (q *Queue) Close() error {
	err := q.Spool.Close()
	if q.Fallback != nil {
		err = errors.Join(err, q.Fallback.Close())
	}
	return err
}

// Spools are all that hold messages.
func (q *Queue) Spools() []*spool.Spool {
	if q.Fallback == nil {
		return []*spool.Spool{q.Spool}
	}
	return []*spool.Spool{q.Spool, q.Fallback}
}
