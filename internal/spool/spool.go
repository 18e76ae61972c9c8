package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"
)

const (
	dirTmp    = "tmp"
	dirQueue  = "queue"
	dirActive = "active"
	dirHold   = "hold"
	dirFailed = "failed"
)

// Places are the directories that hold messages, in the order that people see.
func places() []string { return []string{dirActive, dirQueue, dirHold, dirFailed} }

// Spool is a queue of messages. It may be used by several goroutines, and by
// several processes at the same time.
type Spool struct {
	fs FS
	o  Options
}

// Options say who uses a spool and how it tells the time.
type Options struct {
	Owner Owner
	Now   func() time.Time
	NewID func() string // 12 random lower-case letters and digits
	Lease time.Duration // how long a claim lasts at most; default 15 min
	// Horizon is how far ahead a due time can honestly lie; default a day.
	Horizon time.Duration
	// Alive tells whether an owner still runs; known is false if it is on
	// another host.
	Alive func(Owner) (alive, known bool)
}

// Open uses the spool in a file system and makes its directories if need be.
func Open(f FS, o Options) (*Spool, error) {
	if o.Lease == 0 {
		o.Lease = 15 * time.Minute
	}
	if o.Horizon == 0 {
		o.Horizon = 24 * time.Hour
	}
	if o.Alive == nil {
		o.Alive = func(Owner) (bool, bool) { return false, false }
	}
	s := &Spool{fs: f, o: o}
	for _, dir := range append(places(), dirTmp) {
		if err := f.Mkdir(dir); err != nil {
			return nil, fmt.Errorf("spool: %w", err)
		}
	}
	return s, nil
}

// Entry is a message as its file's name tells it.
type Entry struct {
	Place string // queue, active, hold, failed
	ID    string
	Due   time.Time // of the next try
	ref   ref
}

// Stranger is a file that is not ours. It is left alone.
type Stranger struct {
	Name   string
	Reason string
}

// List gives the messages in a place, sorted by due time. No file is opened.
func (s *Spool) List(place string) ([]Entry, []Stranger, error) {
	entries, err := s.fs.List(place)
	if err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	var found []Entry
	var strangers []Stranger
	for _, e := range entries {
		r, ok := parseName(place, e.Name())
		switch {
		case !ok:
			strangers = append(strangers, Stranger{place + "/" + e.Name(), "not a name of ours"})
		case !e.Type().IsRegular():
			strangers = append(strangers, Stranger{place + "/" + e.Name(), "not a regular file"})
		default:
			found = append(found, Entry{Place: place, ID: r.id, Due: time.Unix(r.due, 0), ref: r})
		}
	}
	slices.SortFunc(found, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.ref.due, b.ref.due), cmp.Compare(a.ID, b.ID))
	})
	return found, strangers, nil
}

// All gives the messages of all places.
func (s *Spool) All() (all []Entry, strangers []Stranger, err error) {
	for _, place := range places() {
		found, strange, err := s.List(place)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, found...)
		strangers = append(strangers, strange...)
	}
	return all, strangers, nil
}

// Due reports whether an entry's time has come. A time beyond the horizon was
// written under a wrong clock.
func (s *Spool) Due(e Entry) bool {
	now := s.o.Now()
	return !e.Due.After(now) || e.Due.After(now.Add(s.o.Horizon))
}

// Read gives the state of an entry. It fails with ErrDamaged, ErrVersion, or the
// file system's error; fs.ErrNotExist means that it has moved on.
func (s *Spool) Read(e Entry) (*State, error) {
	f, err := s.fs.Open(e.ref.name())
	if err != nil {
		return nil, err
	}
	state, _, err := readState(f, e.ID)
	return state, errors.Join(err, f.Close())
}

// Find gives the entry of an id, wherever it is.
func (s *Spool) Find(id string) (Entry, error) {
	all, _, err := s.All()
	if err != nil {
		return Entry{}, err
	}
	for _, e := range all {
		if e.ID == id {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("spool: no message %q: %w", id, fs.ErrNotExist)
}

// Recover gives messages back to the queue whose owner is dead or whose lease
// has ended, and removes what dead owners left in tmp/, which was never
// published. It returns how many messages came back.
func (s *Spool) Recover() (int, error) {
	active, _, err := s.List(dirActive)
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	for _, e := range active {
		if !s.abandoned(e.ref.owner, e.ref.lease) {
			continue
		}
		to := e.ref
		to.dir = dirQueue
		if err := s.fs.Rename(e.ref.name(), to.name()); err == nil {
			n++
		} else if !errors.Is(err, fs.ErrNotExist) { // somebody else was quicker
			errs = append(errs, err)
		}
	}
	return n, errors.Join(append(errs, s.sweep())...)
}

// abandoned reports whether the owner of a claim will not come back.
func (s *Spool) abandoned(owner Owner, lease int64) bool {
	if owner == s.o.Owner {
		return false
	}
	if alive, known := s.o.Alive(owner); known {
		return !alive
	}
	now := s.o.Now()
	return lease <= now.Unix() || lease > now.Add(2*s.o.Lease).Unix()
}

// sweep removes drafts of owners that are known to be dead. A draft of another
// host is left alone.
func (s *Spool) sweep() error {
	entries, err := s.fs.List(dirTmp)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		owner, ok := draftOwner(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		if alive, known := s.o.Alive(owner); known && !alive && owner != s.o.Owner {
			if err := s.fs.Remove(dirTmp + "/" + e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Turn waits for the right to run the queue, of which there is one. The result
// is nil if nobody needs to run: somebody else waits already, and will see all
// that was published before this call, because he holds the place in the line
// until he has the right and looks only then.
func (s *Spool) Turn(ctx context.Context) (done func() error, err error) {
	if unlock, ok, err := s.fs.Lock("run.lock", false); err != nil || ok {
		return unlock, err
	}
	leave, ok, err := s.fs.Lock("next.lock", false)
	if err != nil || !ok {
		return nil, err
	}
	type result struct {
		unlock func() error
		err    error
	}
	got := make(chan result, 1)
	go func() {
		unlock, _, err := s.fs.Lock("run.lock", true)
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

// Message reads the octets of an entry without claiming it.
func (s *Spool) Message(e Entry) (io.ReadCloser, error) {
	state, err := s.Read(e)
	if err != nil {
		return nil, err
	}
	c := &Claim{State: state, s: s, ref: e.ref}
	return c.Open()
}
