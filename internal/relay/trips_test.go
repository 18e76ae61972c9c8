package relay

import (
	"fmt"
	"testing"

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
