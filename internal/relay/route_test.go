package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// inside gives a world a second smarthost, for recipients at in, in front of
// the first.
func (w *world) inside(script smtptest.Script) *smtptest.Server {
	w.t.Helper()
	s := smtptest.New(w.t, smtptest.Options{Script: script})
	h := *w.Relay.Config.Smarthosts[0]
	h.Name, h.Port, h.Recipients = "inside", s.Port(), []config.Pattern{"*@in"}
	w.Relay.Config.Smarthosts = append([]*config.Smarthost{&h}, w.Relay.Config.Smarthosts...)
	return s
}

func TestGroups(t *testing.T) {
	r := &Relay{Config: &config.Config{Path: "/f", Smarthosts: []*config.Smarthost{
		{Name: "idn", Recipients: []config.Pattern{"*@xn--bro-hoa.example"}},
		{Name: "in", Recipients: []config.Pattern{"*@in"}, Senders: []config.Pattern{"*@xn--bro-hoa.example", "<>"}},
	}}}
	for _, row := range []struct{ why, sender, recipients, want string }{
		{"places in the order of the file, what none takes at the end", "", "a@in b@y c@büro.example d@in", "idn[2] in[0 3] none[1]"},
		{"the sender's domain in Unicode", "s@büro.example", "a@in", "in[0]"},
		{"another sender", "s@x", "a@in", "none[0]"},
		{"nobody", "s@x", "", ""},
	} {
		var got []string
		for _, g := range r.Groups(row.sender, smtp.RecipientsOf(strings.Fields(row.recipients)...)) {
			name := "none"
			if g.Host != nil {
				name = g.Host.Name
			}
			got = append(got, fmt.Sprint(name, g.Who))
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: got %v, want %s", row.why, got, row.want)
		}
	}
}

// A smarthost that hangs keeps the recipients of the other one not waiting, and
// each has its own outcome, in the order of the envelope.
func TestDeliverSideBySide(t *testing.T) {
	w, out := newWorld(t, smtptest.Polite("PIPELINING"))
	w.inside(smtptest.Polite().With("_banner", smtptest.Answer{Then: smtptest.Silence}))
	w.Relay.Patience = 100 * time.Millisecond
	w.Relay.Now = time.Now
	o := w.Relay.Deliver(context.Background(), "id1", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@out", "b@in", "c@out")}, newMessage(t, ""))
	if o[0].Status != Sent || o[1].Status != Deferred || o[2].Status != Sent || o[1].Recipient != "b@in" {
		t.Errorf("%+v", o)
	}
	if got := heard(out); !slices.Equal(got, []string{"a@out", "c@out"}) {
		t.Errorf("heard %v", got)
	}
}

// Who has no smarthost fails with an error about the file; the others are sent.
func TestUnroutable(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite())
	w.Relay.Config.Path = "/etc/f.toml"
	w.Relay.Config.Smarthosts[0].Recipients = []config.Pattern{"*@in"}
	env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@out", "b@in")}
	o := w.Relay.Deliver(context.Background(), "id1", env, newMessage(t, ""))
	var e *config.Error
	if o[0].Status != Failed || !errors.As(o[0].Err, &e) || e.File != "/etc/f.toml" || o[0].OfConnection() || o[1].Status != Sent {
		t.Errorf("%+v", o)
	}
	left, routed := w.Relay.Route("id1", env, 0)
	if len(left.Recipients) != 1 || left.Recipients[0].Address != "b@in" || routed[0].Status != Failed || routed[1].Status != Queued {
		t.Errorf("%+v, %+v", left, routed)
	}
	if got := heard(s); !slices.Equal(got, []string{"b@in"}) {
		t.Errorf("heard %v", got)
	}
}

