package spool

import (
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"time"
)

// Claim is a message that is ours to work on. It ends in one of Finish, Release,
// Fail, Hold; until then nobody else touches it. When one of these fails, another
// may be tried; it does nothing if the claim has ended in truth, and only making
// that durable failed.
type Claim struct {
	State *State
	s     *Spool
	ref   ref
	torn  bool
	ended bool
	group *Group // nil: alone
	// lapses is how often its owner had been late when it was sure of the claim.
	lapses int
}

// ErrTaken means that somebody else has the message.
var ErrTaken = errors.New("spool: somebody else has the message")

// Claim takes a message from any place (I4). A damaged file, or one of a later
// version, is moved to failed/ and reported.
func (s *Spool) Claim(e Entry) (*Claim, error) {
	c, err := s.take(e)
	if err != nil {
		return nil, err
	}
	state, torn, err := c.read()
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrVersion) {
		return nil, errors.Join(fmt.Errorf("%s: %w; it is in failed/", e.ID, err), c.move(dirFailed, e.ref.due))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spool: %w", err), c.move(e.Place, e.ref.due))
	}
	c.State, c.torn = state, torn
	return c, nil
}

// Discard removes a message unread, also one that cannot be claimed because its
// file is damaged. Only a person can want that.
func (s *Spool) Discard(e Entry) error {
	c, err := s.take(e)
	if err != nil {
		return err
	}
	return c.Finish()
}

// take is the rename of a claim.
func (s *Spool) take(e Entry) (*Claim, error) {
	if err := s.show(); err != nil { // before, so that nobody finds the claim and not its owner
		return nil, err
	}
	lapses := s.lapses()
	to := e.ref
	to.dir, to.owner = dirActive, s.o.Owner
	if err := s.fs.Rename(e.ref.name(), to.name()); err != nil {
		if errors.Is(err, ErrInDoubt) {
			s.stray(to, e.ref)
			return nil, fmt.Errorf("spool: %w", err)
		}
		if s.gone(e.ref, err) {
			return nil, ErrTaken
		}
		return nil, fmt.Errorf("spool: %w", err)
	}
	return &Claim{s: s, ref: to, lapses: lapses}, nil
}

func (c *Claim) read() (state *State, torn bool, err error) {
	f, err := c.s.fs.Open(c.ref.name())
	if err != nil {
		return nil, false, err
	}
	state, torn, err = readState(f, c.ref.id, nil)
	return state, torn, errors.Join(err, f.Close())
}

// Size is the octets of the message.
func (c *Claim) Size() int64 { return c.State.Size }

// Open reads the message. A message that is not what was written ends with
// ErrDamaged in place of io.EOF, so that it is never taken for whole. One that was
// taken over ends with ErrLost before its last octet, so that a server never has
// it whole from two.
func (c *Claim) Open() (io.ReadCloser, error) {
	if err := c.held(); err != nil {
		return nil, err
	}
	f, err := c.s.fs.Open(c.ref.name())
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && c.ref.owner == c.s.o.Owner {
			return nil, ErrLost
		}
		return nil, err
	}
	return &checked{held: c.held, r: io.NewSectionReader(f, 0, c.State.Size), c: f, left: c.State.Size,
		sum: crc32.New(castagnoli()), want: c.State.Sum}, nil
}

// checked reads a message and compares its checksum before the last octet is
// given out.
type checked struct {
	held func() error
	r    io.Reader
	c    io.Closer
	left int64
	sum  hash.Hash32
	want uint32
}

func (c *checked) Read(p []byte) (int, error) {
	if c.left == 0 {
		if c.sum.Sum32() != c.want {
			return 0, ErrDamaged
		}
		return 0, io.EOF
	}
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	c.left -= int64(n)
	if c.left == 0 && n > 0 {
		if err := c.held(); err != nil {
			return 0, err
		}
	}
	switch {
	case c.left == 0 && c.sum.Sum32() != c.want:
		return 0, ErrDamaged
	case err == io.EOF && c.left > 0:
		return n, ErrDamaged
	case err == io.EOF:
		err = nil
	}
	return n, err
}

func (c *checked) Close() error { return c.c.Close() }

// Save appends the state (I7). It is durable if sync is set; without, it is for
// people to see, and a crash may take it back.
func (c *Claim) Save(sync bool) error {
	if c.ended {
		return nil
	}
	line, err := c.State.line()
	if err != nil {
		return err
	}
	if c.torn {
		line = append([]byte("\n"), line...)
	}
	f, err := c.s.fs.Append(c.ref.name())
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	c.torn = true // until this line is whole
	if _, err := f.Write(line); err != nil {
		return errors.Join(fmt.Errorf("spool: %w", err), f.Close())
	}
	if sync {
		if err := f.Sync(); err != nil {
			return errors.Join(fmt.Errorf("spool: %w", err), f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	c.torn = false
	return nil
}

// Finish removes a message that is done with for every recipient. That is durable
// when it returns, or when the claim's Group is synced.
func (c *Claim) Finish() error {
	if c.ended {
		return nil
	}
	remove := c.s.fs.Remove
	if c.group != nil {
		remove = c.group.remove
	}
	if err := remove(c.ref.name()); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	c.ended = true
	if c.group != nil {
		return nil
	}
	return c.s.syncDir(dirActive)
}

// Release gives the message back, to be tried at due.
func (c *Claim) Release(due time.Time) error { return c.move(dirQueue, due.Unix()) }

// Entry is the message as its file's name tells it now, to claim it again.
func (c *Claim) Entry() Entry {
	return Entry{Place: c.ref.dir, ID: c.ref.id, Due: time.Unix(c.ref.due, 0), ref: c.ref}
}

// Fail parks a message that has nowhere to go.
func (c *Claim) Fail() error { return c.park(dirFailed) }

// Hold parks a message until a person releases it.
func (c *Claim) Hold() error { return c.park(dirHold) }

func (c *Claim) park(dir string) error {
	if err := c.move(dir, c.ref.due); err != nil {
		return err
	}
	return c.s.syncDir(dir)
}

func (c *Claim) move(dir string, due int64) error {
	if c.ended {
		return nil
	}
	to := ref{dir: dir, due: due, id: c.ref.id}
	if err := c.s.fs.Rename(c.ref.name(), to.name()); err != nil && !errors.Is(err, ErrGone) { // only we knew the old name
		c.s.stray(c.ref, to)
		return fmt.Errorf("spool: %w", err)
	}
	c.s.stray(c.ref, ref{})
	c.ref, c.ended = to, true
	return nil
}
