package spool

import (
	"context"
	"errors"
)

const (
	lockRun  = "run.lock"  // who runs the queue
	lockNext = "next.lock" // who runs it next
)

// Turn waits for the right to run the queue, of which there is one.
//
// With share it is for a run of all that is due. Then the result is nil if nobody
// needs to run: another such run waits already, and will see all that was
// published before this call, because it holds the one place in the line until
// it has the right, and looks only then. A run that tries something else must
// neither be left out for another, nor stand in the line as if it did all.
func (s *Spool) Turn(ctx context.Context, share bool) (done func() error, err error) {
	if unlock, ok, err := s.fs.Lock(lockRun, false); err != nil || ok {
		return unlock, err
	}
	leave := func() error { return nil }
	if share {
		var ok bool
		if leave, ok, err = s.fs.Lock(lockNext, false); err != nil || !ok {
			return nil, err
		}
	}
	type result struct {
		unlock func() error
		err    error
	}
	got := make(chan result, 1)
	go func() {
		unlock, _, err := s.fs.Lock(lockRun, true)
		got <- result{unlock, err}
	}()
	select {
	case r := <-got:
		return r.unlock, errors.Join(r.err, leave())
	case <-ctx.Done():
		go func() { // give it back if it still comes
			if r := <-got; r.unlock != nil {
				// The process is about to end, and the lock with it.
				_ = r.unlock()
			}
		}()
		return nil, errors.Join(ctx.Err(), leave())
	}
}
