package spool

import "io"

// mostHeld is how many removed files a group keeps open, so that a large window over
// many connections does not use up what may be open.
const mostHeld = 32

// Group makes the removal of several messages durable at once, for who is done with
// them at the same time. It serves one goroutine.
type Group struct {
	s       *Spool
	removed bool
	held    []io.Closer
}

// Group makes an empty one.
func (s *Spool) Group() *Group { return &Group{s: s} }

// Join has Finish of the claim leave it to Sync of the group that the removal is
// durable.
func (c *Claim) Join(g *Group) { c.group = g }

// remove takes a file away. Where the room that it took can be given back later, that
// is left to Tidy: it takes much longer.
func (g *Group) remove(name string) error {
	var held io.Closer
	var err error
	if f, ok := g.s.fs.(interface {
		removeOpen(name string) (io.Closer, error)
	}); ok && len(g.held) < mostHeld {
		held, err = f.removeOpen(name)
	} else {
		err = g.s.fs.Remove(name)
	}
	if err != nil {
		return err
	}
	g.removed = true
	if held != nil {
		g.held = append(g.held, held)
	}
	return nil
}

// Sync makes durable what was removed. The error concerns any of it.
func (g *Group) Sync() error {
	if !g.removed {
		return nil
	}
	g.removed = false
	return g.s.syncDir(dirActive)
}

// Tidy gives back the room of what was removed. It is for a moment when there is
// nothing better to do; the end of the process does it as well.
func (g *Group) Tidy() {
	for _, f := range g.held {
		// Nothing was written to it.
		_ = f.Close()
	}
	g.held = nil
}
