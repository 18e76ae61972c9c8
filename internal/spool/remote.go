package spool

import (
	"errors"
	"io"
	"runtime"
	"sync"
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

// Claimed is what became of an attempt to claim.
type Claimed struct {
	Claim *Claim
	Err   error // as Claim gives it
}

// Batch is how many messages are worth claiming together: one, or several if the
// spool is on another host. It is what a crash keeps from others until the lease
// ends.
func (s *Spool) Batch() int {
	if s.Remote() {
		return 8
	}
	return 1
}

// ClaimAll claims messages together.
func (s *Spool) ClaimAll(entries []Entry) []Claimed {
	got := make([]Claimed, len(entries))
	inParallel(len(entries), func(i int) { got[i].Claim, got[i].Err = s.Claim(entries[i]) })
	return got
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

// KeepOpen spares a file system work that would be the same for each of many
// messages, until done is called.
func (s *Spool) KeepOpen() (done func()) {
	if l, ok := s.fs.(*Local); ok {
		return l.keepDirs(dirQueue, dirActive)
	}
	return func() {}
}

// Close gives the spool up. Claims that have not ended are others' to take over.
func (s *Spool) Close() error {
	err := s.leave()
	if c, ok := s.fs.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return err
}
