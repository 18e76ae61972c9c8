package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/internal/spool"
)

// aside is how far ahead the parts of a message are due until all of them are
// kept. Should we die meanwhile, they go out then.
const aside = time.Minute

// keep puts a message into the spool, once for each of its envelopes, all of them
// or none: the caller hears one answer, and would come again with all. Until the
// last one is kept the others are not due, so that none is on its way when it has
// to be taken back.
func (w *outlet) keep(ctx context.Context, s *submission) error {
	parts := s.envelopes()
	var ids []string
	for i, env := range parts {
		one := *s
		one.env = env
		if i > 0 {
			one.id = random(60)
		}
		due := w.a.now()
		if i < len(parts)-1 {
			due = due.Add(aside)
		}
		id, err := w.put(ctx, &one, due)
		if err != nil {
			for _, id := range ids {
				err = errors.Join(err, w.claimed(id, (*spool.Claim).Finish))
			}
			return err
		}
		w.accepted(&one)
		ids = append(ids, id)
	}
	for _, id := range ids[:len(ids)-1] {
		err := w.claimed(id, func(c *spool.Claim) error { return c.Release(w.a.now()) })
		if err != nil { // it goes a little later
			w.a.log.Warning(fmt.Sprintf("%s: %v", id, err))
		}
	}
	return nil
}

// keepIn puts a message into the spool.
func (w *outlet) keepIn(ctx context.Context, s *submission, due time.Time) (id string, err error) {
	return w.queue.Put(ctx, s.id, s.env, s.msg, nil, s.uid, due)
}

// claimed does something with a message that was kept, wherever that is.
func (w *outlet) claimed(id string, act func(*spool.Claim) error) error {
	err := errors.New("no spool has " + id)
	for _, s := range w.queue.Spools() {
		var e spool.Entry
		if e, err = s.Find(id); err != nil {
			continue
		}
		c, err := s.Claim(e)
		if err != nil {
			return err
		}
		return act(c)
	}
	return err
}
