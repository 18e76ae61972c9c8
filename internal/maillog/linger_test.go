package maillog

import (
	"strings"
	"testing"
	"time"
)

// heard passes on what is written.
type heard chan string

func (h heard) Write(p []byte) (int, error) {
	h <- string(p)
	return len(p), nil
}

// The line of an accepted message waits for the next line, whatever that is, and
// comes before it.
func TestLinger(t *testing.T) {
	for _, test := range []struct {
		why  string
		then func(*Logger)
		want []string
	}{
		{"an outcome", func(l *Logger) { l.Delivery(Delivery{ID: "id", Status: "sent"}) }, []string{"id: from=", "id: to="}},
		{"a refusal", func(l *Logger) { l.Refused("x", 65) }, []string{"id: from=", "reject: "}},
		{"another message", func(l *Logger) { l.Accepted("two", "s", 0, 0, 1, "m") }, []string{"id: from="}},
		{"lines together", func(l *Logger) { l.Together(func() { l.Warning("x") }) }, []string{"id: from="}},
		{"the end", func(l *Logger) { l.Close() }, []string{"id: from="}},
	} {
		w := &writes{}
		o := options("stderr")
		o.Stderr, o.Linger = w, time.Hour
		l := Open(o)
		l.Accepted("id", "s", 0, 0, 1, "m")
		if len(w.list) > 0 {
			t.Errorf("%s: it did not wait: %q", test.why, w.list)
		}
		test.then(l)
		if len(w.list) != len(test.want) {
			t.Fatalf("%s: %q", test.why, w.list)
		}
		for i, line := range w.list {
			if !strings.HasPrefix(line, test.want[i]) {
				t.Errorf("%s: %d is %q, want %q", test.why, i, line, test.want[i])
			}
		}
	}
}

// If nothing comes, it does not wait for ever; without the option not at all.
func TestLingerEnds(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Millisecond} {
		w := make(heard, 2)
		o := options("stderr")
		o.Stderr, o.Linger = w, wait
		l := Open(o)
		l.Accepted("id", "s", 0, 0, 1, "m")
		if line := <-w; !strings.HasPrefix(line, "id: from=") {
			t.Errorf("%s: %q", wait, line)
		}
		if l.Close(); len(w) > 0 {
			t.Errorf("%s: it came again: %q", wait, <-w)
		}
	}
}
