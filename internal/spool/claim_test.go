package spool_test

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// I4: of many who claim, each message goes to one.
func TestI4OneClaimer(t *testing.T) {
	const messages, claimers = 20, 6
	everywhere(t, func(t *testing.T, fresh func(*testing.T) spool.FS) {
		f := fresh(t)
		u := mustOpen(t, f, "writer")
		for range messages {
			if err := published(u); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		got := map[string]int{}
		var wg sync.WaitGroup
		for i := range claimers {
			w := mustOpen(t, f, spool.Owner(fmt.Sprintf("claimer-%d", i)))
			list, _, err := w.List("queue")
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				for _, e := range list {
					c, err := w.Claim(e)
					switch {
					case err == nil:
						mu.Lock()
						got[c.State.ID]++
						mu.Unlock()
					case !errors.Is(err, spool.ErrTaken):
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if len(got) != messages {
			t.Errorf("%d of %d were claimed", len(got), messages)
		}
		for id, n := range got {
			if n != 1 {
				t.Errorf("%s was claimed %d times", id, n)
			}
		}
	})
}

// I5: who could neither remove nor park a message that was delivered does not
// give it back while he lives; what could not be moved is moved later.
func TestI5Strays(t *testing.T) {
	for _, test := range []struct {
		why  string
		end  func(u *user, c *spool.Claim) error
		back int
		then string
	}{
		{"finish", func(u *user, c *spool.Claim) error { return c.Finish() }, 0, "active a,b"},
		{"hold", func(u *user, c *spool.Claim) error { return c.Hold() }, 0, "hold a,b"},
		{"release", func(u *user, c *spool.Claim) error { return c.Release(u.now) }, 1, "queue a,b"},
		{"fail", func(u *user, c *spool.Claim) error { return c.Fail() }, 0, "failed a,b"},
	} {
		f := spooltest.NewDisk()
		if err := published(mustOpen(t, f, "writer")); err != nil {
			t.Fatal(err)
		}
		const opening, claiming = 1, 2 + 4 // a claim begins with a sign of life
		u := mustOpen(t, spooltest.NewSteps(f, opening+claiming, spooltest.Refuse, syscall.EIO), "worker")
		c, err := u.claim()
		if err != nil {
			t.Fatal(err)
		}
		if err := test.end(u, c); !errors.Is(err, syscall.EIO) {
			t.Fatalf("%s: %v", test.why, err)
		}
		if n, err := u.Recover(); n != test.back || err != nil {
			t.Errorf("%s: %d came back, want %d; %v", test.why, n, test.back, err)
		}
		if n, err := u.Recover(); n != 0 || err != nil {
			t.Errorf("%s: again: %d came back; %v", test.why, n, err)
		}
		if got, err := u.look(); got != test.then || err != nil {
			t.Errorf("%s: then %q, want %q; %v", test.why, got, test.then, err)
		}
	}
}
