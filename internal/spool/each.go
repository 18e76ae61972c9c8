package spool

import (
	"errors"
	"slices"
	"sync"
)

// block is some entries that are read together, and told of together.
type block struct {
	entries []Entry
	states  []*State
	errs    []error
	read    chan struct{} // closed when they are
}

// Each reads the states of messages, several at a time, and tells of them in
// order; it reads ahead while it tells, but not far. Of a message that has moved
// on it tells fs.ErrNotExist.
func (s *Spool) Each(entries []Entry, tell func(Entry, *State, error)) {
	size := 64
	if s.Remote() { // each waits for its own answer
		size = 1
	}
	width := min(s.width(), (len(entries)+size-1)/size)
	todo, order := make(chan *block, 2*width), make(chan *block, 2*width)
	go func() {
		for some := range slices.Chunk(entries, size) {
			b := &block{some, make([]*State, len(some)), make([]error, len(some)), make(chan struct{})}
			todo <- b
			order <- b
		}
		close(todo)
		close(order)
	}()
	var readers sync.WaitGroup
	defer readers.Wait()
	for range width {
		readers.Go(func() {
			r := &opener{fs: s.fs}
			defer r.close()
			for b := range todo {
				for i, e := range b.entries {
					b.states[i], b.errs[i] = r.read(e)
				}
				close(b.read)
			}
		})
	}
	for b := range order {
		<-b.read
		for i, e := range b.entries {
			tell(e, b.states[i], b.errs[i])
		}
	}
}

// opener opens one file after another. It keeps the directory of the last one, if
// the file system can be used so, and the room for what was read.
type opener struct {
	fs   FS
	name string
	dir  folder // nil for none
	tail []byte
}

// folder is a directory that stays open, so that its files are opened without
// walking to it each time.
type folder interface {
	Open(base string) (Source, error)
	Close() error
}

func (o *opener) read(e Entry) (*State, error) {
	f, err := o.open(e.ref)
	if err != nil {
		return nil, err
	}
	state, _, err := readState(f, e.ID, &o.tail)
	if cap(o.tail) > 1<<20 { // that was a rare one
		o.tail = nil
	}
	return state, errors.Join(err, f.Close())
}

func (o *opener) open(r ref) (Source, error) {
	f, ok := o.fs.(interface {
		folder(name string) (folder, error)
	})
	if !ok {
		return o.fs.Open(r.name())
	}
	if o.dir == nil || o.name != r.dir {
		o.close()
		dir, err := f.folder(r.dir)
		if err != nil {
			return nil, err
		}
		o.dir, o.name = dir, r.dir
	}
	return o.dir.Open(r.base())
}

func (o *opener) close() {
	if o.dir != nil {
		// It was only read.
		_ = o.dir.Close()
		o.dir = nil
	}
}
