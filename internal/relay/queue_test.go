package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a queue with a server and a clock.
type world struct {
	*Queue
	clock  *clock
	dir    string // of the spool
	log    fmt.Stringer
	t      *testing.T
	nextID int
}

func newWorld(t *testing.T, script smtptest.Script) (*world, *smtptest.Server) {
	t.Helper()
	s := smtptest.New(t, smtptest.Options{Script: script})
	w := &world{t: t, clock: &clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}}
	r, log := relayTo(t, s.Port())
	r.Now, r.TempDir = w.clock.Now, t.TempDir()
	r.Config.Smarthosts[0].MaxConnections, r.Config.Smarthosts[0].Window = 1, 1
	r.Config.Spool = config.Spool{RetryMin: time.Minute, RetryMax: time.Hour, Expire: 24 * time.Hour, Warn: 4 * time.Hour}
	w.dir = t.TempDir() + "/spool"
	files, err := spool.OpenLocal(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	var mu sync.Mutex
	newID := func() string {
		mu.Lock()
		defer mu.Unlock()
		w.nextID++
		return fmt.Sprintf("id%010d", w.nextID)
	}
	q, err := spool.Open(files, spool.Options{Owner: "test", Now: w.clock.Now, NewID: newID})
	if err != nil {
		t.Fatal(err)
	}
	w.log = log
	w.Queue = &Queue{Relay: r, Spool: q, Random: func() float64 { return 0.5 }, NewID: newID, Domain: "client.example"}
	return w, s
}

// serve replaces the server.
func (w *world) serve(script smtptest.Script) *smtptest.Server {
	s := smtptest.New(w.t, smtptest.Options{Script: script})
	w.Relay.Config.Smarthosts[0].Port = s.Port()
	return s
}

func (w *world) put(sender string, recipients ...string) string {
	w.t.Helper()
	id, err := w.Put(context.Background(), "", Envelope{Sender: sender, Recipients: smtp.RecipientsOf(recipients...)}, newMessage(w.t, "body of "+sender+"\n"), nil, 0, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) run() Progress {
	w.t.Helper()
	p, err := w.Run(context.Background(), RunOptions{DueOnly: true})
	if err != nil && w.t.Context().Err() != nil {
		w.t.Fatal(err)
	}
	return p
}

// waiting are the messages of a place: "id sender→recipients".
func (w *world) waiting(place string) (list []string) {
	w.t.Helper()
	entries, _, err := w.Spool.List(place)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		s, err := w.Spool.Read(e)
		if err != nil {
			w.t.Fatal(err)
		}
		var to []string
		for _, r := range s.Recipients {
			to = append(to, r.Address)
		}
		list = append(list, s.Sender+"→"+strings.Join(to, ","))
	}
	return list
}

// heard are the recipients of what a server took.
func heard(s *smtptest.Server) (to []string) {
	for _, session := range s.Sessions() {
		for _, c := range session.Commands {
			if r, ok := strings.CutPrefix(c, "RCPT TO:<"); ok {
				r, _, _ = strings.Cut(r, ">")
				to = append(to, r)
			}
		}
	}
	return to
}

// Each message goes once, over one connection, and the spool is empty then.
func TestRun(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite("PIPELINING"))
	var want []string
	for i := range 20 {
		to := fmt.Sprintf("r%d@x", i)
		w.put("s@x", to)
		want = append(want, to)
	}
	if p := w.run(); p.Sent != 20 {
		t.Errorf("%+v", p)
	}
	if got := heard(s); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if n := len(s.Sessions()); n != 1 {
		t.Errorf("%d connections", n)
	}
	if left := w.waiting("queue"); left != nil {
		t.Errorf("left: %v", left)
	}
}

// Several connections share the work and nothing goes twice.
func TestRunSideBySide(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite("PIPELINING"))
	w.Relay.Config.Smarthosts[0].MaxConnections = 4
	for i := range 100 {
		w.put("s@x", fmt.Sprintf("r%d@x", i))
	}
	w.run()
	got := heard(s)
	slices.Sort(got)
	if n := len(slices.Compact(slices.Clone(got))); n != 100 || len(got) != 100 {
		t.Errorf("%d recipients, %d different", len(got), n)
	}
	if n := len(s.Sessions()); n > 4 {
		t.Errorf("%d connections", n)
	}
}

// Delivered recipients are never tried again; those that wait are, after as long
// as the message has waited.
func TestRetry(t *testing.T) {
	later := smtptest.Polite("PIPELINING").With("RCPT TO:<LATER", smtptest.Say("451 4.7.1 greylisted"))
	w, s := newWorld(t, later)
	w.put("s@x", "good@x", "later@x")
	w.run()
	if got := w.waiting("queue"); !slices.Equal(got, []string{"s@x→later@x"}) {
		t.Fatalf("waiting: %v", got)
	}
	for _, step := range []struct {
		why   string
		wait  time.Duration
		tries int // of later@x so far
	}{
		{"not before retry_min", 59 * time.Second, 1},
		{"at retry_min", time.Second, 2},
		{"it has waited a minute: a minute more", 59 * time.Second, 2},
		{"now", time.Second, 3},
		{"it has waited two: two more", 119 * time.Second, 3},
		{"now", time.Second, 4},
		{"never longer than retry_max", 12 * time.Hour, 5},
		{"so an hour later", time.Hour, 6},
	} {
		w.clock.pass(step.wait)
		w.run()
		tries := 0
		for _, to := range heard(s) {
			if to == "later@x" {
				tries++
			}
		}
		if tries != step.tries {
			t.Errorf("%s: %d tries, want %d", step.why, tries, step.tries)
		}
	}
	good := 0
	for _, to := range heard(s) {
		if to == "good@x" {
			good++
		}
	}
	if good != 1 {
		t.Errorf("good@x got it %d times", good)
	}
	s2 := w.serve(smtptest.Polite())
	w.clock.pass(2 * time.Hour)
	w.run()
	if got := heard(s2); !slices.Equal(got, []string{"later@x"}) || w.waiting("queue") != nil {
		t.Errorf("at last: %v, waiting %v", got, w.waiting("queue"))
	}
}

