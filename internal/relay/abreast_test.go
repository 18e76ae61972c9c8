package relay

import (
	"context"
	"fmt"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// stopped is how a run is stopped again and again.
type stopped struct {
	connections, window int
	messages            int
	stride              int // from one stop to the next, in steps
}

// stopAbreast puts messages, stops a run over several connections, perhaps with a
// window, before step at, and runs the queue again from what is left. It tells how
// often each message came, and how many steps there were.
func stopAbreast(t *testing.T, how stopped, aside bool, at int, cut func(*spooltest.Disk) spool.FS) (took map[string]int, steps int) {
	t.Helper()
	sink := smtptest.NewSink(t, smtptest.SinkOptions{})
	f := spooltest.NewDisk()
	setup, err := newDesk(t, f, sink.Port(), "setupsetup")
	if err != nil {
		t.Fatal(err)
	}
	for i := range how.messages {
		env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(fmt.Sprintf("r%d@x", i))}
		if _, err := setup.Put(context.Background(), "", env, newMessage(t, "x"), nil, 0, setup.now); err != nil {
			t.Fatal(err)
		}
	}
	s := spooltest.NewSteps(f, at, spooltest.Stop, nil)
	line := smtptest.NewProxy(t, sink.Addr(), smtptest.ProxyOptions{})
	s.OnStop(line.Close)
	if first, err := newDesk(t, s, line.Port(), "firstfirst"); err == nil {
		h := first.Relay.Config.Smarthosts[0]
		first.aside, h.MaxConnections, h.Window = aside, how.connections, how.window
		// What goes wrong is seen by what is left.
		_, _ = first.Run(context.Background(), RunOptions{DueOnly: true})
	}
	later, err := newDesk(t, cut(f), sink.Port(), "laterlater", "firstfirst")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := later.Run(context.Background(), RunOptions{}); err != nil {
		t.Error(err)
	}
	if all, _, err := later.Spool.All(); len(all) > 0 || err != nil {
		t.Errorf("stopped before step %d: left %v %v", at, all, err)
	}
	took, _ = tally(sink)
	return took, len(s.Log())
}

// A run over several connections that ends anywhere, with the power or without,
// loses nothing, and at most one message of each connection goes twice: that they
// share the syncing of a directory makes the promise no weaker.
func TestRunStoppedAbreast(t *testing.T) {
	testStopped(t, stopped{connections: 4, window: 1, messages: 20, stride: 5})
}

// With a window at most as many go twice as may be in flight, also when the run ends
// while outcomes that came together are written down.
func TestRunStoppedInWindow(t *testing.T) {
	testStopped(t, stopped{connections: 1, window: 4, messages: 12, stride: 3})
}

func testStopped(t *testing.T, how stopped) {
	for _, end := range []struct {
		name string
		cut  func(*spooltest.Disk) spool.FS
		from int // the step to begin with, so that all come to more of them
	}{{"killed", asItIs, 0}, {"power cut at worst", atWorst, 2}, {"power cut at best", atBest, 4}} {
		hereAndFar(t, end.name, func(t *testing.T, aside bool) {
			twice := 0
			for n, more := end.from, true; more; n += how.stride {
				took, steps := stopAbreast(t, how, aside, n, end.cut)
				more = n < steps
				doubled := 0
				for i := range how.messages {
					switch took[fmt.Sprintf("r%d@x", i)] {
					case 1:
					case 2:
						doubled++
					default:
						t.Errorf("stopped before step %d: r%d came %d times", n, i, took[fmt.Sprintf("r%d@x", i)])
					}
				}
				if doubled > how.connections*how.window || !more && doubled > 0 {
					t.Errorf("stopped before step %d of %d: %d messages came twice over %d connections", n, steps, doubled, how.connections)
				}
				twice += doubled
			}
			if twice == 0 {
				t.Error("no stop came between a server's answer and its being written down: the test misses the point")
			}
		})
	}
}
