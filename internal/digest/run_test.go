package digest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that only the test moves.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []timer
	armed  chan struct{} // a value for each timer
}

type timer struct {
	at time.Time
	c  chan time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), armed: make(chan struct{}, 1000)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := timer{c.now.Add(d), make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	c.armed <- struct{}{}
	return t.c
}

// advance moves the time and lets timers fire.
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	var left []timer
	for _, t := range c.timers {
		if t.at.After(c.now) {
			left = append(left, t)
			continue
		}
		t.c <- c.now
	}
	c.timers = left
}

// world is a runner in the hands of a test.
type world struct {
	t     *testing.T
	clock *clock
	in    *io.PipeWriter
	tee   *bytes.Buffer
	stop  context.CancelFunc
	ended chan Result
	sent  chan string // what Send was asked to send
	fates chan fate   // what it is to say

	mu   sync.Mutex
	told []string
}

type fate struct {
	Fate
	reason string
}

func start(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), tee: &bytes.Buffer{}, ended: make(chan Result, 1), sent: make(chan string), fates: make(chan fate)}
	r, in := io.Pipe()
	w.in = in
	if o.Every == 0 {
		o.Every = 15 * time.Minute
	}
	if o.Size == 0 {
		o.Size = MinSize
	}
	o.Now = w.clock.Now
	run := &Runner{Options: o, In: r, Tee: w.tee, After: w.clock.After, Grace: time.Second, Send: w.send,
		Tell: func(text string) { w.mu.Lock(); w.told = append(w.told, text); w.mu.Unlock() }}
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	t.Cleanup(func() { in.Close(); stop() })
	go func() { w.ended <- run.Run(ctx) }()
	return w
}

func (w *world) send(d *Digest, last bool) (Fate, string) {
	text, err := io.ReadAll(d.Text())
	if err != nil {
		w.t.Error(err)
	}
	said := string(text)
	if last {
		said = "last: " + said
	}
	w.sent <- said
	f := <-w.fates
	return f.Fate, f.reason
}

// write gives the stream some text, which is read when write returns.
func (w *world) write(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.in, text); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.in.Write(nil); err != nil { // taken only by the next Read
		w.t.Fatal(err)
	}
}

// expect waits for a message and says what becomes of it.
func (w *world) expect(text string, f Fate, reason string) {
	w.t.Helper()
	if got := <-w.sent; got != text {
		w.t.Errorf("sent %q, want %q", got, text)
	}
	w.fates <- fate{f, reason}
}

