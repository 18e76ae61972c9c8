package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"postern/internal/spool"
)

// awayTime is how long a run waits in all for a spool that went away while it had
// something to write down.
const awayTime = time.Minute

// rescue decides about a message of which it could not be written down what
// became of it. It tries once more, and while the spool's host is away again and
// again. If that fails too, a message that the server took for somebody is put on
// hold, since it must not go to them again by itself (I5); any other is tried
// again as if nothing had happened. The error is that it could not be put on hold
// either.
func (r *run) rescue(c *spool.Claim, sent bool, err error) error {
	s, log := c.State, r.q.Relay.Log
	log.Warning(fmt.Sprintf("%s: %v", s.ID, err))
	err = c.Save(true)
	for pause := 50 * time.Millisecond; sent && errors.Is(err, spool.ErrAway) && r.awaitSpool(pause); pause = min(2*pause, 5*time.Second) {
		err = c.Save(true)
	}
	if sent && errors.Is(err, fs.ErrNotExist) { // what seemed to fail was done
		return nil
	}
	if err == nil || !sent {
		if err = c.Release(r.q.Again(s.Created)); err != nil {
			log.Warning(fmt.Sprintf("%s: %v", s.ID, err))
		}
		return nil
	}
	log.Warning(fmt.Sprintf("%s: %d recipients have it, which cannot be written down (%v); it is put on hold", s.ID, s.Done, err))
	if err = c.Hold(); err != nil {
		log.Warning(fmt.Sprintf("%s: %v; they will get it again if nobody holds it until its claim lapses", s.ID, err))
	}
	return err
}

// awaitSpool waits for a spool that is away; it is false when there is no more
// time for that.
func (r *run) awaitSpool(pause time.Duration) bool {
	r.mu.Lock()
	if r.patience.IsZero() {
		r.patience = r.q.now().Add(awayTime)
	}
	over := !r.q.now().Before(r.patience)
	r.mu.Unlock()
	if over {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.hard.Done():
		return false
	}
}

// sent reports whether the server took the message for anybody.
func sent(outcomes []Outcome) bool {
	for _, o := range outcomes {
		if o.Status == Sent {
			return true
		}
	}
	return false
}
