package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"time"
)

// dirLive holds a file for each owner that has claimed something, <id>.<owner>.
// The owner makes it anew now and then, so its time of writing, which the host of
// the spool has stamped, tells how long the owner has been silent. How late it is
// now is read from a file that was made just now, so that no clock but that
// host's counts, and that one only for how much time has passed.
const dirLive = "live"

// ErrLost means that a claim was taken over: its lease ran out.
var ErrLost = errors.New("spool: the lease ran out, and somebody else has taken the message over")

// pulse is how we show that we live.
type pulse struct {
	beats sync.Mutex // one at a time; held while the host of the spool is waited for

	mu    sync.Mutex
	shown bool
	name  string    // of our newest file; "" before the first
	at    time.Time // by our clock, before it was made
	// lapses is how often we were late: claims from before may be others' by now.
	lapses int
}

// elapsed is the time since t, by whichever of the clocks says more: one stands
// still while the host sleeps, the other may be set.
func (s *Spool) elapsed(t time.Time) time.Duration {
	now := s.o.Now()
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// fresh reports whether nobody can take our claims for abandoned.
func (s *Spool) fresh() bool {
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	return s.pulse.shown && s.elapsed(s.pulse.at) < s.o.Lease/2
}

func (s *Spool) lapses() int {
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	return s.pulse.lapses
}

// show makes sure that nobody can take our claims for abandoned.
func (s *Spool) show() error {
	if s.fresh() {
		return nil
	}
	s.pulse.beats.Lock()
	defer s.pulse.beats.Unlock()
	if s.fresh() { // another claim has done it meanwhile
		return nil
	}
	return s.appear()
}

// beat makes our file anew.
func (s *Spool) beat() error {
	s.pulse.beats.Lock()
	defer s.pulse.beats.Unlock()
	return s.appear()
}

// appear is beat for who has the lock.
func (s *Spool) appear() error {
	began := s.o.Now()
	name := dirLive + "/" + s.o.NewID() + "." + string(s.o.Owner)
	f, err := s.fs.Create(name)
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		// A full disk is emptied by sending what is on it. Who shares this host sees
		// without the file that we live, and keeps out while we run the queue.
		name = ""
	case err != nil:
		return fmt.Errorf("spool: %w", err)
	default:
		// That it is there is all, and it holds nothing.
		_ = f.Close()
	}
	if old := s.appeared(name, began); old != "" {
		// If it stays, the newer one counts, and a later sweep has it.
		_ = s.fs.Remove(old)
	}
	return nil
}

// appeared notes our new file, "" for none, and returns the one that it replaces.
func (s *Spool) appeared(name string, began time.Time) (old string) {
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	if s.pulse.shown && s.elapsed(s.pulse.at) >= s.o.Lease/2 {
		s.pulse.lapses++
	}
	s.pulse.shown, s.pulse.at = true, began
	if name != "" {
		old, s.pulse.name = s.pulse.name, name
	}
	return old
}

// leave takes our file away, when we claim nothing more.
func (s *Spool) leave() error {
	s.pulse.beats.Lock()
	defer s.pulse.beats.Unlock()
	s.pulse.mu.Lock()
	name := s.pulse.name
	s.pulse.name, s.pulse.shown = "", false
	s.pulse.mu.Unlock()
	if name == "" {
		return nil
	}
	if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // after a long rest it has been swept
		return err
	}
	return nil
}

// Keep renews the leases of all claims until stop is called. report hears of
// attempts that failed; the lease outlasts a few.
func (s *Spool) Keep(report func(error)) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(s.o.Lease / 5)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
			}
			s.pulse.mu.Lock()
			working := s.pulse.shown
			s.pulse.mu.Unlock()
			if !working {
				continue
			}
			if err := s.beat(); err != nil {
				report(err)
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// held makes sure that a claim is still ours, before anything is done that cannot
// be taken back. If the lease may have run out it is claimed once more, under
// another name: who found the old one abandoned finds it gone.
func (c *Claim) held() error {
	if c.ref.owner != c.s.o.Owner { // it is only looked at
		return nil
	}
	if c.s.fresh() && c.lapses == c.s.lapses() {
		return nil
	}
	if err := c.s.show(); err != nil {
		return err
	}
	lapses := c.s.lapses()
	to := c.ref
	to.due++
	if err := c.s.fs.Rename(c.ref.name(), to.name()); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrGone) {
			return ErrLost
		}
		return fmt.Errorf("spool: %w", err)
	}
	c.ref, c.lapses = to, lapses
	return nil
}

// census is who has shown to live, and when, by the clock of the spool's host.
type census struct {
	now  time.Time
	seen map[Owner]time.Time
}

// census looks who lives. What is claimed must have been listed before, since an
// owner shows itself before it claims, and leaves after its last claim has ended.
func (s *Spool) census() (*census, error) {
	if err := s.beat(); err != nil {
		return nil, err
	}
	c := &census{seen: make(map[Owner]time.Time)}
	err := s.eachOwned(dirLive, func(_ string, owner Owner, written func() (time.Time, error)) error {
		at, err := written()
		if at.After(c.seen[owner]) {
			c.seen[owner] = at
		}
		return err
	})
	c.now = c.seen[s.o.Owner]
	if err == nil && c.now.IsZero() {
		err = errors.New("spool: our own file in live/ is not there")
	}
	return c, err
}

// expired reports whether an owner has been silent for longer than its lease. A
// time far ahead is the mark of a clock that was wrong.
func (c *census) expired(owner Owner, lease time.Duration) bool {
	at, ok := c.seen[owner]
	return !ok || c.now.Sub(at) > lease || at.Sub(c.now) > lease
}

// tell is told of a file in a directory of files that are named <id>.<owner>.
// written is when it was written; of a file that is gone it is the zero time.
type tell func(name string, owner Owner, written func() (time.Time, error)) error

func (s *Spool) eachOwned(dir string, tell tell) error {
	entries, err := s.fs.List(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		owner, ok := draftOwner(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		errs = append(errs, tell(dir+"/"+e.Name(), owner, func() (time.Time, error) {
			info, err := e.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return time.Time{}, nil
			case err != nil:
				return time.Time{}, err
			}
			return info.ModTime(), nil
		}))
	}
	return errors.Join(errs...)
}

// draftAge is when a draft whose owner is not known has been left for good: no
// caller waits that long.
const draftAge = 24 * time.Hour

// sweep removes what dead owners left in tmp/, which was never published, and in
// live/.
func (s *Spool) sweep(census func() (*census, error)) error {
	return errors.Join(s.eachOwned(dirTmp, s.remove(draftAge, census)), s.eachOwned(dirLive, s.remove(2*s.o.Lease, census)))
}

// remove removes files whose owner is dead or, if that is not known, that were
// written longer ago than age.
func (s *Spool) remove(age time.Duration, census func() (*census, error)) tell {
	return func(name string, owner Owner, written func() (time.Time, error)) error {
		if owner == s.o.Owner {
			return nil
		}
		alive, known := s.o.Alive(owner)
		if !known {
			c, err := census()
			if err != nil {
				return err
			}
			at, err := written()
			if err != nil || at.IsZero() {
				return err
			}
			alive = c.now.Sub(at) <= age
		}
		if alive {
			return nil
		}
		if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
}
