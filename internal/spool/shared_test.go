package spool

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func newShared() *shared {
	s := &shared{}
	s.turn.L = &s.mu
	return s
}

// Who asks while a sync runs is not served by that one, and shares the next with
// all who ask meanwhile.
func TestSharedByThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, syncs := newShared(), atomic.Int32{}
		sync1 := func() error { time.Sleep(time.Second); syncs.Add(1); return nil }
		began := time.Now()
		var all sync.WaitGroup
		all.Go(func() { s.do(sync1) })
		time.Sleep(time.Second / 2)
		for range 10 {
			all.Go(func() {
				s.do(sync1)
				if d := time.Since(began); d != 2*time.Second {
					t.Errorf("served after %s", d)
				}
			})
		}
		all.Wait()
		if n := syncs.Load(); n != 2 {
			t.Errorf("%d syncs", n)
		}
	})
}

// Each change is made durable by a sync that began after it, however many do so at
// the same time.
func TestSharedServesEach(t *testing.T) {
	s := newShared()
	var changes, durable atomic.Int64
	do := func() error {
		n := changes.Load()
		time.Sleep(10 * time.Microsecond)
		durable.Store(n) // one at a time, so it never goes back
		return nil
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				n := changes.Add(1)
				if s.do(do) != nil || durable.Load() < n {
					t.Errorf("change %d is not durable", n)
				}
			}
		})
	}
	all.Wait()
	if s.began >= 1600 {
		t.Errorf("%d syncs: none was shared", s.began)
	}
}

// Those who share a sync are waited for, so that they can share the next one as well,
// however their work between the two differs; and for those who have gone, only once.
func TestSharedInCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rounds = 100
		s, slow := newShared(), func() error { time.Sleep(250 * time.Microsecond); return nil }
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for range rounds {
					time.Sleep(time.Duration(300+100*i) * time.Microsecond)
					s.do(slow)
				}
			})
		}
		all.Wait()
		if s.began > 2*rounds+10 { // by twos, one pair at work while the other waits
			t.Errorf("%d syncs in %d rounds", s.began, rounds)
		}
		s.crowd = 4
		for _, want := range []time.Duration{company + 250*time.Microsecond, 250 * time.Microsecond} {
			began := time.Now()
			s.do(slow)
			if took := time.Since(began); took != want {
				t.Errorf("alone: %s, want %s", took, want)
			}
		}
	})
}

// A failure is told to all whom that sync was to serve, and to nobody else.
func TestSharedFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, broken := newShared(), errors.New("broken")
		slow := func(err error) func() error { return func() error { time.Sleep(time.Second); return err } }
		var all sync.WaitGroup
		ask := func(own, want error) {
			all.Go(func() {
				if err := s.do(slow(own)); err != want {
					t.Errorf("got %v, want %v", err, want)
				}
			})
			synctest.Wait()
		}
		ask(nil, nil) // runs
		for range 3 { // they share one that fails
			ask(broken, broken)
		}
		time.Sleep(1500 * time.Millisecond) // that one runs
		ask(nil, nil)
		all.Wait()
		ask(nil, nil)
		all.Wait()
	})
}
