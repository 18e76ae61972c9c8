package spool_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

const lease = 5 * time.Minute // the default

// two are two hosts whose clocks disagree by skew, and their disk, which has a
// third opinion.
type two struct {
	disk          *spooltest.Disk
	clock         time.Time
	worker, other *user
}

func newTwo(t *testing.T, skew time.Duration) *two {
	t.Helper()
	w := &two{disk: spooltest.NewDisk(), clock: noon.AddDate(1, 0, 0)}
	w.disk.SetClock(func() time.Time { return w.clock })
	w.worker, w.other = mustOpen(t, w.disk, "worker"), mustOpen(t, w.disk, "other")
	w.other.now = noon.Add(skew)
	if err := published(w.worker); err != nil {
		t.Fatal(err)
	}
	return w
}

// pass lets time go by, for the worker too unless it is asleep.
func (w *two) pass(d time.Duration, asleep bool) {
	w.clock, w.other.now = w.clock.Add(d), w.other.now.Add(d)
	if !asleep {
		w.worker.now = w.worker.now.Add(d)
	}
}

func (w *two) recovered(t *testing.T) int {
	t.Helper()
	n, err := w.other.Recover()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A claim is left alone while its lease lasts, and taken over when it has ended,
// whatever the clocks of the hosts say.
func TestLeaseSkew(t *testing.T) {
	for _, skew := range []time.Duration{0, 3 * time.Minute, -3 * time.Minute, 2 * time.Hour, -2 * time.Hour, 1e5 * time.Hour, -1e5 * time.Hour} {
		w := newTwo(t, skew)
		if _, err := w.worker.claim(); err != nil {
			t.Fatal(err)
		}
		w.pass(lease, false)
		if n := w.recovered(t); n != 0 {
			t.Errorf("skew %s: taken over within the lease", skew)
		}
		w.pass(time.Second, false)
		if n := w.recovered(t); n != 1 {
			t.Errorf("skew %s: not taken over behind the lease", skew)
		}
	}
}

// The clock of the disk may be set, too: a lease far ahead does not hold for ever.
func TestLeaseDiskClockSetBack(t *testing.T) {
	w := newTwo(t, 0)
	if _, err := w.worker.claim(); err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.AddDate(-2, 0, 0)
	if n := w.recovered(t); n != 1 {
		t.Error("not taken over")
	}
}

// Who comes back after a sleep finds out before anything is sent to its end, also
// if it has shown itself again before.
func TestLeaseLost(t *testing.T) {
	for _, shown := range []bool{false, true} {
		lostClaim(t, shown)
	}
}

func lostClaim(t *testing.T, shown bool) {
	w := newTwo(t, 0)
	c, err := w.worker.claim()
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	half := make([]byte, len(message)/2)
	if _, err := io.ReadFull(r, half); err != nil {
		t.Fatal(err)
	}
	w.pass(lease+time.Second, true)
	if n := w.recovered(t); n != 1 {
		t.Fatal("not taken over")
	}
	w.worker.now = w.worker.now.Add(lease + time.Second) // it wakes up
	if shown {                                           // it looks after the sign of life of the other, and so gives one
		if _, err := w.worker.Recover(); err != nil {
			t.Fatal(err)
		}
	}
	if rest, err := io.ReadAll(r); !errors.Is(err, spool.ErrLost) || len(half)+len(rest) >= len(message) {
		t.Errorf("read on: %d octets more, %v", len(rest), err)
	}
	if _, err := c.Open(); !errors.Is(err, spool.ErrLost) {
		t.Errorf("opened: %v", err)
	}
	for name, end := range map[string]func() error{"save": func() error { return c.Save(true) }, "finish": c.Finish, "fail": c.Fail,
		"release": func() error { return c.Release(noon) }} {
		if end() == nil {
			t.Errorf("%s of what is somebody else's", name)
		}
	}
	if got, err := w.other.look(); got != "queue a,b" || err != nil {
		t.Errorf("then: %s %v", got, err)
	}
}

// Who comes back before anybody has looked keeps the claim, and who had looked
// just before does not get it.
func TestLeaseKept(t *testing.T) {
	w := newTwo(t, 0)
	c, err := w.worker.claim()
	if err != nil {
		t.Fatal(err)
	}
	w.pass(lease+time.Second, false)
	slow := &interrupted{FS: w.disk}
	other := mustOpen(t, slow, "other")
	slow.before = func() { // it has found the lease ended, and is about to take over
		r, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); string(text) != message || err != nil {
			t.Errorf("%q %v", text, err)
		}
	}
	if n, err := other.Recover(); n != 0 || err != nil || slow.before != nil {
		t.Errorf("taken over: %d %v", n, err)
	}
	if err := c.Finish(); err != nil {
		t.Error(err)
	}
	if got, err := w.other.look(); got != "absent" || err != nil {
		t.Errorf("then: %s %v", got, err)
	}
}