// One message, three fates: each recipient by its smarthost, what is done is not
// done again, and the file changed in between is no reason to bounce.
func TestRunBySmarthost(t *testing.T) {
	w, out := newWorld(t, smtptest.Polite("PIPELINING").With("RCPT TO:<BAD", smtptest.Say("550 5.1.1 no such user")))
	in := w.inside(smtptest.Polite("PIPELINING").With("RCPT TO:<LATER", smtptest.Say("451 4.7.1 greylisted")))
	w.put("s@x", "a@in", "b@out", "later@in", "bad@out")
	w.put("s@x", "only@out")
	w.put("s@x", "only@in")
	p := w.run()
	if p.Sent != 5 || p.Failed != 1 || p.Deferred != 1 || p.Left != 0 { // one is the report
		t.Errorf("%+v", p)
	}
	if got := heard(in); !slices.Equal(got, []string{"a@in", "later@in", "only@in"}) {
		t.Errorf("inside: %v", got)
	}
	got := heard(out)
	slices.Sort(got)
	if !slices.Equal(got, []string{"b@out", "bad@out", "only@out", "s@x"}) {
		t.Errorf("outside: %v", got)
	}
	if got := w.waiting("queue"); !slices.Equal(got, []string{"s@x→later@in"}) {
		t.Errorf("waiting: %v", got)
	}
	entries, _, err := w.Spool.List("queue")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := w.Spool.Read(entries[0]); err != nil || s.Attempts != 1 || s.Done != 2 || !entries[0].Due.After(w.clock.Now()) {
		t.Errorf("%+v %v due %v", s, err, entries[0].Due)
	}
	w.Relay.Config.Smarthosts = w.Relay.Config.Smarthosts[:1]
	w.Relay.Config.Smarthosts[0].Recipients = []config.Pattern{"*@elsewhere"}
	w.clock.pass(time.Hour)
	if _, err := w.Run(context.Background(), RunOptions{}); err == nil || !strings.Contains(err.Error(), "no smarthost takes") {
		t.Errorf("err %v", err)
	}
	if got := w.waiting("queue"); !slices.Equal(got, []string{"s@x→later@in"}) {
		t.Errorf("waiting: %v", got)
	}
}

// A smarthost that is away is asked once; the other one gets all that is its own.
func TestOneAway(t *testing.T) {
	w, out := newWorld(t, smtptest.Polite("PIPELINING"))
	in := w.inside(smtptest.Polite().With("_banner", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)))
	for i := range 10 {
		w.put("s@x", fmt.Sprintf("r%d@in", i), fmt.Sprintf("r%d@out", i))
	}
	if _, err := w.Run(context.Background(), RunOptions{}); err == nil {
		t.Error("no error")
	}
	if n, m := len(in.Sessions()), len(heard(out)); n != 1 || m != 10 {
		t.Errorf("%d probes inside, %d recipients outside", n, m)
	}
	if got := w.waiting("queue"); len(got) != 10 || got[0] != "s@x→r0@in" {
		t.Errorf("waiting: %v", got)
	}
	if got := w.waiting("active"); got != nil {
		t.Errorf("active: %v", got)
	}
}

// A crash between two smarthosts loses nothing, and sends nothing twice.
func TestStopBetweenSmarthosts(t *testing.T) {
	w, out := newWorld(t, smtptest.Polite("PIPELINING"))
	in := w.inside(smtptest.Polite("PIPELINING"))
	for i := range 20 {
		w.put("s@x", fmt.Sprintf("r%d@in", i), fmt.Sprintf("r%d@out", i))
	}
	ctx, stop := context.WithCancel(context.Background())
	w.Progress = func(p Progress) {
		if p.Sent == 7 {
			stop()
		}
	}
	if _, err := w.Run(ctx, RunOptions{}); err != nil {
		t.Fatal(err)
	}
	w.Progress = nil
	w.run()
	for name, s := range map[string]*smtptest.Server{"in": in, "out": out} {
		got := heard(s)
		slices.Sort(got)
		if n := len(slices.Compact(slices.Clone(got))); n != 20 || len(got) != 20 {
			t.Errorf("%s: %d recipients, %d different", name, len(got), n)
		}
	}
	if got := w.waiting("queue"); got != nil {
		t.Errorf("left: %v", got)
	}
}

