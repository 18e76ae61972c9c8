// Package health keeps a few figures about deliveries in a small file, so that a
// later process can tell whether mail leaves this machine: --health, and a text
// file for Prometheus.
//
// It never harms mail: what it cannot write is lost, and its caller may say so. A
// file that is missing or broken is a beginning.
package health

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// fileName is the state's in its directory.
const fileName = "health.json"

// maxFile bounds the state.
const maxFile = 64 << 10

// maxError bounds the text of the last error.
const maxError = 500

// State is what is known. The counters are of recipients since Since.
type State struct {
	Since    time.Time `json:"since"`
	Sent     int64     `json:"sent"`
	Deferred int64     `json:"deferred"`
	Failed   int64     `json:"failed"` // refused for good
	Queued   int64     `json:"queued"`

	LastSuccess time.Time `json:"last_success"`
	LastError   time.Time `json:"last_error"`
	ErrorText   string    `json:"error_text"`
	// Away is when the smarthost could last not be used at all: no connection, no
	// TLS, no login.
	Away time.Time `json:"away"`

	Queue Queue `json:"queue"`
}

// Queue is the spool as it was at At.
type Queue struct {
	At      time.Time `json:"at"`
	Waiting int       `json:"waiting"`
	Parked  int       `json:"parked"` // undeliverable, or put on hold
	Oldest  time.Time `json:"oldest"` // arrival of the oldest that waits; zero if none does
}

// Failing says why mail does not leave the machine now; "" if it does as far as
// is known. patience is how long a message may wait.
func (s *State) Failing(now time.Time, patience time.Duration) string {
	switch {
	case !s.Away.IsZero() && s.Away.After(s.LastSuccess):
		return "the smarthost cannot be used: " + s.ErrorText
	case !s.Queue.Oldest.IsZero() && now.Sub(s.Queue.Oldest) > patience:
		return "mail waits longer than " + patience.String()
	}
	return ""
}

// add merges what one process has seen.
func (s *State) add(n *State) {
	if s.Since.IsZero() {
		s.Since = n.Since
	}
	s.Sent += n.Sent
	s.Deferred += n.Deferred
	s.Failed += n.Failed
	s.Queued += n.Queued
	s.LastSuccess = later(s.LastSuccess, n.LastSuccess)
	s.Away = later(s.Away, n.Away)
	if n.LastError.After(s.LastError) {
		s.LastError, s.ErrorText = n.LastError, n.ErrorText
	}
	if n.Queue.At.After(s.Queue.At) {
		s.Queue = n.Queue
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Recorder gathers what one process sees. A nil one records nothing. It may be
// used by several goroutines.
type Recorder struct {
	// Dir holds the state; processes share it.
	Dir string
	// Metrics is a file for Prometheus; "" for none.
	Metrics string
	Now     func() time.Time

	mu    sync.Mutex
	seen  State
	dirty bool
}

// Outcome is what became of a message for one recipient.
type Outcome int

// Outcomes of a recipient.
const (
	Sent Outcome = iota
	Deferred
	Failed
	Queued
)

// Observe counts an outcome. text is what was said, away that the smarthost could
// not be used at all.
func (r *Recorder) Observe(o Outcome, text string, away bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	r.touch(now)
	switch o {
	case Sent:
		r.seen.Sent++
		r.seen.LastSuccess = now
		return
	case Queued:
		r.seen.Queued++
		return
	case Deferred:
		r.seen.Deferred++
	case Failed:
		r.seen.Failed++
	}
	r.seen.LastError, r.seen.ErrorText = now, text[:min(len(text), maxError)]
	if away {
		r.seen.Away = now
	}
}

// Spool notes the state of the spool.
func (r *Recorder) Spool(q Queue) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	q.At = r.Now()
	r.touch(q.At)
	r.seen.Queue = q
}

func (r *Recorder) touch(now time.Time) {
	if r.seen.Since.IsZero() {
		r.seen.Since = now
	}
	r.dirty = true
}

// Flush adds what was seen to the state that processes share, and writes the
// metrics. When it fails, what was seen stays for the next call.
func (r *Recorder) Flush() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dirty {
		return nil
	}
	if r.Metrics == "" && r.seen.plain() && r.seen.note(r.Dir, r.Now()) {
		r.seen, r.dirty = State{}, false
		return nil
	}
	return r.merge()
}

// merge writes the state anew, and the metrics.
func (r *Recorder) merge() error {
	log, err := alone(r.Dir)
	if err != nil {
		return err
	}
	state, err := read(r.Dir, log)
	if err == nil {
		state.add(&r.seen)
		err = state.write(r.Dir)
	}
	if err == nil {
		r.seen, r.dirty = State{}, false
		err = log.Truncate(0) // its lines are in the state now
		if r.Metrics != "" {
			err = errors.Join(err, replace(r.Metrics, state.metrics(), 0o644))
		}
	}
	return errors.Join(err, log.Close())
}

// Read is the state in a directory; known is false if there is none yet.
func Read(dir string) (s *State, known bool) {
	log, err := openLog(dir, os.O_RDONLY, unix.LOCK_SH)
	if err == nil {
		s, err = read(dir, log)
		err = errors.Join(err, log.Close())
	}
	if err != nil { // what was written at last can be told nevertheless
		s = written(dir)
	}
	return s, !s.Since.IsZero()
}

// written is the state without the log.
func written(dir string) *State {
	s := new(State)
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return s
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err = errors.Join(err, f.Close()); err != nil || json.Unmarshal(data, s) != nil {
		return new(State)
	}
	return s
}

func (s *State) write(dir string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, fileName), append(text, '\n'), 0o644)
}
