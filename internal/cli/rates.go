package cli

import (
	"sync"
	"time"

	"postern/internal/config"
)

// rates bounds how many messages each user submits in a time.
type rates struct {
	now func() time.Time

	mu    sync.Mutex
	users map[int]*allowance
}

// allowance is what a user may still send, filled up as time goes by.
type allowance struct {
	left float64
	at   time.Time
}

// allow counts a message. The rate is that of the configuration in force.
func (r *rates) allow(uid int, rate config.Rate) bool {
	if rate.Count == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now, full := r.now(), float64(rate.Count)
	u := r.users[uid]
	if u == nil {
		r.forget(now, rate)
		u = &allowance{left: full, at: now}
		r.users[uid] = u
	}
	passed := max(0, now.Sub(u.at)) // a clock that was set back gives nothing
	u.left = min(full, u.left+full*float64(passed)/float64(rate.Per))
	if u.at = now; u.left < 1 {
		return false
	}
	u.left--
	return true
}

// forget drops users who may send all they ever may.
func (r *rates) forget(now time.Time, rate config.Rate) {
	for uid, u := range r.users {
		if now.Sub(u.at) >= rate.Per {
			delete(r.users, uid)
		}
	}
}
