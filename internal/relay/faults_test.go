package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"postern/internal/config"
	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// desk is a queue over a file system of a test's choice.
type desk struct {
	*Queue
	now time.Time
}

func newDesk(t *testing.T, f spool.FS, port int, owner spool.Owner, dead ...spool.Owner) (*desk, error) {
	t.Helper()
	d := &desk{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	r, _ := relayTo(t, port)
	r.Now, r.TempDir = func() time.Time { return d.now }, t.TempDir()
	r.Config.Smarthosts[0].MaxConnections, r.Config.Smarthosts[0].Window = 1, 1
	r.Config.Spool = config.Spool{RetryMin: time.Minute, RetryMax: time.Hour, Expire: 24 * time.Hour, Warn: 4 * time.Hour}
	n := 0
	newID := func() string { n++; return fmt.Sprintf("%.9s%03d", owner, n) }
	q, err := spool.Open(f, spool.Options{Owner: owner, Now: r.Now, NewID: newID,
		Alive: func(o spool.Owner) (bool, bool) { return !slices.Contains(dead, o), true }})
	d.Queue = &Queue{Relay: r, Spool: q, Random: func() float64 { return 0.5 }, NewID: newID, Domain: "client.example"}
	return d, err
}

// tally is what a server took: the recipients of the message, and of reports.
func tally(sinks ...*smtptest.Sink) (took map[string]int, reports int) {
	took = map[string]int{}
	var all []smtptest.Delivery
	for _, s := range sinks {
		all = append(all, s.Deliveries()...)
	}
	for _, d := range all {
		for _, to := range d.To {
			took[to]++
		}
		if d.From == "" && strings.Contains(string(d.Data), "Final-Recipient: rfc822; bad@x") {
			reports++
		}
	}
	return took, reports
}

// disturbed is what is left of a run in which a step of the file system went
// wrong, after one without.
type disturbed struct {
	steps    int
	took     map[string]int
	reports  int
	held     []string // on hold: a person has to look
	leftover []string
}

// disturb puts a message for four recipients, of which one is refused for good
// and one for now, and another for one; runs the queue with a fault; and runs it
// again without. With cut, the power fails in between. With aside, what became of a
// message is written while the connection goes on.
func disturb(t *testing.T, aside bool, at int, kind spooltest.Kind, fault error, cut func(*spooltest.Disk) spool.FS) disturbed {
	t.Helper()
	noUser := &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	busy := &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 7, 1}, Message: "later"}
	one := smtptest.NewSink(t, smtptest.SinkOptions{Refuse: map[string]*gosmtp.SMTPError{"bad@x": noUser, "later@x": busy}})
	two := smtptest.NewSink(t, smtptest.SinkOptions{Refuse: map[string]*gosmtp.SMTPError{"bad@x": noUser}})
	f := spooltest.NewDisk()
	setup, err := newDesk(t, f, one.Port(), "setupsetup")
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range [][]string{{"good@x", "fine@x", "bad@x", "later@x"}, {"alone@x"}} {
		if _, err := setup.Put(context.Background(), "", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(to...)}, newMessage(t, "x"), nil, 0, setup.now); err != nil {
			t.Fatal(err)
		}
	}
	steps := spooltest.NewSteps(f, at, kind, fault)
	line := smtptest.NewProxy(t, one.Addr(), smtptest.ProxyOptions{})
	steps.OnStop(line.Close)
	if first, err := newDesk(t, steps, line.Port(), "firstfirst"); err == nil {
		first.aside = aside
		// What goes wrong is seen by what is left.
		_, _ = first.Run(context.Background(), RunOptions{DueOnly: true})
	}
	return afterwards(t, cut(f), steps, one, two)
}

// afterwards runs the queue once more, with the second server, and says what is left.
func afterwards(t *testing.T, f spool.FS, steps *spooltest.Steps, one, two *smtptest.Sink) disturbed {
	t.Helper()
	later, err := newDesk(t, f, two.Port(), "laterlater", "firstfirst")
	if err != nil {
		t.Fatal(err)
	}
	later.now = later.now.Add(2 * time.Hour)
	if _, err := later.Run(context.Background(), RunOptions{DueOnly: true}); err != nil {
		t.Error(err)
	}
	d := disturbed{steps: len(steps.Log())}
	d.took, d.reports = tally(one, two)
	all, _, err := later.Spool.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Place == "hold" {
			d.held = append(d.held, e.ID)
		} else {
			d.leftover = append(d.leftover, e.Place+" "+e.ID)
		}
	}
	return d
}

