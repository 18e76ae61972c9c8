package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postern/internal/config"
	"postern/internal/health"
	"postern/internal/relay"
	"postern/internal/spool"
)

const (
	flushEvery = 10 * time.Second // of figures, in a process that stays
	noteEvery  = 30 * time.Second // of the spool, which has to be read for it
)

// figures are what --health and the metrics file tell of.
type figures struct {
	*health.Recorder
	flushed, noted time.Time
}

// healthDir is where figures are kept: in the spool, else beside the metrics
// file; "" if there is neither on this host.
func healthDir(cfg *config.Config) string {
	switch {
	case filepath.IsAbs(cfg.Spool.Dir):
		return cfg.Spool.Dir
	case cfg.Log.Metrics != "":
		return filepath.Dir(cfg.Log.Metrics)
	}
	return ""
}

// openFigures begins to count, if there is a place for it.
func (a *app) openFigures(cfg *config.Config) {
	if dir := healthDir(cfg); dir != "" {
		a.figures.Recorder = &health.Recorder{Dir: dir, Metrics: cfg.Log.Metrics, Now: a.now}
	}
	a.figures.flushed = a.now()
}

// observe counts an outcome. It is called by several goroutines.
func (a *app) observe(o relay.Outcome) {
	kind := health.Deferred
	switch o.Status {
	case relay.Sent:
		kind = health.Sent
	case relay.Failed:
		kind = health.Failed
	case relay.Queued:
		kind = health.Queued
	}
	a.figures.Observe(kind, o.Text, o.OfConnection())
}

// flushFigures writes them down. Mail does not depend on it, so that it fails is
// a line in the log and no more.
func (a *app) flushFigures() {
	if err := a.figures.Flush(); err != nil {
		a.log.Warning("health: " + err.Error())
	}
}

// noteSpool has the figures follow a process that stays: q is looked at and all
// written down, if it is time.
func (a *app) noteSpool(q *relay.Queue, last bool) {
	now := a.now()
	if a.figures.Recorder == nil {
		return
	}
	if last || now.Sub(a.figures.noted) >= noteEvery {
		if s, err := snapshot(q); err == nil {
			a.figures.Spool(s)
		}
		a.figures.noted = now
	}
	if now.Sub(a.figures.flushed) >= flushEvery {
		a.flushFigures()
		a.figures.flushed = now
	}
}

// snapshot counts what is in the spool.
func snapshot(q *relay.Queue) (health.Queue, error) {
	var s health.Queue
	all, _, err := q.Spool.All()
	waiting := slices.DeleteFunc(all, func(e spool.Entry) bool { return e.Place == "hold" || e.Place == "failed" })
	s.Parked = len(all) - len(waiting)
	q.Spool.Each(waiting, func(_ spool.Entry, state *spool.State, err error) {
		if errors.Is(err, fs.ErrNotExist) {
			return // it has moved on
		}
		s.Waiting++
		if err == nil && (s.Oldest.IsZero() || state.Created.Before(s.Oldest)) {
			s.Oldest = state.Created
		}
	})
	return s, err
}

// healthReport is --health --report=json. The keys are promised to scripts.
type healthReport struct {
	Status      string     `json:"status"` // ok, failing, unknown
	Reason      string     `json:"reason"`
	LastSuccess *time.Time `json:"last_success"`
	LastError   *time.Time `json:"last_error"`
	ErrorText   string     `json:"error_text"`
	Waiting     int        `json:"waiting"`
	Parked      int        `json:"parked"`
	Oldest      *time.Time `json:"oldest"`
	Sent        int64      `json:"sent"`
	Deferred    int64      `json:"deferred"`
	Failed      int64      `json:"failed"`
	Queued      int64      `json:"queued"`
	Since       *time.Time `json:"since"`
}

// health is --health: does mail leave this machine?
func (a *app) health(o *options) int {
	cfg, status := a.load(o)
	if cfg == nil {
		return status
	}
	q, err := a.queue(cfg, a.relay(cfg, nil))
	if err != nil {
		return a.fail(exCantCreate, err)
	}
	if q != nil {
		s, err := snapshot(q)
		if err != nil {
			return a.fail(exOSErr, err)
		}
		a.figures.Spool(s)
		a.flushFigures()
	}
	dir := healthDir(cfg)
	if dir == "" {
		return a.printHealth(o, &healthReport{Status: "unknown",
			Reason: "the configuration loads; without a spool or [log] metrics on this host nothing else is remembered"})
	}
	state, known := health.Read(dir)
	r := &healthReport{Status: "ok", LastSuccess: when(state.LastSuccess), LastError: when(state.LastError), ErrorText: state.ErrorText,
		Waiting: state.Queue.Waiting, Parked: state.Queue.Parked, Oldest: when(state.Queue.Oldest),
		Sent: state.Sent, Deferred: state.Deferred, Failed: state.Failed, Queued: state.Queued, Since: when(state.Since)}
	if !known {
		r.Status, r.Reason = "unknown", "nothing was sent yet"
	}
	if why := state.Failing(a.now(), cfg.Spool.Warn); why != "" {
		r.Status, r.Reason = "failing", why
	}
	return a.printHealth(o, r)
}

// printHealth ends with 75 if mail does not leave the machine now.
func (a *app) printHealth(o *options, r *healthReport) int {
	text := r.text(a.now())
	if o.report == "json" {
		data, err := json.Marshal(r)
		if err != nil {
			return a.fail(exSoftware, err)
		}
		text = string(data) + "\n"
	}
	status := a.print(text)
	if status == exOK && r.Status == "failing" {
		status = exTempFail
	}
	return status
}

func (r *healthReport) text(now time.Time) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s %s\n", name+":", visible([]byte(fmt.Sprintf(format, args...))))
	}
	line("last success", "%s", ago(now, r.LastSuccess))
	line("last error", "%s", strings.TrimSpace(ago(now, r.LastError)+" "+r.ErrorText))
	line("waiting", "%d", r.Waiting)
	if r.Oldest != nil {
		line("oldest", "%s", ago(now, r.Oldest))
	}
	if r.Parked > 0 {
		line("parked", "%d", r.Parked)
	}
	line("result", "%s", strings.TrimSuffix(r.Status+": "+r.Reason, ": "))
	if r.Status == "failing" {
		line("next", "sendmail --check tries each step, mailq lists what waits")
	}
	return b.String()
}

// when is nil for a time that never was.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// ago is a time with how long it is past.
func ago(now time.Time, t *time.Time) string {
	if t == nil {
		return "never"
	}
	return fmt.Sprintf("%s (%s ago)", t.Local().Format(time.RFC3339), now.Sub(*t).Truncate(time.Second))
}
