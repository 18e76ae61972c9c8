package spool

import (
	"io"
	"sync"
)

// handful is how many removed files a group closes together. Twice as many are open at
// most, so that many connections do not use up what may be open.
const handful = 16

// Group makes the removal of several messages durable at once, for who is done with
// them at the same time. It serves one goroutine.
type Group struct {
	s       *Spool
	removed bool
	held    []io.Closer
	aside   sync.WaitGroup // closes those that were held before
}

// Group makes an empty one.
func (s *Spool) Group() *Group { return &Group{s: s} }

// Join has Finish of the claim leave it to Sync of the group that the removal is
// durable.
func (c *Claim) Join(g *Group) { c.group = g }

// remove takes a file away. Where the room that it took can be given back later, that
// is done aside: it takes much longer.
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
	g.removed = true
	if held != nil {
		g.held = append(g.held, held)
	}
	if len(g.held) >= handful {
		g.aside.Wait()
		g.clear()
	}
	return nil
}

// clear closes what is held, aside. Nothing was written to it, so that no error is of
// interest.
func (g *Group) clear() {
	held := g.held
	g.held = nil
	g.aside.Go(func() {
		for _, f := range held {
			_ = f.Close()
		}
	})
}

// Sync makes durable what was removed. The error concerns any of it.
func (g *Group) Sync() error {
	if !g.removed {
		return nil
	}
	g.removed = false
	return g.s.syncDir(dirActive)
}

// Tidy gives back the room of what was removed. The end of the process does it as
// well.
func (g *Group) Tidy() {
	g.clear()
	g.aside.Wait()
}