// result waits for the end.
func (w *world) result(lost int64, told ...string) {
	w.t.Helper()
	got := <-w.ended
	if got.Lost != lost || got.Read != nil || got.Tee != nil {
		w.t.Errorf("ended with %+v, want %d lines lost", got, lost)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Join(w.told, "\n") != strings.Join(told, "\n") {
		w.t.Errorf("told\n%s\nwant\n%s", strings.Join(w.told, "\n"), strings.Join(told, "\n"))
	}
}

// What comes within the time is one message; the time begins with the first
// line, and nothing is sent when there is nothing.
func TestEvery(t *testing.T) {
	w := start(t, Options{})
	w.clock.advance(time.Hour)
	w.write("one\n")
	<-w.clock.armed
	w.clock.advance(14 * time.Minute)
	w.write("two\nthr")
	w.clock.advance(time.Minute)
	w.expect("one\ntwo\n", Accepted, "")
	w.clock.advance(time.Hour)
	w.write("ee\n")
	<-w.clock.armed
	w.clock.advance(15 * time.Minute)
	w.expect("three\n", Accepted, "")
	w.clock.advance(time.Hour)
	w.write("end")
	w.in.Close()
	w.expect("last: end\n", Accepted, "")
	w.result(0)
	if w.tee.String() != "one\ntwo\nthree\nend" {
		t.Errorf("passed on %q", w.tee.String())
	}
}

func TestNothing(t *testing.T) {
	w := start(t, Options{})
	w.in.Close()
	w.result(0)
	w = start(t, Options{Match: regexp.MustCompile("x")})
	w.write("a\nb\n")
	w.in.Close()
	w.result(0)
}

// Told to end, it waits for the last word of the stream, then sends what it has.
func TestStop(t *testing.T) {
	w := start(t, Options{})
	w.write("one\n")
	<-w.clock.armed
	w.stop()
	<-w.clock.armed
	w.write("shutting down\n")
	w.in.Close()
	w.expect("last: one\nshutting down\n", Accepted, "")
	w.result(0)

	w = start(t, Options{}) // the stream does not end
	w.write("one\ntw")
	<-w.clock.armed
	w.stop()
	<-w.clock.armed
	w.clock.advance(time.Second)
	w.expect("last: one\ntw\n", Accepted, "")
	w.result(0)
}

// While a digest is being sent the stream goes on, and is passed on.
func TestSendingHoldsNothingUp(t *testing.T) {
	w := start(t, Options{Size: 16 << 10})
	w.write("one\n")
	<-w.clock.armed
	w.clock.advance(15 * time.Minute)
	<-w.sent // and now it takes its time
	var all strings.Builder
	for i := range 1000 {
		line := fmt.Sprintf("line %d of many, with some text\n", i)
		all.WriteString(line)
		w.write(line)
	}
	w.fates <- fate{Accepted, ""}
	w.in.Close()
	got := <-w.sent
	w.fates <- fate{Accepted, ""}
	w.result(0)
	if !strings.Contains(got, "lines, ") || len(got) > 17<<10 || w.tee.String() != "one\n"+all.String() {
		t.Errorf("%d octets sent, %d passed on of %d", len(got), w.tee.Len(), all.Len())
	}
}

// What cannot be sent waits and is tried again, in front of what comes then.
func TestLater(t *testing.T) {
	w := start(t, Options{})
	w.write("one\n")
	<-w.clock.armed
	w.clock.advance(15 * time.Minute)
	w.expect("one\n", Later, "no route")
	<-w.clock.armed // a minute
	w.write("two\n")
	w.clock.advance(59 * time.Second)
	w.clock.advance(time.Second)
	w.expect("one\n", Later, "no route")
	<-w.clock.armed // two
	w.clock.advance(2 * time.Minute)
	w.expect("one\n", Accepted, "")
	<-w.clock.armed // the rest of the time for what came meanwhile
	w.clock.advance(13 * time.Minute)
	w.expect("two\n", Accepted, "")
	w.in.Close()
	w.result(0, "the digest from 2026-11-24 12:00:00 to 2026-11-24 12:00:00 (lines: 1) waits to be sent: no route")
}

// Who wants a digest each ten seconds does not wait for a minute.
func TestLaterIsNotLaterThanTheNext(t *testing.T) {
	w := start(t, Options{Every: 10 * time.Second})
	w.write("one\n")
	<-w.clock.armed
	w.clock.advance(10 * time.Second)
	w.expect("one\n", Later, "no route")
	<-w.clock.armed
	w.clock.advance(10 * time.Second)
	w.expect("one\n", Accepted, "")
	w.in.Close()
	w.result(0, "the digest from 2026-11-24 12:00:00 to 2026-11-24 12:00:00 (lines: 1) waits to be sent: no route")
}

// At the end there is one try; what is lost is counted and told.
func TestLost(t *testing.T) {
	w := start(t, Options{})
	w.write("one\ntwo\n")
	<-w.clock.armed
	w.clock.advance(15 * time.Minute)
	w.expect("one\ntwo\n", Later, "no route")
	w.write("three\n")
	w.in.Close()
	w.expect("last: one\ntwo\n", Later, "no route")
	w.result(3, "the digest from 2026-11-24 12:00:00 to 2026-11-24 12:00:00 (lines: 2) waits to be sent: no route",
		"the digest from 2026-11-24 12:00:00 to 2026-11-24 12:00:00 (lines: 2) could not be sent and is lost: no route",
		"the digest from 2026-11-24 12:15:00 to 2026-11-24 12:15:00 (lines: 1) could not be sent and is lost")
}

// What is refused for good is lost, and the next message says so.
func TestRefused(t *testing.T) {
	w := start(t, Options{})
	w.write("one\n")
	<-w.clock.armed
	w.clock.advance(15 * time.Minute)
	w.expect("one\n", Refused, "552 too much")
	w.clock.advance(time.Minute)
	w.write("two\n")
	<-w.clock.armed
	w.clock.advance(15 * time.Minute)
	w.expect("[... the digest from 2026-11-24 12:00:00 to 2026-11-24 12:00:00 (lines: 1) could not be sent and is lost: 552 too much ...]\n\ntwo\n", Accepted, "")
	w.in.Close()
	w.result(1, "the digest from 2026-11-24 12:00:00 to 2026-11-24 12:00:00 (lines: 1) could not be sent and is lost: 552 too much")
}

// broken is a writer that nobody reads from, or a stream that fails.
type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// When nobody takes the stream any more the mail goes on.
func TestTeeBreaks(t *testing.T) {
	clock, pipe := newClock(), errors.New("broken pipe")
	var sent []string
	r := &Runner{Options: Options{Every: time.Minute, Size: MinSize, Now: clock.Now}, In: strings.NewReader("one\n"), Tee: broken{pipe}, After: clock.After,
		Send: func(d *Digest, _ bool) (Fate, string) { sent = append(sent, textOf(t, d)); return Accepted, "" },
		Tell: func(text string) { sent = append(sent, text) }}
	got := r.Run(t.Context())
	if got.Tee != pipe || strings.Join(sent, "|") != "--tee: broken pipe; the stream is not passed on any more|one\n" {
		t.Errorf("%+v, %q", got, sent)
	}
}

// A stream that fails is as good as one that ends, but it is told.
func TestReadFails(t *testing.T) {
	clock, failed := newClock(), errors.New("input/output error")
	var sent []string
	r := &Runner{Options: Options{Every: time.Minute, Size: MinSize, Now: clock.Now}, In: io.MultiReader(strings.NewReader("one\n"), broken{failed}), After: clock.After,
		Send: func(d *Digest, _ bool) (Fate, string) { sent = append(sent, textOf(t, d)); return Accepted, "" },
		Tell: func(text string) { sent = append(sent, text) }}
	if got := r.Run(t.Context()); got.Read != failed || strings.Join(sent, "|") != "one\n" {
		t.Errorf("%+v, %q", got, sent)
	}
}
