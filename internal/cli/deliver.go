package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"postern/internal/config"
	"postern/internal/relay"
)

// send delivers or keeps the message as the delivery mode says, and tells the
// caller what became of it. No recipient is ever both kept and reported as
// failed, or neither.
func (a *app) send(ctx context.Context, o *options, cfg *config.Config, s *submission) int {
	trace, closeTrace, err := a.tracer(o)
	if err != nil {
		return a.fail(exIOErr, err)
	}
	defer closeTrace()
	a.log.Accepted(s.id, s.env.Sender, os.Getuid(), s.msg.Size(), len(s.env.Recipients), strings.Trim(s.msgID, "<>"))
	r := a.relay(cfg, trace)
	q, err := a.queue(cfg, r, s.id)
	if err != nil {
		a.log.Warning(err.Error())
		a.say("warning: %v; trying to send at once", err)
	}
	var outcomes []relay.Outcome
	if mode := deliveryMode(o, cfg); q != nil && mode != 'i' {
		outcomes = a.keepFirst(ctx, cfg, r, q, s, mode)
	} else {
		outcomes = a.tryFirst(ctx, cfg, r, q, s)
	}
	return a.report(o, cfg, s, outcomes)
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
func (a *app) tryFirst(ctx context.Context, cfg *config.Config, r *relay.Relay, q *relay.Queue, s *submission) []relay.Outcome {
	if q != nil {
		r.Patience = cfg.Spool.Patience
	}
	outcomes := r.Deliver(ctx, s.id, s.env, s.msg)
	if q == nil {
		return outcomes
	}
	var left []relay.Outcome
	for _, o := range outcomes {
		if !settled(o) {
			left = append(left, o)
		}
	}
	switch {
	case len(left) == 0:
		if q.HasDue() { // the smarthost is there, so others can go as well
			a.wake(cfg, q)
		}
		return outcomes
	default:
		if _, err := q.Put(s.env, s.msg, left, os.Getuid(), q.Again(a.now())); err != nil {
			a.log.Warning(fmt.Sprintf("%s: %v", s.id, err))
			a.say("the message could not be kept: %v", err)
			return outcomes
		}
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
// cannot be kept it is sent at once.
func (a *app) keepFirst(ctx context.Context, cfg *config.Config, r *relay.Relay, q *relay.Queue, s *submission, mode byte) []relay.Outcome {
	fresh := relay.Fresh(s.env.Recipients)
	if _, err := q.Put(s.env, s.msg, fresh, os.Getuid(), a.now()); err != nil {
		a.log.Warning(fmt.Sprintf("%s: %v", s.id, err))
		a.say("warning: the message could not be kept (%v); sending it at once", err)
		return r.Deliver(ctx, s.id, s.env, s.msg)
	}
	if mode == 'b' {
		a.wake(cfg, q)
	}
	return kept(fresh)
}

// report tells the caller.
func (a *app) report(o *options, cfg *config.Config, s *submission, outcomes []relay.Outcome) int {
	if o.report == "json" {
		if err := a.reportJSON(s.id, outcomes); err != nil {
			return a.fail(exIOErr, err)
		}
	}
	a.explain(cfg, outcomes)
	for _, b := range s.bad {
		a.say("%s", b)
	}
	status := statusOf(outcomes)
	if status == exOK && len(s.bad) > 0 {
		return exDataErr
	}
	return status
}

func (a *app) relay(cfg *config.Config, trace func(byte, string)) *relay.Relay {
	return &relay.Relay{Config: cfg, Log: a.log, Now: a.now, Host: fullHostname(), TempDir: a.tempDir(), Trace: trace}
}
