package spool

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Remote reports whether the spool is on another host, where every question costs
// a round trip.
func (s *Spool) Remote() bool {
	_, ok := s.fs.(*SFTP)
	return ok
}

// Weaker lists the promises that cannot be kept on this spool, in words.
func (s *Spool) Weaker() ([]string, error) {
	if f, ok := s.fs.(*SFTP); ok {
		return f.Weaker()
	}
	return nil, nil
}

// atOnce is how many requests to another host wait for their answer together.
const atOnce = 16

// width is how many messages are worth handling at the same time.
func (s *Spool) width() int {
	if s.Remote() {
		return atOnce
	}
	return runtime.GOMAXPROCS(0)
}

// Each reads the states of messages, several at a time, and tells of them in
// order, some hundred at a time. Of a message that has moved on it tells
// fs.ErrNotExist.
func (s *Spool) Each(entries []Entry, tell func(Entry, *State, error)) {
	const most = 512
	var states [most]*State
	var errs [most]error
	for some := range slices.Chunk(entries, most) {
		var next atomic.Int64
		var readers sync.WaitGroup
		for range min(s.width(), len(some)) {
			readers.Go(func() {
				for i := next.Add(1) - 1; i < int64(len(some)); i = next.Add(1) - 1 {
					states[i], errs[i] = s.Read(some[i])
				}
			})
		}
		readers.Wait()
		for i, e := range some {
			tell(e, states[i], errs[i])
		}
	}
}

// Claimed is what became of an attempt to claim.
type Claimed struct {
	Claim *Claim
	Err   error // as Claim gives it
}

// ClaimSome claims the first of entries: one, or several together if the spool is
// on another host. It returns those that are left. The claims count until they
// end, or the process does.
func (s *Spool) ClaimSome(entries []Entry) (got []Claimed, left []Entry) {
	const batch = 8 // what a crash keeps from others until the lease ends
	n := min(1, len(entries))
	if s.Remote() {
		n = min(batch, len(entries))
	}
	got = make([]Claimed, n)
	inParallel(n, func(i int) { got[i].Claim, got[i].Err = s.Claim(entries[i]) })
	return got, entries[n:]
}

func inParallel(n int, do func(int)) {
	if n == 1 {
		do(0)
		return
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// Close gives the spool up. Claims that have not ended are others' to take over.
func (s *Spool) Close() error {
	err := s.leave()
	if c, ok := s.fs.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return err
}
