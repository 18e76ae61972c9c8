package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// schedule lets one of several processes go on at a time, by lot, and hands over
// at each operation of the file system. So every order of events comes up sooner
// or later, and the same one each time.
type schedule struct {
	lot   *rand.Rand
	asks  chan *process // wants to go on
	ended chan struct{}
}

// process is one that uses a spool.
type process struct {
	spool.FS
	s    *schedule
	goOn chan struct{}
}

func (p *process) pause() { p.s.asks <- p; <-p.goOn }

func (p *process) List(dir string) ([]fs.DirEntry, error) { p.pause(); return p.FS.List(dir) }
func (p *process) Rename(from, to string) error           { p.pause(); return p.FS.Rename(from, to) }

// Lock never blocks the schedule: who waits asks again and again.
func (p *process) Lock(name string, wait bool) (func() error, bool, error) {
	for {
		p.pause()
		unlock, ok, err := p.FS.Lock(name, false)
		if ok || err != nil || !wait {
			return func() error { p.pause(); return unlock() }, ok, err
		}
	}
}

// run lets processes go on until all have ended.
func (s *schedule) run(work []func(*process), f spool.FS) {
	waiting := []*process{}
	for _, w := range work {
		p := &process{FS: f, s: s, goOn: make(chan struct{})}
		go func() {
			p.pause()
			w(p)
			s.ended <- struct{}{}
		}()
		waiting = append(waiting, <-s.asks)
	}
	for len(waiting) > 0 {
		i := s.lot.IntN(len(waiting))
		waiting[i].goOn <- struct{}{}
		waiting = append(waiting[:i], waiting[i+1:]...)
		select {
		case p := <-s.asks:
			waiting = append(waiting, p)
		case <-s.ended:
		}
	}
}

// worker publishes a message and, as a background delivery does, takes its turn
// to run the queue.
func worker(t *testing.T, n int, sent *counter) func(p *process) {
	return func(p *process) {
		owner := spool.Owner(fmt.Sprintf("worker-%d", n))
		u := &user{now: noon}
		s, err := spool.Open(p, spool.Options{Owner: owner, Now: u.clock, NewID: func() string { return fmt.Sprintf("id%010d", n) }})
		if err != nil {
			t.Error(err)
			return
		}
		u.Spool = s
		if err := published(u); err != nil {
			t.Error(err)
		}
		takeTurn(t, u, true, func(spool.Entry) bool { return true }, sent)
	}
}

func (u *user) clock() time.Time { return u.now }

// takeTurn runs the queue once it has the right to, until there is nothing left
// that matches.
func takeTurn(t *testing.T, u *user, share bool, match func(spool.Entry) bool, sent *counter) {
	done, err := u.Turn(context.Background(), share)
	if err != nil {
		t.Error(err)
	}
	if err != nil || done == nil {
		return
	}
	for again := true; again; {
		again = false
		list, _, err := u.List("queue")
		if err != nil {
			t.Error(err)
		}
		for _, e := range list {
			if !match(e) {
				continue
			}
			c, err := u.Claim(e)
			if err != nil {
				t.Error(err) // there is one run at a time
				continue
			}
			sent.add(e.ID)
			again = true
			if err := c.Finish(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := done(); err != nil {
		t.Error(err)
	}
}

type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[id]++
}

const schedules = 1500

// However the steps of a burst of deliveries interleave, above all the last look
// of a run with its end: each message goes once, and none is left behind.
func TestTurnLeavesNothingBehind(t *testing.T) {
	for seed := range schedules {
		f := spooltest.NewDisk()
		mustOpen(t, f, "setup")
		var sent counter
		var work []func(*process)
		const workers = 4
		for n := range workers {
			work = append(work, worker(t, n, &sent))
		}
		s := &schedule{lot: rand.New(rand.NewPCG(1, uint64(seed))), asks: make(chan *process), ended: make(chan struct{})}
		s.run(work, f)
		if left := names(t, f, "queue"); len(left) > 0 || len(sent.n) != workers {
			t.Fatalf("schedule %d: left behind: %v; sent %v", seed, left, sent.n)
		}
		for id, n := range sent.n {
			if n != 1 {
				t.Errorf("schedule %d: %s went %d times", seed, id, n)
			}
		}
	}
}

// A run of one message neither counts as one of all, nor is left out for it.
func TestTurnOfAFilter(t *testing.T) {
	for seed := range schedules {
		f := spooltest.NewDisk()
		setup := mustOpen(t, f, "setup")
		if err := errors.Join(published(setup), published(setup)); err != nil {
			t.Fatal(err)
		}
		var sent counter
		filtered := func(p *process) {
			u, err := open(p, "filter")
			if err != nil {
				t.Error(err)
				return
			}
			takeTurn(t, u, false, func(e spool.Entry) bool { return e.ID == "id0000000001" }, &sent)
			if sent.n["id0000000001"] != 1 {
				t.Errorf("schedule %d: the run of a filter has ended, and its message has not gone", seed)
			}
		}
		s := &schedule{lot: rand.New(rand.NewPCG(2, uint64(seed))), asks: make(chan *process), ended: make(chan struct{})}
		s.run([]func(*process){filtered, worker(t, 3, &sent), worker(t, 4, &sent)}, f)
		if left := names(t, f, "queue"); len(left) > 0 {
			t.Fatalf("schedule %d: left behind: %v", seed, left)
		}
	}
}

// Who waits for his turn gives up when he is told to, and the line goes on.
// patient tells when somebody begins to wait for a lock, and knows when nobody
// does any more.
type patient struct {
	spool.FS
	begins  func()
	waiting sync.WaitGroup
}

func (p *patient) Lock(name string, wait bool) (func() error, bool, error) {
	if wait {
		p.waiting.Add(1)
		defer p.waiting.Done()
		p.begins()
	}
	return p.FS.Lock(name, wait)
}

func TestTurnCancelled(t *testing.T) {
	everywhere(t, func(t *testing.T, fresh func(*testing.T) spool.FS) {
		ctx, cancel := context.WithCancel(context.Background())
		f := &patient{FS: fresh(t), begins: cancel}
		defer f.waiting.Wait() // who waits makes a file, before its directory goes
		u := mustOpen(t, f, "worker")
		done, err := u.Turn(context.Background(), true)
		if err != nil || done == nil {
			t.Fatalf("%v", err)
		}
		if got, err := u.Turn(ctx, true); got != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if err := done(); err != nil {
			t.Error(err)
		}
		done, err = u.Turn(context.Background(), true)
		if err != nil || done == nil {
			t.Fatalf("the next one: %v", err)
		}
		if err := done(); err != nil {
			t.Error(err)
		}
	})
}
