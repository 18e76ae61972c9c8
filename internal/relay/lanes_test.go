package relay

import (
	"context"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// splitDesk is a desk with one smarthost for recipients at in, and one for others.
func splitDesk(t *testing.T, f spool.FS, in, out *smtptest.Sink, owner spool.Owner, dead ...spool.Owner) (*desk, error) {
	t.Helper()
	d, err := newDesk(t, f, out.Port(), owner, dead...)
	h := *d.Relay.Config.Smarthosts[0]
	h.Port, h.Recipients = in.Port(), []config.Pattern{"*@in"}
	d.Relay.Config.Smarthosts = append([]*config.Smarthost{&h}, d.Relay.Config.Smarthosts...)
	return d, err
}

// splitRun puts a message for both smarthosts, stops a run of it before step at,
// and runs it again later. It tells who got it in each run, and how many steps
// there were.
func splitRun(t *testing.T, at int, cut func(*spooltest.Disk) spool.FS) (first, later map[string]int, steps int) {
	t.Helper()
	f := spooltest.NewDisk()
	sink := func() *smtptest.Sink { return smtptest.NewSink(t, smtptest.SinkOptions{}) }
	in, out, in2, out2 := sink(), sink(), sink(), sink()
	setup, err := splitDesk(t, f, in, out, "setupsetup")
	if err != nil {
		t.Fatal(err)
	}
	env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@in", "b@out")}
	if _, err := setup.Put(context.Background(), "", env, newMessage(t, "x"), nil, 0, setup.now); err != nil {
		t.Fatal(err)
	}
	s := spooltest.NewSteps(f, at, spooltest.Stop, nil)
	if d, err := splitDesk(t, s, in, out, "firstfirst"); err == nil {
		// What goes wrong is seen by what is left.
		_, _ = d.Run(context.Background(), RunOptions{DueOnly: true})
	}
	d, err := splitDesk(t, cut(f), in2, out2, "laterlater", "firstfirst")
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(2 * time.Hour)
	if _, err := d.Run(context.Background(), RunOptions{DueOnly: true}); err != nil {
		t.Error(err)
	}
	if all, _, err := d.Spool.All(); len(all) > 0 || err != nil {
		t.Errorf("stopped before step %d: left %v %v", at, all, err)
	}
	first, _ = tally(in, out)
	later, _ = tally(in2, out2)
	return first, later, len(s.Log())
}

// A run that ends anywhere on the way of a message from one smarthost to the next,
// with the power or without, sends it to each recipient, and to one of them twice
// at most: the one whose outcome was not durable yet.
func TestRunStoppedBetweenSmarthosts(t *testing.T) {
	for name, cut := range map[string]func(*spooltest.Disk) spool.FS{"killed": asItIs, "power cut at worst": atWorst, "power cut at best": atBest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twice, between := 0, 0
			for n, more := 0, true; more; n++ {
				first, later, steps := splitRun(t, n, cut)
				more = n < steps
				a, b := first["a@in"]+later["a@in"], first["b@out"]+later["b@out"]
				if min(a, b) != 1 || max(a, b) > 2 || !more && max(a, b) > 1 {
					t.Errorf("stopped before step %d: first %v, later %v", n, first, later)
				}
				twice += max(a, b) - 1
				if first["a@in"] == 1 && later["a@in"] == 0 && later["b@out"] == 1 {
					between++
				}
			}
			if twice < 2 || between == 0 {
				t.Errorf("%d times twice, %d stops between the two: the test misses the point", twice, between)
			}
		})
	}
}
