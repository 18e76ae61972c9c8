package spool

import (
	"io"
	"sync"
)

// Group makes the removal of several messages durable at once, for who is done with
// them at the same time.
type Group struct {
	s       *Spool
	mu      sync.Mutex
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
	}); ok {
		held, err = f.removeOpen(name)
	} else {
		err = g.s.fs.Remove(name)
	}
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removed = true
	if held != nil {
		g.held = append(g.held, held)
	}
	return nil
}

// Sync makes durable what was removed. The error concerns any of it.
func (g *Group) Sync() error {
	g.mu.Lock()
	removed := g.removed
	g.removed = false
	g.mu.Unlock()
	if !removed {
		return nil
	}
	return g.s.syncDir(dirActive)
}

// Tidy gives back the room of what was removed. It is for a moment when there is
// nothing better to do; the end of the process does it as well.
func (g *Group) Tidy() {
	g.mu.Lock()
	held := g.held
	g.held = nil
	g.mu.Unlock()
	for _, f := range held {
		// Nothing was written to it.
		_ = f.Close()
	}
}
