package spool

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Draft is a message being written. It ends in exactly one of Commit and
// Abandon; Abandon after Commit does nothing, so it can be deferred.
type Draft struct {
	s    *Spool
	f    File // nil once closed
	id   string
	name string // "" once it is published or gone
	sum  checksum
	size int64
	open bool // the last line of the message has no end
}

// Create begins a message. Write it in wire form, then Commit.
func (s *Spool) Create() (*Draft, error) { return s.CreateAs("") }

// CreateAs is Create for a message that has an id already, from the same source
// as those of Options.NewID. Should another message have it, a new one is made.
func (s *Spool) CreateAs(id string) (*Draft, error) {
	var err error
	for range 3 { // a clash of ids would be a wonder; file systems differ in how they say it
		if id == "" {
			id = s.o.NewID()
		}
		if !validID(id) { // nobody would find it again
			return nil, fmt.Errorf("spool: %q is no id", id)
		}
		name := dirTmp + "/" + id + "." + string(s.o.Owner)
		var f File
		if f, err = s.fs.Create(name); err == nil {
			return &Draft{s: s, f: f, id: id, name: name}, nil
		}
		id = ""
	}
	return nil, fmt.Errorf("spool: %w", err)
}

// draftOwner takes the name of a draft apart.
func draftOwner(name string) (Owner, bool) {
	id, owner, ok := strings.Cut(name, ".")
	return Owner(owner), ok && validID(id) && validOwner(owner)
}

// ID is the name that the message will have.
func (d *Draft) ID() string { return d.id }

// Write implements io.Writer for the octets of the message.
func (d *Draft) Write(p []byte) (int, error) {
	n, err := d.f.Write(p)
	_, _ = d.sum.Write(p[:n]) // never fails
	d.size += int64(n)
	if n > 0 {
		d.open = p[n-1] != '\n'
	}
	return n, err
}

// Commit publishes the message with its envelope, to be tried at due (I2). Once
// it returns nil the message is on stable storage. After an error nothing is
// left of it, unless the file system fails when it is taken back as well, or
// somebody has begun to send it; to say "not kept" is then the safe side.
func (d *Draft) Commit(state *State, due time.Time) error {
	defer d.Abandon()
	if d.f == nil {
		return errors.New("spool: the draft is finished")
	}
	state.ID, state.Size, state.Sum = d.id, d.size, d.sum.sum
	line, err := state.line()
	if err != nil {
		return err
	}
	if d.open {
		line = append([]byte("\n"), line...)
	}
	if _, err := d.f.Write(line); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := d.f.Sync(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	f := d.f
	d.f = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	to := ref{dir: dirQueue, due: due.Unix(), id: d.id}
	if err := d.s.fs.Rename(d.name, to.name()); err != nil && !errors.Is(err, ErrGone) { // only we knew the old name
		// A file system across a network may say so of a rename that took place.
		return errors.Join(fmt.Errorf("spool: %w", err), d.s.takeBack(to))
	}
	d.name = ""
	if err := d.s.fs.SyncDir(dirQueue); err != nil {
		return errors.Join(fmt.Errorf("spool: %w", err), d.s.takeBack(to))
	}
	return nil
}

// takeBack removes a message that may have been published, since its caller is
// told that it was not kept.
func (s *Spool) takeBack(r ref) error {
	if err := s.fs.Remove(r.name()); err != nil {
		if s.gone(r, err) {
			return nil
		}
		return err
	}
	return s.fs.SyncDir(r.dir)
}

// Abandon gives the draft up.
func (d *Draft) Abandon() {
	if d.f != nil {
		// Nobody will read it.
		_ = d.f.Close()
		d.f = nil
	}
	if d.name != "" {
		// A draft that stays is swept later; nobody looks at it.
		_ = d.s.fs.Remove(d.name)
		d.name = ""
	}
}

// Probe tries whether a message could be kept, and leaves nothing behind.
func (s *Spool) Probe() error {
	d, err := s.Create()
	if err != nil {
		return err
	}
	defer d.Abandon()
	_, err = d.Write([]byte("probe\r\n"))
	if err = errors.Join(err, d.f.Sync()); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}