// interrupted lets something happen before the next rename.
type interrupted struct {
	spool.FS
	before func()
}

func (i *interrupted) Rename(from, to string) error {
	if f := i.before; f != nil {
		i.before = nil
		f()
	}
	return i.FS.Rename(from, to)
}

// Keep renews, for as long as it is asked to, and leaves nothing behind.
func TestLeaseRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := spooltest.NewDisk()
		o := spool.Options{Owner: "worker", Now: time.Now, NewID: new(ids).next}
		s, err := spool.Open(disk, o)
		if err != nil {
			t.Fatal(err)
		}
		w := &user{Spool: s, below: disk, now: time.Now()}
		if err := published(w); err != nil {
			t.Fatal(err)
		}
		stop := s.Keep(func(err error) { t.Error(err) })
		if _, err := w.claim(); err != nil {
			t.Fatal(err)
		}
		o.Owner, o.NewID = "other", func() string { return "other0000000" }
		other, err := spool.Open(disk, o)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			time.Sleep(lease)
			if n, err := other.Recover(); n != 0 || err != nil {
				t.Fatalf("taken over while it works: %d %v", n, err)
			}
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		time.Sleep(lease + time.Second)
		if n, err := other.Recover(); n != 1 || err != nil {
			t.Errorf("not taken over: %d %v", n, err)
		}
		if err := errors.Join(s.Close(), other.Close()); err != nil {
			t.Error(err)
		}
		if left := names(t, disk, "live"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// A disk without room for a sign of life can be emptied: messages are claimed,
// read and removed.
func TestLeaseNoRoom(t *testing.T) {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		w := newTwo(t, 0)
		disk := &fullLive{w.disk, full}
		worker := mustOpen(t, disk, "worker")
		c, err := worker.claim()
		if err != nil {
			t.Fatal(err)
		}
		worker.now = worker.now.Add(lease) // it is late, and still has no room
		r, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); string(text) != message || err != nil {
			t.Errorf("%q %v", text, err)
		}
		if err := errors.Join(r.Close(), c.Finish(), worker.Close()); err != nil {
			t.Error(err)
		}
	}
}

// fullLive is a disk on which no file can be made in live/.
type fullLive struct {
	spool.FS
	err error
}

func (f *fullLive) Create(name string) (spool.File, error) {
	if strings.HasPrefix(name, "live/") {
		return nil, f.err
	}
	return f.FS.Create(name)
}

// Claims that are made together need one sign of life between them.
func TestLeaseShownOnce(t *testing.T) {
	disk := spooltest.NewDisk()
	slow := &slowLive{FS: disk, entered: make(chan bool, 8), gate: make(chan bool)}
	u := mustOpen(t, slow, "worker")
	for range 8 {
		if err := published(u); err != nil {
			t.Fatal(err)
		}
	}
	list, _, err := u.List("queue")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan []spool.Claimed)
	go func() { done <- u.ClaimAll(list) }()
	<-slow.entered
	for range 1000 { // the others come to it
		runtime.Gosched()
	}
	close(slow.gate)
	for _, one := range <-done {
		if one.Err != nil {
			t.Error(one.Err)
		}
	}
	live := names(t, disk, "live")
	if more := len(slow.entered); more != 0 || len(live) != 1 {
		t.Fatalf("shown %d times more, there are %v", more, live)
	}
	// That others have swept it during a long rest is no error.
	if err := errors.Join(disk.Remove("live/"+live[0]), u.Close()); err != nil {
		t.Error(err)
	}
}

// slowLive is a disk that makes no file in live/ before the gate is open.
type slowLive struct {
	spool.FS
	entered, gate chan bool
}

func (s *slowLive) Create(name string) (spool.File, error) {
	if strings.HasPrefix(name, "live/") {
		s.entered <- true
		<-s.gate
	}
	return s.FS.Create(name)
}