// pair makes the world's smarthost a list of two hosts with the same port.
func (w *world) pair(first, second smtptest.Script) (a, b *smtptest.Server) {
	w.t.Helper()
	a = smtptest.New(w.t, smtptest.Options{Script: first})
	b = smtptest.New(w.t, smtptest.Options{Script: second, Address: fmt.Sprintf("127.0.0.2:%d", a.Port())})
	h := w.Relay.Config.Smarthosts[0]
	h.Hosts, h.Port = []string{"127.0.0.1", "127.0.0.2"}, a.Port()
	return a, b
}

// What the first host takes for nobody now, the second gets, once, in a run too;
// when there is no second, what the first said counts.
func TestFailoverInRun(t *testing.T) {
	polite := smtptest.Polite("PIPELINING")
	for _, row := range []struct {
		why           string
		first, second smtptest.Script
		a, b          int // recipients offered
		waiting       int
	}{
		{"MAIL", polite.With("MAIL", smtptest.Say("451 4.3.0 later")), polite, 12, 12, 0},
		{"every recipient", polite.With("RCPT", smtptest.Say("451 4.3.0 later")), polite, 12, 12, 0},
		{"DATA", polite.With("DATA", smtptest.Say("451 4.3.0 later")), polite, 12, 12, 0},
		{"a clear answer to the content", polite.With("_content", smtptest.Say("452 4.3.1 full")), polite, 12, 12, 0},
		{"one of them only", polite.With("RCPT TO:<R7@", smtptest.Say("451 4.7.1 greylisted")), polite, 12, 1, 0},
		{"both", polite.With("MAIL", smtptest.Say("451 4.3.0 later")), polite.With("MAIL", smtptest.Say("452 4.3.0 me too")), 12, 12, 12},
		{"the second is away", polite.With("MAIL", smtptest.Say("451 4.3.0 later")),
			polite.With("_banner", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)), 12, 0, 12},
		{"refused for good", polite.With("RCPT", smtptest.Say("550 5.1.1 no")), polite, 12, 0, 0},
	} {
		rates := []int{0}
		if row.why == "MAIL" || row.why == "both" || row.why == "the second is away" {
			rates = append(rates, 100000)
		}
		for _, rate := range rates {
			w, _ := newWorld(t, polite)
			w.Relay.Config.Smarthosts[0].MaxConnections = 3
			w.Relay.Config.Smarthosts[0].Rate = config.Rate{Count: rate, Per: time.Second}
			a, b := w.pair(row.first, row.second)
			for i := range 12 {
				w.put("", fmt.Sprintf("r%d@x", i))
			}
			w.run()
			unique := func(s *smtptest.Server) int {
				got := heard(s)
				slices.Sort(got)
				return len(slices.Compact(got))
			}
			if ua, ub, n := unique(a), unique(b), len(w.waiting("queue")); ua > row.a || ub != row.b || n != row.waiting {
				t.Errorf("%s, rate %d: %d and %d recipients offered, %d wait", row.why, rate, ua, ub, n)
			}
			if n := len(heard(b)); n != row.b && row.why != "both" {
				t.Errorf("%s, rate %d: the second was offered %d, some twice", row.why, rate, n)
			}
			if got := w.waiting("active"); got != nil {
				t.Errorf("%s, rate %d: active: %v", row.why, rate, got)
			}
		}
	}
}

// Never after a lost answer.
func TestNoFailoverOfTheUnknown(t *testing.T) {
	polite := smtptest.Polite("PIPELINING")
	w, _ := newWorld(t, polite)
	_, b := w.pair(polite.With("_content", smtptest.Answer{Then: smtptest.Close}), polite)
	o := w.Relay.Deliver(context.Background(), "id1", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x")}, newMessage(t, ""))
	if o[0].Status != Unknown {
		t.Errorf("%+v", o)
	}
	w.put("s@x", "b@x")
	w.run()
	if n := len(heard(b)); n != 0 {
		t.Errorf("the second host was offered %d", n)
	}
}
