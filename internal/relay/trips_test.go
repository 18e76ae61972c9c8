package relay

import (
	"fmt"
	"testing"
	"time"

	"postern/internal/smtptest"
)

// What a run waits for: on each connection the hello and the first envelope, then
// once for each message, whose content goes with the envelope of the next; the
// goodbye goes with the last. That there are more connections, or that they begin
// before the first is ready, costs no more.
func TestRunTrips(t *testing.T) {
	const messages = 100
	for _, test := range []struct{ connections, most int }{{1, 1}, {4, 4}, {20, 20}, {100, messages / 5}} {
		t.Run(fmt.Sprint(test.connections), func(t *testing.T) {
			t.Parallel()
			w, s := newWorld(t, smtptest.Polite("PIPELINING"))
			p := smtptest.NewProxy(t, s.Addr(), smtptest.ProxyOptions{})
			h := w.Relay.Config.Smarthosts[0]
			h.Port, h.MaxConnections = p.Port(), test.connections
			for i := range messages {
				w.put("s@x", fmt.Sprintf("r%d@x", i))
			}
			if p := w.run(); p.Sent != messages {
				t.Errorf("%+v", p)
			}
			if n := len(s.Sessions()); n > test.most {
				t.Errorf("%d connections", n)
			}
			if got, want := p.Turnarounds(), 2*len(s.Sessions())+messages; got != want {
				t.Errorf("%d times waited over %d connections, want %d", got, len(s.Sessions()), want)
			}
		})
	}
}

// With a window it is the hello and two messages alone on each connection, then one
// for every ten messages, and perhaps one for what is left, and the goodbye.
func TestRunTripsWindow(t *testing.T) {
	const messages = 100
	for _, connections := range []int{1, 4, 20} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			t.Parallel()
			line := swift(t, smtptest.ProxyOptions{RoundTrip: 5 * time.Millisecond})
			w, _ := newWorld(t, smtptest.Polite())
			h := w.Relay.Config.Smarthosts[0]
			h.Port, h.MaxConnections, h.Window = line.Port(), connections, 10
			for i := range messages {
				w.put("s@x", fmt.Sprintf("r%d@x", i))
			}
			if p := w.run(); p.Sent != messages {
				t.Errorf("%+v", p)
			}
			most := 1 + 2 + 10 + 1
			if connections > 1 {
				most = connections*(1+2+1+1) + 10
			}
			if got := line.Turnarounds(); got > most {
				t.Errorf("%d times waited, want %d at most", got, most)
			}
		})
	}
}
