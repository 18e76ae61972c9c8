package cli

import (
	"testing"
	"time"

	"postern/internal/config"
)

func TestRates(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	r := &rates{now: func() time.Time { return now }, users: make(map[int]*allowance)}
	rate := config.Rate{Count: 4, Per: time.Minute}
	count := func(uid int) (n int) {
		for range 10 {
			if r.allow(uid, rate) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		why  string
		wait time.Duration
		uid  int
		want int
	}{
		{"all at once", 0, 1, 4},
		{"another user", 0, 2, 4},
		{"nothing comes back at once", time.Second, 1, 0},
		{"a quarter of the time, a quarter of the messages", 15 * time.Second, 1, 1},
		{"never more than the whole", time.Hour, 1, 4},
		{"the clock is set back", -time.Hour, 1, 0},
		{"... and goes on from there", time.Minute, 1, 4},
	} {
		now = now.Add(c.wait)
		if got := count(c.uid); got != c.want {
			t.Errorf("%s: %d, want %d", c.why, got, c.want)
		}
	}
	now = now.Add(2 * time.Hour)
	if count(3); len(r.users) != 1 {
		t.Errorf("%d users are remembered", len(r.users))
	}
	if !r.allow(3, config.Rate{}) {
		t.Error("no rate is no limit")
	}
}
