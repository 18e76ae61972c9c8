package spool

import (
	"fmt"
	"sync"
	"time"
)

// company is how long a sync waits for those who shared the one before. It is that of
// a fast disk a few times over; on a slow one it does not count.
const company = time.Millisecond

// shared makes the changes in a directory durable for all who ask at the same time:
// who comes while a sync runs shares the next one with the others who do, and that one
// waits a little for as many as shared the one before: several connections at work side
// by side would else be just too late for each other, time after time. Each is served
// by a sync that began after it asked, so nothing is weaker than alone.
type shared struct {
	mu      sync.Mutex
	turn    sync.Cond // a sync has ended, or company has come
	began   int       // syncs so far
	ended   int       // the newest of them that has ended
	running bool      // or waits for company
	waiting int       // for the next one
	crowd   int       // who shared the newest
	failed  int       // the newest that failed
	err     error
}

// do returns once a sync that began after the call has ended. The error is that of
// any sync since: the system tells of a failure once, so who asks after somebody
// else would not hear of it.
func (s *shared) do(sync func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.began + 1
	if s.waiting++; s.waiting == s.crowd {
		s.turn.Broadcast()
	}
	for s.ended < mine {
		if s.running {
			s.turn.Wait()
		} else {
			s.run(sync)
		}
	}
	if s.failed >= mine {
		return s.err
	}
	return nil
}

// run makes a sync; s.mu is held, but not meanwhile.
func (s *shared) run(sync func() error) {
	s.running = true
	s.gather()
	s.crowd, s.waiting = s.waiting, 0
	s.began++
	s.mu.Unlock()
	err := sync()
	s.mu.Lock()
	s.running, s.ended = false, s.began
	if err != nil {
		s.failed, s.err = s.ended, err
	}
	s.turn.Broadcast()
}

// gather waits until as many want a sync as shared the one before, or for company;
// s.mu is held, but not meanwhile.
func (s *shared) gather() {
	if s.waiting >= s.crowd {
		return
	}
	late := false
	timer := time.AfterFunc(company, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.turn.Broadcast()
	})
	defer timer.Stop()
	for s.waiting < s.crowd && !late {
		s.turn.Wait()
	}
}

// syncDir makes durable what was changed in a directory before the call.
func (s *Spool) syncDir(dir string) error {
	s.mu.Lock()
	t := s.syncs[dir]
	if t == nil {
		t = &shared{}
		t.turn.L = &t.mu
		s.syncs[dir] = t
	}
	s.mu.Unlock()
	if err := t.do(func() error { return s.fs.SyncDir(dir) }); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}
