package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"postern/internal/relay"
	"postern/internal/smtp"
)

const (
	// restartTime is how long a service that turns callers away may take to be there
	// again: it finishes what is under way first.
	restartTime = drainTime + 5*time.Second
	againFirst  = 50 * time.Millisecond // pause before the second try; each is twice as long
	againMost   = time.Second
)

// handToService gives a message to the submission service. One that is restarted,
// as at each upgrade of the package, says so (421) to who has just come. Few
// programs call sendmail again, so we do.
func (w *outlet) handToService(ctx context.Context, s *submission) []relay.Outcome {
	outcomes := w.relay.Deliver(ctx, s.id, s.env, s.msg)
	if !turnedAway(outcomes) {
		return outcomes
	}
	ctx, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	for wait := againFirst; notTaken(outcomes) && pause(ctx, wait); wait = min(2*wait, againMost) {
		next := w.relay.Deliver(ctx, s.id, s.env, s.msg)
		if ctx.Err() != nil && notTaken(next) {
			break // the answer before says more
		}
		outcomes = next
	}
	return outcomes
}

// turnedAway reports that the service has taken nothing because it stops or is
// full: it said so, or hung up without a word.
func turnedAway(outcomes []relay.Outcome) bool {
	return every(outcomes, func(o relay.Outcome) bool {
		var e *smtp.Error
		return o.Code == smtp.CodeServiceNotAvailable || errors.As(o.Err, &e) && e.Stage == smtp.StageGreeting && e.Code == 0
	})
}

// notTaken reports that it is not there yet, or turns away still.
func notTaken(outcomes []relay.Outcome) bool {
	return every(outcomes, func(o relay.Outcome) bool { return o.Code == smtp.CodeServiceNotAvailable || o.OfConnection() })
}

// every reports that all outcomes are temporary and as they should be.
func every(outcomes []relay.Outcome, as func(relay.Outcome) bool) bool {
	return len(outcomes) > 0 && !slices.ContainsFunc(outcomes, func(o relay.Outcome) bool { return o.Status != relay.Deferred || !as(o) })
}
