package smtpd

import (
	"context"
	"sync"
	"time"
)

// places bounds how many connections are served at a time. Who comes later waits,
// and while he waits for one of his own places he holds none of those that others
// could have: one user cannot keep the rest out. How many wait is bounded, too; of
// these one user may be half.
type places struct {
	patience time.Duration // how long to wait; 0 for ever
	perUser  int           // 0 for no limit
	all      chan struct{} // one for each that is served; nil for no limit
	room     chan struct{} // ... and for each that waits

	mu    sync.Mutex
	users map[int]*user
}

// user is who has connections.
type user struct {
	served chan struct{}
	open   int // connections, those that wait as well
}

// waiting is how many connections may be open for each that may be served.
const waiting = 5

func newPlaces(o *Options) *places {
	p := &places{patience: o.Timeout, perUser: o.MaxPerUser, users: make(map[int]*user)}
	if o.MaxConnections > 0 {
		p.all = make(chan struct{}, o.MaxConnections)
		p.room = make(chan struct{}, waiting*o.MaxConnections)
	}
	return p
}

const (
	tooManyOfUser = "421 4.7.0 Too many connections of one user, try again"
	tooMany       = "421 4.3.2 Too many connections, try again"
)

// enter waits for a place to serve a connection of a user, and leave gives it
// back; or refusal is the reply to him.
func (p *places) enter(ctx context.Context, uid int) (leave func(), refusal string) {
	u := p.come(uid)
	if u == nil {
		return nil, tooManyOfUser
	}
	if p.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.patience)
		defer cancel()
	}
	if !take(ctx, u.served) {
		p.gone(uid, u)
		return nil, tooManyOfUser
	}
	if !take(ctx, p.all) {
		give(u.served)
		p.gone(uid, u)
		return nil, tooMany
	}
	return func() { give(p.all); give(u.served); p.gone(uid, u) }, ""
}

// come counts a connection; it is nil if the user has too many.
func (p *places) come(uid int) *user {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.users[uid]
	if u == nil {
		u = &user{}
		if p.perUser > 0 {
			u.served = make(chan struct{}, p.perUser)
		}
		p.users[uid] = u
	}
	if p.room != nil && u.open >= max(cap(p.room)/2, p.perUser) {
		return nil
	}
	u.open++
	return u
}

func (p *places) gone(uid int, u *user) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.open--; u.open == 0 {
		delete(p.users, uid)
	}
}

// take waits for one of a number of places; nil has room for everybody.
func take(ctx context.Context, of chan struct{}) bool {
	if of == nil {
		return true
	}
	select {
	case of <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func give(to chan struct{}) {
	if to != nil {
		<-to
	}
}
