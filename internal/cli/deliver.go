package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postern/internal/config"
	"postern/internal/relay"
)

// outlet is the way out for the messages of one run, one after another.
type outlet struct {
	a     *app
	cfg   *config.Config
	mode  byte // i, b or q
	back  bool // what is refused for good is also returned by mail
	relay *relay.Relay
	queue *relay.Queue // nil without a spool
	asked bool         // the log has what its host does not let us promise
	// put keeps a message for its envelope, to be sent at due; tests replace it.
	put func(ctx context.Context, s *submission, due time.Time) (id string, err error)
}

// outlet makes ready to send. A spool that cannot be opened is warned about, and
// done without.
func (a *app) outlet(o *options, cfg *config.Config, trace func(byte, string)) *outlet {
	w := &outlet{a: a, cfg: cfg, mode: deliveryMode(o, cfg), back: o.errors == 'm' || o.errors == 'e', relay: a.relay(cfg, trace)}
	var err error
	if w.queue, err = a.queue(cfg, w.relay); err != nil {
		a.log.Warning(err.Error())
		a.say("warning: %v; trying to send at once", err)
	}
	w.put = w.keepIn
	if w.queue != nil && w.mode == 'i' {
		w.relay.Patience = cfg.Spool.Patience
	}
	return w
}

// send delivers or keeps a message as the delivery mode says: for its envelope,
// then for those of its lists. No recipient is ever both kept and reported as
// failed, or neither.
func (w *outlet) send(ctx context.Context, s *submission) []relay.Outcome {
	var outcomes []relay.Outcome
	for i, env := range s.envelopes() {
		one := *s
		one.env = env
		if i > 0 {
			one.id = random(60)
		}
		if got := w.sendOne(ctx, &one); i == 0 {
			outcomes = got
		} else {
			outcomes = append(outcomes, got...)
		}
	}
	return outcomes
}

func (w *outlet) sendOne(ctx context.Context, s *submission) []relay.Outcome {
	w.accepted(s)
	if w.cfg.HandOver {
		return w.handToService(ctx, s)
	}
	if w.queue != nil && w.mode != 'i' {
		return w.keepFirst(ctx, s)
	}
	outcomes := w.tryFirst(ctx, s)
	if w.back && w.queue != nil {
		w.giveBack(s, outcomes)
	}
	return outcomes
}

func (w *outlet) accepted(s *submission) {
	w.a.log.Accepted(s.id, s.env.Sender, s.uid, s.msg.Size(), len(s.env.Recipients), strings.Trim(s.msgID, "<>"))
}

// deliveryMode is i, b or q: the option, else the configured one.
func deliveryMode(o *options, cfg *config.Config) byte {
	switch {
	case o.delivery == 'd':
		return 'q'
	case o.delivery != 0:
		return o.delivery
	}
	return cfg.Spool.Deliver[0] // interactive, background, queue
}

// tryFirst sends, and keeps what was not settled.
func (w *outlet) tryFirst(ctx context.Context, s *submission) []relay.Outcome {
	outcomes := w.relay.Deliver(ctx, s.id, s.env, s.msg)
	if w.queue == nil {
		return outcomes
	}
	env := s.env
	env.Recipients = nil
	var left []relay.Outcome
	for i, o := range outcomes {
		if !settled(o) {
			env.Recipients = append(env.Recipients, s.env.Recipients[i])
			left = append(left, o)
		}
	}
	if len(left) < len(outcomes) && w.queue.HasDue() { // the smarthost is there, so others can go as well
		w.a.wake(w.cfg)
	}
	if len(left) == 0 {
		return outcomes
	}
	if _, err := w.queue.Put(ctx, s.id, env, s.msg, left, s.uid, w.queue.Again(w.a.now())); err != nil {
		w.a.log.Warning(fmt.Sprintf("%s: %v", s.id, err))
		w.a.say("the message could not be kept: %v", err)
		return outcomes
	}
	return kept(outcomes)
}

// settled reports an outcome that is final for the caller. A failure of the
// connection is not: once it is mended, the message can go.
func settled(o relay.Outcome) bool {
	return o.Status == relay.Sent || o.Status == relay.Failed && !o.OfConnection()
}

// kept marks what is in the spool now.
func kept(outcomes []relay.Outcome) []relay.Outcome {
	out := append([]relay.Outcome(nil), outcomes...)
	for i := range out {
		if !settled(out[i]) {
			out[i].Status = relay.Queued
		}
	}
	return out
}

// keepFirst keeps the message and, in the background, has it sent. When it
// cannot be kept it is sent at once. Who has no smarthost is told at once, too.
func (w *outlet) keepFirst(ctx context.Context, s *submission) []relay.Outcome {
	env, outcomes := w.relay.Route(s.id, s.env, s.msg.Size())
	if len(env.Recipients) == 0 {
		return outcomes
	}
	if _, err := w.queue.Put(ctx, s.id, env, s.msg, nil, s.uid, w.a.now()); err != nil {
		w.a.log.Warning(fmt.Sprintf("%s: %v", s.id, err))
		w.a.say("warning: the message could not be kept (%v); sending it at once", err)
		sent := w.relay.Deliver(ctx, s.id, env, s.msg)
		for i := range outcomes {
			if outcomes[i].Status == relay.Queued {
				outcomes[i], sent = sent[0], sent[1:]
			}
		}
		return outcomes
	}
	if w.mode == 'b' {
		w.a.wake(w.cfg)
	}
	return outcomes
}

// report tells the caller.
func (a *app) report(o *options, cfg *config.Config, s *submission, outcomes []relay.Outcome) int {
	if o.report == "json" {
		if err := a.reportJSON(s.id, outcomes); err != nil {
			return a.fail(exIOErr, err)
		}
	}
	if o.errors != 'q' {
		a.explain(cfg, outcomes)
		for _, b := range s.bad {
			a.say("%s", b)
		}
	}
	status := statusOf(outcomes)
	if len(s.bad) > 0 && (status == exOK || statusOfBad(s.bad) == exTempFail) {
		status = statusOfBad(s.bad)
	}
	if status != exOK && o.deadLetter != "" {
		a.bury(o.deadLetter, s)
	}
	return status
}

func (a *app) relay(cfg *config.Config, trace func(byte, string)) *relay.Relay {
	return &relay.Relay{Config: cfg, Log: a.log, Now: a.now, Host: a.host(), User: userName, TempDir: a.tempDir(cfg), Trace: trace,
		SystemCAs: a.getenv("SSL_CERT_FILE"), Observe: a.observe}
}
