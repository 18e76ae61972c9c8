package spool_test

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// scenario is one operation of the spool, and what may be found after it was
// disturbed and the rest was recovered.
type scenario struct {
	name   string
	before func(u *user) error // undisturbed, by the same process
	act    func(u *user) error
	done   []string // what may be there if act returned nil
	cut    []string // what may be there if the process ended within act
	failed []string // what may be there if act returned an error
}

func published(u *user) error { _, err := u.publish("a", "b"); return err }

// claimed is the message in the hands of a process that is dead by now.
func claimed(u *user) error {
	if err := published(u); err != nil {
		return err
	}
	_, err := u.claim()
	return err
}

// with claims and goes on.
func with(more func(u *user, c *spool.Claim) error) func(u *user) error {
	return func(u *user) error {
		c, err := u.claim()
		if err != nil {
			return err
		}
		return more(u, c)
	}
}

// delivered notes that a has it.
func delivered(c *spool.Claim) error {
	c.State.Recipients = slices.DeleteFunc(c.State.Recipients, func(r spool.Recipient) bool { return r.Address == "a" })
	c.State.Done++
	return c.Save(true)
}

func scenarios() []scenario {
	both, one, none := "queue a,b", "queue b", "absent"
	return []scenario{
		{"open", func(*user) error { return nil }, func(*user) error { return nil },
			[]string{none}, []string{none}, []string{none}},
		{"publish", func(*user) error { return nil }, published,
			[]string{both}, []string{none, both}, []string{none}},
		{"claim", published, with(func(*user, *spool.Claim) error { return nil }),
			[]string{both}, []string{both}, []string{both}},
		{"release", published, with(func(u *user, c *spool.Claim) error { return c.Release(u.now) }),
			[]string{both}, []string{both}, []string{both}},
		{"note an answer", published, with(func(u *user, c *spool.Claim) error {
			c.State.Attempts++
			return errors.Join(c.Save(false), c.Release(u.now))
		}), []string{both}, []string{both}, []string{both}},
		{"save", published, with(func(u *user, c *spool.Claim) error { return delivered(c) }),
			[]string{one}, []string{both, one}, []string{both, one}},
		{"save and release", published, with(func(u *user, c *spool.Claim) error {
			if err := delivered(c); err != nil {
				return err
			}
			return c.Release(u.now)
		}), []string{one}, []string{both, one}, []string{both, one}},
		{"save again after a failure", published, with(func(u *user, c *spool.Claim) error {
			if delivered(c) == nil {
				return nil
			}
			return c.Save(true)
		}), []string{one}, []string{both, one}, []string{both, one}},
		{"hold", published, with(func(u *user, c *spool.Claim) error { return c.Hold() }),
			[]string{"hold a,b"}, []string{both, "hold a,b"}, []string{both, "hold a,b"}},
		{"fail", published, with(func(u *user, c *spool.Claim) error { return c.Fail() }),
			[]string{"failed a,b"}, []string{both, "failed a,b"}, []string{both, "failed a,b"}},
		{"finish", published, with(func(u *user, c *spool.Claim) error { return c.Finish() }),
			[]string{none}, []string{both, none}, []string{both, none}},
	}
}

// recovering is a scenario of a process that comes after a dead one.
func recovering() scenario {
	return scenario{"recover", claimed, func(u *user) error {
		next, err := open(u.below, "next", "worker")
		if err != nil {
			return err
		}
		_, err = next.Recover()
		return err
	}, []string{"queue a,b"}, []string{"queue a,b"}, []string{"queue a,b"}}
}

const most = 200 // steps of an operation; none has as many

// TestCrash stops a process before each step of each operation, and the power at
// the same time where the file system can tell what that leaves. Then the rest is
// recovered, and the invariants must hold.
func TestCrash(t *testing.T) {
	nearby(t, func(t *testing.T, fresh func(*testing.T) spool.FS) {
		for _, sc := range append(scenarios(), recovering()) {
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel() // what takes time is syncing
				for n := range most {
					f := fresh(t)
					err := sc.disturb(t, f, spooltest.NewSteps(f, n, spooltest.Stop, nil))
					allowed := sc.cut
					if err == nil {
						allowed = sc.done
					}
					after(t, f, fmt.Sprintf("stopped before step %d (%v)", n, err), allowed)
					if err == nil {
						return // it had fewer steps
					}
				}
				t.Errorf("it has %d steps or more", most)
			})
		}
	})
}

// TestFaults lets each step of each operation fail in each way. What returned nil
// has taken place, and what returned an error has not, or can be done again.
func TestFaults(t *testing.T) {
	faults := []struct {
		kind spooltest.Kind
		err  error
	}{
		{spooltest.Refuse, syscall.EACCES}, {spooltest.Refuse, syscall.EIO}, {spooltest.Half, syscall.ENOSPC}, {spooltest.Late, syscall.EIO},
	}
	nearby(t, func(t *testing.T, fresh func(*testing.T) spool.FS) {
		for _, sc := range append(scenarios(), recovering()) {
			for _, fault := range faults {
				t.Run(fmt.Sprintf("%s %v %v", sc.name, fault.kind, fault.err), func(t *testing.T) {
					t.Parallel()
					for n := 0; sc.fails(t, fresh(t), n, fault.kind, fault.err); n++ {
					}
				})
			}
		}
	})
}

// fails lets step n fail; false if there are fewer.
func (sc scenario) fails(t *testing.T, f spool.FS, n int, kind spooltest.Kind, fault error) bool {
	steps := spooltest.NewSteps(f, n, kind, fault)
	err := sc.disturb(t, f, steps)
	allowed := sc.done
	if err != nil {
		allowed = sc.failed
		if !errors.Is(err, fault) && !errors.Is(err, spool.ErrTaken) {
			t.Errorf("step %d: the error does not say why: %v", n, err)
		}
	}
	after(t, f, fmt.Sprintf("step %d (%v)", n, err), allowed)
	return n < len(steps.Log())
}

// disturb runs the scenario with steps under the spool during act only.
func (sc scenario) disturb(t *testing.T, f spool.FS, steps *spooltest.Steps) error {
	t.Helper()
	if err := sc.before(mustOpen(t, f, "worker")); err != nil {
		t.Fatal(err)
	}
	u, err := open(steps, "worker")
	if err != nil {
		return err
	}
	return sc.act(u)
}

// after looks at what is left, on the disk as it is and as a power cut would
// leave it.
func after(t *testing.T, f spool.FS, why string, allowed []string) {
	t.Helper()
	check := func(f spool.FS, why string) {
		t.Helper()
		got, err := recovered(f)
		if err != nil {
			t.Errorf("%s: %v", why, err)
		} else if !slices.Contains(allowed, got) {
			t.Errorf("%s: found %q, not one of %q", why, got, allowed)
		}
	}
	if c, ok := f.(interface{ Crashes() []spooltest.Crash }); ok {
		for _, crash := range c.Crashes() {
			check(crash.FS, why+", "+crash.Name)
		}
	}
	check(f, why)
}

// recovered does what the next run does, and looks.
func recovered(f spool.FS) (string, error) {
	next, err := open(f, "later", "worker", "next")
	if err != nil {
		return "", err
	}
	if _, err := next.Recover(); err != nil {
		return "", fmt.Errorf("recover: %w", err)
	}
	if left, err := f.List("tmp"); err != nil || len(left) > 0 {
		return "", fmt.Errorf("I1: left in tmp/: %v %v", left, err)
	}
	return next.look()
}
