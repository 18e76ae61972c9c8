package relay

import (
	"fmt"

	"postern/internal/spool"
)

// rescue decides about a message of which it could not be written down what
// became of it. It tries once more. If that fails too, a message that the server
// took for somebody is put on hold, since it must not go to them again by itself
// (I5); any other is tried again as if nothing had happened.
func (q *Queue) rescue(c *spool.Claim, sent bool, err error) {
	s := c.State
	q.Relay.Log.Warning(fmt.Sprintf("%s: %v", s.ID, err))
	if err = c.Save(true); err == nil || !sent {
		if err = c.Release(q.Again(s.Created)); err != nil {
			q.Relay.Log.Warning(fmt.Sprintf("%s: %v", s.ID, err))
		}
		return
	}
	q.Relay.Log.Warning(fmt.Sprintf("%s: %d recipients have it, which cannot be written down (%v); it is put on hold", s.ID, s.Done, err))
	if err = c.Hold(); err != nil {
		q.Relay.Log.Warning(fmt.Sprintf("%s: %v", s.ID, err))
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