// A smarthost that is away is asked once, and all wait; what is too old goes back
// all the same.
func TestAway(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite().With("_banner", smtptest.Say("421 4.3.2 busy").And(smtptest.Close)))
	for i := range 10 {
		w.put("s@x", fmt.Sprintf("r%d@x", i))
	}
	if _, err := w.Run(context.Background(), RunOptions{}); err == nil {
		t.Error("no error")
	}
	if n := len(s.Sessions()); n != 1 {
		t.Errorf("%d probes", n)
	}
	if n := len(w.waiting("queue")); n != 10 {
		t.Errorf("%d wait", n)
	}
	if n := len(w.waiting("active")); n != 0 {
		t.Errorf("%d are claimed still", n)
	}
	w.clock.pass(25 * time.Hour)
	w.run()
	s2 := w.serve(smtptest.Polite("PIPELINING"))
	w.clock.pass(2 * time.Hour)
	w.run()
	if got := reports(s2); len(got) != 10 || len(heard(s2)) != 10 {
		t.Errorf("%d reports of %d messages", len(got), len(heard(s2)))
	}
}

// An answer that is lost makes exactly that message doubtful; it goes again.
func TestLostAnswer(t *testing.T) {
	lost := smtptest.Polite("PIPELINING").With("_content", smtptest.Say("250 2.0.0 ok"), smtptest.Answer{Then: smtptest.Close})
	w, s := newWorld(t, lost)
	w.put("s@x", "a@x")
	w.put("s@x", "b@x")
	w.put("s@x", "c@x")
	w.run()
	entries, _, err := w.Spool.List("queue")
	if err != nil {
		t.Fatal(err)
	}
	maybe := map[string]bool{}
	for _, e := range entries {
		state, err := w.Spool.Read(e)
		if err != nil {
			t.Fatal(err)
		}
		maybe[state.Recipients[0].Address] = state.Recipients[0].Maybe
	}
	if _, there := maybe["a@x"]; there {
		t.Error("a@x was taken and waits")
	}
	if !maybe["b@x"] {
		t.Errorf("b@x is not marked: %v, %v", maybe, heard(s))
	}
	if maybe["c@x"] {
		t.Error("c@x is marked")
	}
	s2 := w.serve(smtptest.Polite("PIPELINING"))
	w.clock.pass(time.Hour)
	w.run()
	got := heard(s2)
	slices.Sort(got)
	if !slices.Contains(got, "b@x") || slices.Contains(got, "a@x") || w.waiting("queue") != nil {
		t.Errorf("then: %v", got)
	}
}

// A run that is told to stop finishes what is under way and leaves the rest.
func TestStop(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite("PIPELINING"))
	for i := range 50 {
		w.put("s@x", fmt.Sprintf("r%d@x", i))
	}
	ctx, stop := context.WithCancel(context.Background())
	w.Progress = func(p Progress) {
		if p.Sent == 5 {
			stop()
		}
	}
	p, err := w.Run(ctx, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	left := len(w.waiting("queue"))
	if p.Sent < 5 || p.Sent+left != 50 || len(w.waiting("active")) != 0 || len(heard(s)) != p.Sent {
		t.Errorf("%d sent, %d left, %d heard", p.Sent, left, len(heard(s)))
	}
}

// A rate is kept by sending one at a time; filters leave the others alone.
func TestPacedAndMatched(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite("PIPELINING"))
	w.Relay.Config.Smarthosts[0].Rate = config.Rate{Count: 1000, Per: time.Second}
	id := w.put("s@x", "a@x")
	w.put("s@x", "b@x")
	w.put("t@x", "c@x")
	if _, err := w.Run(context.Background(), RunOptions{Match: func(i string, st *spool.State) bool { return i == id || st.Sender == "t@x" }}); err != nil {
		t.Fatal(err)
	}
	if got := heard(s); !slices.Equal(got, []string{"a@x", "c@x"}) {
		t.Errorf("got %v", got)
	}
	if got := w.waiting("queue"); !slices.Equal(got, []string{"s@x→b@x"}) {
		t.Errorf("left %v", got)
	}
}

// 8-bit mail in the spool is recoded for a server that takes 7 bits only.
func TestRunRecodes(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite("PIPELINING"))
	if _, err := w.Put(context.Background(), "", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x")}, newMessage(t, "grüße\n"), nil, 0, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.run()
	if got := string(s.Sessions()[0].Messages[0]); !strings.HasSuffix(got, "gr=C3=BC=C3=9Fe\r\n") || !strings.HasPrefix(got, "Subject: x\r\n") {
		t.Errorf("%q", got)
	}
}
