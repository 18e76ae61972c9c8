package smtpd

import (
	"sync/atomic"
	"time"
)

const (
	// slowest is how many octets of content a second keep a dialogue going.
	slowest = 10 << 10
	// farewellTime is how long a last reply may take.
	farewellTime = 10 * time.Second
)

// span bounds how long a dialogue may go on without a message that is taken: each
// command has its time, but a caller could make use of all of it again and again,
// and keep his place. Content that comes is given its time, up to the size of a
// message.
type span struct {
	whole time.Duration // 0 is no bound
	most  int64         // octets that count; 0 is no bound
	now   func() time.Time

	begun  *atomic.Int64 // ns since 1970
	octets *atomic.Int64 // of content since then
}

func newSpan(o *Options) span {
	s := span{whole: o.Whole, most: o.MaxSize, now: o.Now, begun: new(atomic.Int64), octets: new(atomic.Int64)}
	s.begin()
	return s
}

// begin gives all of the time anew.
func (s *span) begin() {
	if s.whole > 0 {
		s.begun.Store(s.now().UnixNano())
	}
	s.octets.Store(0)
}

// came counts content.
func (s *span) came(n int) { s.octets.Add(int64(n)) }

// end is when the dialogue has to end.
func (s *span) end() time.Time {
	n := s.octets.Load()
	if s.most > 0 {
		n = min(n, s.most)
	}
	return time.Unix(0, s.begun.Load()).Add(s.whole + time.Duration(n/slowest)*time.Second)
}

// read is until when to wait for what comes next.
func (s *span) read(now time.Time, timeout time.Duration) time.Time {
	until := now.Add(timeout)
	if end := s.end(); s.whole > 0 && end.Before(until) {
		return end
	}
	return until
}

// write is until when a reply has to be read. The last one is said later than the
// end.
func (s *span) write(now time.Time, timeout time.Duration) time.Time {
	until := s.read(now, timeout)
	if last := now.Add(min(timeout, farewellTime)); until.Before(last) {
		return last
	}
	return until
}
