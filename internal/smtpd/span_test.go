package smtpd

import (
	"bufio"
	"strings"
	"testing"
	"time"
)

// How long is waited for what comes next.
func TestSpan(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		why                 string
		whole               time.Duration
		size                int64
		after               time.Duration // since the beginning
		octets              int
		wantRead, wantWrite time.Duration // from then on
	}{
		{"at the beginning a command has its time", time.Hour, 0, 0, 0, time.Minute, time.Minute},
		{"near the end it has what is left", time.Hour, 0, time.Hour - 30*time.Second, 0, 30 * time.Second, 30 * time.Second},
		{"after it there is time for a last reply only", time.Hour, 0, 2 * time.Hour, 0, -time.Hour, farewellTime},
		{"100 MB that come at their time go on", time.Hour, 100 << 20, 3 * time.Hour, 100 << 20, 3600 * time.Second / 60, time.Minute},
		{"what comes slower does not", time.Hour, 100 << 20, 2 * time.Hour, 10 << 20, -(3600 - 1024) * time.Second, farewellTime},
		{"more than a message may have is no reason to wait", time.Hour, 10 << 20, 2 * time.Hour, 100 << 20, -(3600 - 1024) * time.Second, farewellTime},
		{"no bound", 0, 0, 48 * time.Hour, 0, time.Minute, time.Minute},
	} {
		now := start
		s := newSpan(&Options{Whole: tt.whole, MaxSize: tt.size, Now: func() time.Time { return now }})
		s.came(tt.octets)
		now = start.Add(tt.after)
		if got := s.read(now, time.Minute).Sub(now); got != tt.wantRead {
			t.Errorf("%s: waits %v, want %v", tt.why, got, tt.wantRead)
		}
		if got := s.write(now, time.Minute).Sub(now); got != tt.wantWrite {
			t.Errorf("%s: writes within %v, want %v", tt.why, got, tt.wantWrite)
		}
		// A message that is taken gives all of it anew.
		if s.begin(); s.read(now, time.Minute) != now.Add(time.Minute) {
			t.Errorf("%s: nothing new", tt.why)
		}
	}
}

// Who says something all the time, and never sends a message, is cut off, and told.
func TestWholeDialogue(t *testing.T) {
	o := serviceOptions(t, &recorder{})
	o.Timeout, o.Whole = 20*time.Second, 50*time.Millisecond
	_, dial := listen(t, o)
	c := dial()
	r := bufio.NewReader(c)
	for began := time.Now(); ; {
		line, err := r.ReadString('\n')
		if err != nil || time.Since(began) > 10*time.Second {
			t.Fatalf("%q, %v", line, err)
		}
		if strings.HasPrefix(line, "421 4.4.2 ") {
			return
		}
		if _, err := c.Write([]byte("NOOP\r\n")); err != nil && !strings.Contains(err.Error(), "broken pipe") {
			t.Fatal(err)
		}
	}
}

// Messages that are taken keep a connection as long as they come.
func TestWholeIsPerMessage(t *testing.T) {
	now := time.Now()
	o := serviceOptions(t, &recorder{})
	o.Timeout, o.Whole = 20*time.Second, time.Hour
	o.Now = func() time.Time { return now }
	s, dial := listen(t, o)
	c := newClient(t, dial())
	c.begins()
	c.says("DATA", "354 ")
	c.says("Subject: x\r\n\r\nbody\r\n.", "250 2.0.0 ")
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.wires {
		if n := w.span.octets.Load(); n != 0 {
			t.Errorf("%d octets are still counted", n)
		}
	}
}