// What a disk has after a run: all, or what a power cut leaves at worst or at best.
func asItIs(d *spooltest.Disk) spool.FS  { return d }
func atWorst(d *spooltest.Disk) spool.FS { return d.Crashes()[0].FS }
func atBest(d *spooltest.Disk) spool.FS  { c := d.Crashes(); return c[len(c)-1].FS }

var everybody = []string{"good@x", "fine@x", "alone@x", "later@x"}

// hereAndFar runs a test as on a spool of this host, and as on one that is far away.
func hereAndFar(t *testing.T, name string, test func(t *testing.T, aside bool)) {
	for where, aside := range map[string]bool{"here": false, "far": true} {
		t.Run(name+"/"+where, func(t *testing.T) {
			t.Parallel()
			test(t, aside)
		})
	}
}

// I5, I7: whatever step of a run fails, and in whatever way, no recipient gets the
// message twice, and who did not get it is in the spool still.
func TestRunFaults(t *testing.T) {
	for _, fault := range []struct {
		kind spooltest.Kind
		err  error
	}{{spooltest.Refuse, syscall.EIO}, {spooltest.Half, syscall.ENOSPC}, {spooltest.Late, syscall.EIO}, {spooltest.Full, syscall.ENOSPC}} {
		hereAndFar(t, fault.kind.String(), func(t *testing.T, aside bool) {
			held := 0
			for n, more := 0, true; more; n++ {
				d := disturb(t, aside, n, fault.kind, fault.err, asItIs)
				more = n < d.steps
				held += len(d.held)
				for _, to := range everybody {
					if d.took[to] > 1 || d.took[to] == 0 && len(d.held) == 0 {
						t.Errorf("step %d: %s got it %d times; held %v", n, to, d.took[to], d.held)
					}
				}
				if d.reports != 1 && len(d.held) == 0 || d.reports > 1 {
					t.Errorf("step %d: %d reports", n, d.reports)
				}
				if len(d.leftover) > 0 {
					t.Errorf("step %d: left: %v", n, d.leftover)
				}
			}
			if (held > 0) != (fault.kind == spooltest.Full) {
				t.Errorf("%d times a person had to look", held)
			}
		})
	}
}

// A run that is cut off anywhere, with the power or without, loses nothing. What
// goes twice is what was on its way: the message that the server had just taken,
// or the report of it.
func TestRunStopped(t *testing.T) {
	for _, power := range []struct {
		name string
		cut  func(*spooltest.Disk) spool.FS
	}{{"killed", asItIs}, {"power cut at worst", atWorst}, {"power cut at best", atBest}} {
		hereAndFar(t, power.name, func(t *testing.T, aside bool) {
			twice := 0
			for n, more := 0, true; more; n++ {
				d := disturb(t, aside, n, spooltest.Stop, nil, power.cut)
				more = n < d.steps
				twice += d.check(t, n, more)
			}
			if twice == 0 {
				t.Error("no stop came between the server's answer and its being written down: the test misses the point")
			}
		})
	}
}

// check asserts what must hold after a stop before step n, and counts the messages
// that went twice.
func (d disturbed) check(t *testing.T, n int, stopped bool) (twice int) {
	doubled := map[string]bool{}
	for _, to := range everybody {
		switch d.took[to] {
		case 1:
		case 2:
			doubled[to] = true
		default:
			t.Errorf("stopped before step %d: %s got it %d times", n, to, d.took[to])
		}
	}
	if doubled["later@x"] || doubled["alone@x"] && doubled["good@x"] || doubled["good@x"] != doubled["fine@x"] {
		t.Errorf("stopped before step %d: more than one message went twice: %v", n, d.took)
	}
	if !stopped && len(doubled) > 0 {
		t.Errorf("after the end of the run: %v", d.took)
	}
	if d.reports < 1 || d.reports > 2 || len(d.leftover)+len(d.held) > 0 {
		t.Errorf("stopped before step %d: %d reports; left %v %v", n, d.reports, d.leftover, d.held)
	}
	return min(len(doubled), 1)
}
