package spool_test

import (
	"fmt"
	"testing"
	"time"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// BenchmarkMessage measures each step that a message takes, here and on another
// host at two distances.
func BenchmarkMessage(b *testing.B) {
	for _, where := range []struct {
		name  string
		delay time.Duration
		far   bool
	}{{"local", 0, false}, {"sftp-0ms", 0, true}, {"sftp-30ms", 15 * time.Millisecond, true}} {
		fresh := func(b *testing.B) *user {
			var f spool.FS
			if where.far {
				server := spooltest.NewSFTPServer(b)
				server.Fsync, server.Delay = true, where.delay
				f = server.Open(b)
			} else {
				l, err := spool.OpenLocal(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { l.Close() })
				f = l
			}
			u, err := open(f, "worker")
			if err == nil {
				err = published(u) // connected, and the directories made
			}
			if err != nil {
				b.Fatal(err)
			}
			return u
		}
		b.Run("publish/"+where.name, func(b *testing.B) {
			u := fresh(b)
			for b.Loop() {
				check(b, published(u))
			}
		})
		for _, n := range []int{1, 1000} {
			if n == 1000 && where.delay > 0 && testing.Short() {
				continue
			}
			b.Run(fmt.Sprintf("list%d/%s", n, where.name), func(b *testing.B) {
				u := fresh(b)
				fill(b, u, n-1)
				for b.Loop() {
					_, _, err := u.List("queue")
					check(b, err)
				}
			})
		}
		b.Run("claim and release/"+where.name, func(b *testing.B) {
			u := fresh(b)
			for b.Loop() {
				c, err := u.claim()
				check(b, err)
				check(b, c.Release(noon))
			}
		})
		b.Run("publish, claim, finish/"+where.name, func(b *testing.B) {
			u := fresh(b)
			c, err := u.claim()
			check(b, err)
			check(b, c.Finish())
			for b.Loop() {
				check(b, published(u))
				c, err := u.claim()
				check(b, err)
				check(b, c.Finish())
			}
		})
		b.Run("claim 8 together/"+where.name, func(b *testing.B) {
			u := fresh(b)
			fill(b, u, 7)
			for b.Loop() {
				list, _, err := u.List("queue")
				check(b, err)
				for _, got := range u.ClaimAll(list) {
					check(b, got.Err)
					check(b, got.Claim.Release(noon))
				}
			}
		})
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// fill publishes more, several at a time.
func fill(b *testing.B, u *user, n int) {
	b.Helper()
	const together = 50
	errs := make(chan error, together)
	for n > 0 {
		some := min(n, together)
		for range some {
			go func() { errs <- published(u) }()
		}
		for range some {
			check(b, <-errs)
		}
		n -= some
	}
}
