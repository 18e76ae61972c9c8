package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
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

	mu     sync.Mutex
	strays map[string]ref // where claims of ours belong that could not be moved, by name
	syncs  map[string]*shared
	pulse  pulse
}

// Options say who uses a spool and how it tells the time.
type Options struct {
	Owner Owner
	Now   func() time.Time
	NewID func() string // 12 random lower-case letters and digits
	Lease time.Duration // how long a claim outlasts its owner's last sign of life; default 5 min
	// Horizon is how far ahead a due time can honestly lie; default a day.
	Horizon time.Duration
	// Alive tells whether an owner still runs; known is false if it is on
	// another host.
	Alive func(Owner) (alive, known bool)
}

// Open uses the spool in a file system and makes its directories if need be.
func Open(f FS, o Options) (*Spool, error) {
	if !validOwner(string(o.Owner)) { // nobody would find again what it claims
		return nil, fmt.Errorf("spool: %q is no owner", o.Owner)
	}
	if o.Lease == 0 {
		o.Lease = 5 * time.Minute
	}
	if o.Horizon == 0 {
		o.Horizon = 24 * time.Hour
	}
	if o.Alive == nil {
		o.Alive = func(Owner) (bool, bool) { return false, false }
	}
	s := &Spool{fs: f, o: o, strays: make(map[string]ref), syncs: make(map[string]*shared)}
	if err := s.furnish(); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return s, nil
}

// furnish makes the directories that are missing. tmp/ comes last, when the
// others are durable: nothing can be published in a spool that a power cut would
// take away as a whole, by somebody else who finds them there and believes it.
func (s *Spool) furnish() error {
	if f, ok := s.fs.(interface{ furnishLater(dirs ...string) }); ok {
		f.furnishLater(append(places(), dirLive, dirTmp)...)
		return nil
	}
	missing, err := s.missing(append(places(), dirLive, dirTmp))
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		return nil
	}
	for _, dir := range missing {
		if dir == dirTmp {
			continue
		}
		if err := s.fs.Mkdir(dir); err != nil {
			return err
		}
	}
	if err := s.fs.SyncDir("."); err != nil {
		return err
	}
	return s.fs.Mkdir(dirTmp)
}

// missing is those of some directories that are not there.
func (s *Spool) missing(dirs []string) ([]string, error) {
	if f, ok := s.fs.(interface{ hasDir(name string) bool }); ok { // for much less than a list costs
		return slices.DeleteFunc(dirs, f.hasDir), nil
	}
	there, err := s.fs.List(".")
	return slices.DeleteFunc(dirs, func(dir string) bool {
		return slices.ContainsFunc(there, func(e fs.DirEntry) bool { return e.Name() == dir && e.IsDir() })
	}), err
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
	found := make([]Entry, 0, len(entries))
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

// Due reports whether an entry's time has come: in the queue that of its next
// try, and among the claimed that of being given back. A time beyond the horizon
// was written under a wrong clock.
func (s *Spool) Due(e Entry) bool {
	if e.Place == dirActive {
		is, err := s.abandoned(e.ref, s.census)
		return is && err == nil
	}
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
	state, _, err := readState(f, e.ID, nil)
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
// has ended, moves those of ours that could not be moved before, and removes what dead owners left in tmp/, which was never
// published, and in live/. It returns how many messages came back.
func (s *Spool) Recover() (int, error) {
	active, _, err := s.List(dirActive)
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	census := sync.OnceValues(s.census)
	for _, e := range active {
		if is, err := s.abandoned(e.ref, census); err != nil || !is {
			errs = append(errs, err)
			continue
		}
		to := s.home(e.ref)
		if err := s.fs.Rename(e.ref.name(), to.name()); err == nil {
			s.stray(e.ref, ref{})
			if to.dir == dirQueue {
				n++
			}
		} else if !s.gone(e.ref, err) { // else somebody was quicker
			errs = append(errs, err)
		}
	}
	return n, errors.Join(append(errs, s.sweep(census))...)
}

// abandoned reports whether the owner of a claim will not come back.
func (s *Spool) abandoned(r ref, census func() (*census, error)) (bool, error) {
	if r.owner == s.o.Owner {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, ok := s.strays[r.name()]
		return ok, nil
	}
	if alive, known := s.o.Alive(r.owner); known {
		return !alive, nil
	}
	c, err := census()
	return err == nil && c.expired(r.owner, s.o.Lease), err
}

// stray notes where a claim of ours is to be put by Recover, since its own attempt
// failed; the zero ref says that this is done.
func (s *Spool) stray(r, to ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if to == (ref{}) {
		delete(s.strays, r.name())
	} else {
		s.strays[r.name()] = to
	}
}

// home is where an abandoned claim belongs. What was to be held must not be sent
// meanwhile (I5).
func (s *Spool) home(r ref) ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	if to, ok := s.strays[r.name()]; ok {
		return to
	}
	r.dir = dirQueue
	return r
}

// gone reports whether a file had moved on when an operation on it failed with
// err. Not every file system says so by itself.
func (s *Spool) gone(r ref, err error) bool {
	f, openErr := s.fs.Open(r.name())
	if openErr == nil {
		// It was opened to see whether that can be done.
		_ = f.Close()
		return false
	}
	return errors.Is(openErr, fs.ErrNotExist) || errors.Is(err, fs.ErrNotExist)
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
