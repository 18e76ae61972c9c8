package cli

import (
	"sync"

	"postern/internal/relay"
)

// inForce is the outlet by the configuration in force. One that another took the
// place of is closed when nobody uses it any more.
type inForce struct {
	close func(*relay.Queue)

	mu   sync.Mutex
	out  *outlet
	uses map[*outlet]int
}

// set puts an outlet into force.
func (f *inForce) set(w *outlet) {
	f.mu.Lock()
	old := f.out
	f.out = w
	idle := old != nil && f.uses[old] == 0
	f.mu.Unlock()
	if idle {
		f.close(old.queue)
	}
}

// use is the outlet in force, until done.
func (f *inForce) use() *outlet {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uses == nil {
		f.uses = make(map[*outlet]int)
	}
	f.uses[f.out]++
	return f.out
}

// done ends one use of an outlet.
func (f *inForce) done(w *outlet) {
	f.mu.Lock()
	f.uses[w]--
	last := f.uses[w] == 0
	if last {
		delete(f.uses, w)
	}
	last = last && w != f.out
	f.mu.Unlock()
	if last {
		f.close(w.queue)
	}
}
