package maillog

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// writes notes each write.
type writes struct {
	list []string
	fail error
}

func (w *writes) Write(p []byte) (int, error) {
	w.list = append(w.list, string(p))
	return len(p), w.fail
}

// Lines that are logged together come in few writes and in order, each line whole
// and no write longer than a pipe keeps together, unless one line alone is.
func TestTogether(t *testing.T) {
	w := &writes{}
	o := options("stderr")
	o.Stderr = w
	l := Open(o)
	var want strings.Builder
	warn := func(n int, text string) {
		text = fmt.Sprint(n, " ", text)
		fmt.Fprintf(&want, "warning: %s\n", text)
		l.Warning(text)
	}
	l.Together(func() {
		for i := range 500 {
			warn(i, strings.Repeat("x", i%90))
		}
		l.Together(func() { warn(500, strings.Repeat("long", 3000)) })
		warn(501, "short")
	})
	if got := strings.Join(w.list, ""); got != want.String() {
		t.Fatalf("%d octets came, want %d", len(got), want.Len())
	}
	if n := want.Len() / 4096; len(w.list) > n+5 {
		t.Errorf("%d writes for %d octets", len(w.list), want.Len())
	}
	for _, one := range w.list {
		if !strings.HasSuffix(one, "\n") || len(one) > 4096 && strings.Count(one, "\n") > 1 {
			t.Errorf("a write of %d octets, %d lines, ends in %q", len(one), strings.Count(one, "\n"), one[len(one)-10:])
		}
	}
	before := len(w.list)
	l.Warning("alone")
	l.Warning("alone")
	if got := len(w.list) - before; got != 2 {
		t.Errorf("%d writes for two lines on their own", got)
	}
}

// What is held is written when f panics, and an error of that is kept.
func TestTogetherEnds(t *testing.T) {
	w := &writes{fail: errors.New("no room")}
	o := options("stderr")
	o.Stderr = w
	l := Open(o)
	func() {
		defer func() { _ = recover() }()
		l.Together(func() {
			l.Warning("held")
			panic("in f")
		})
	}()
	if len(w.list) != 1 || w.list[0] != "warning: held\n" {
		t.Errorf("written: %q", w.list)
	}
	if !errors.Is(l.Err(), w.fail) {
		t.Errorf("the error is %v", l.Err())
	}
	var none *Logger
	ran := false
	none.Together(func() { ran = true })
	if !ran {
		t.Error("without a log nothing is done")
	}
}

// The time is that of the line, though it is formatted once a second.
func TestStamp(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 999e6, time.UTC)
	s := stamp{layout: time.Stamp, now: func() time.Time { return now }}
	for _, step := range []time.Duration{0, time.Millisecond, 500 * time.Millisecond, time.Second, -time.Hour} {
		now = now.Add(step)
		if got, want := string(s.append([]byte("<22>"))), "<22>"+now.Format(time.Stamp); got != want {
			t.Errorf("after %v: got %q, want %q", step, got, want)
		}
	}
}

// A delivery in text, of which there may be thousands, allocates nothing.
func TestDeliveryAllocates(t *testing.T) {
	o := options("stderr")
	o.Stderr = discard{}
	l := Open(o)
	d := delivery()
	d.Original = "root@d"
	if n := testing.AllocsPerRun(100, func() { l.Delivery(d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
