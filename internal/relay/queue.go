package relay

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"postern/internal/config"
	"postern/internal/message"
	"postern/internal/spool"
)

// Queue is a spool and the way out of it.
type Queue struct {
	Relay *Relay
	Spool *spool.Spool
	// Fallback stands in for a spool on another host that is away; nil for none.
	Fallback *spool.Spool
	Random   func() float64 // from 0 to 1, for jitter
	NewID    func() string  // for the reports that we write
	Domain   string         // of MAILER-DAEMON
	// Readdress gives the addresses that stand for one that is told of a failure.
	// nil: it stands for itself.
	Readdress func(to string) []string
	// Progress, if set, is told after each message of a run.
	Progress func(Progress)

	aside bool // treat the spool as one that is far away, for tests
}

// Progress is how far a run is.
type Progress struct{ Sent, Deferred, Failed, Left int }

func (q *Queue) now() time.Time         { return q.Relay.Now() }
func (q *Queue) config() *config.Config { return q.Relay.Config }

// Put keeps a message, to be tried at due, under id or, with "", a new one. The
// answers so far, if there are any, are parallel to the recipients and kept with
// them; they are about recipients that are still to be tried. When Put returns
// nil the message is on stable storage. The end of ctx does not stop that, only
// what Put does beside it.
func (q *Queue) Put(ctx context.Context, id string, env Envelope, msg *message.Message, answers []Outcome, uid int, due time.Time) (kept string, err error) {
	// What is kept fits any wire with 8BITMIME, so that later it can be sent as
	// it lies there.
	m, err := msg.For(message.Wire{EightBitMIME: true})
	if err != nil {
		return "", err
	}
	defer func() { _ = m.Close() }() // what is kept is kept, whatever becomes of the form
	state := &spool.State{Created: q.now(), Sender: env.Sender, Return: env.Return, EnvelopeID: env.ID, UID: uid,
		EightBit: m.Body().Facts().EightBit}
	for i, to := range env.Recipients {
		r := spool.Recipient{Address: to.Address, Notify: to.Notify, Original: to.Original}
		if i < len(answers) && answers[i].Err != nil {
			answer(&r, answers[i])
			state.Attempts, state.Tried = 1, q.now()
		}
		state.Recipients = append(state.Recipients, r)
	}
	kept, err = q.keep(ctx, id, state, m.Open, due)
	for _, to := range env.Recipients {
		if err == nil {
			q.Relay.observe(Outcome{Recipient: to.Address, Status: Queued})
		}
	}
	return kept, err
}

// answer notes an outcome with a recipient.
func answer(r *spool.Recipient, o Outcome) {
	if o.Err == nil {
		return
	}
	r.Code, r.DSN, r.Answer, r.Relay = o.Code, o.DSN(), o.Text, o.Relay
	r.Maybe = r.Maybe || o.Status == Unknown
}

// Again is when a message that has waited for a time is tried next: after as
// long again, between retry_min and retry_max, a tenth more or less so that
// messages that came together do not go together.
func (q *Queue) Again(created time.Time) time.Time {
	s := &q.config().Spool
	wait := min(max(q.now().Sub(created), s.RetryMin), s.RetryMax)
	return q.now().Add(time.Duration(float64(wait) * (0.9 + 0.2*q.Random())))
}

// HasDue reports whether there is anything for a run to do: a message whose time
// has come, or one that was left behind by a process which died. A spool on
// another host is not asked: that would cost each message a connection; what
// waits in its fallback is to be seen from here.
func (q *Queue) HasDue() bool {
	return slices.ContainsFunc(q.Spools(), func(s *spool.Spool) bool {
		return !s.Remote() && slices.ContainsFunc([]string{"queue", "active"}, func(place string) bool {
			entries, _, err := s.List(place)
			return err == nil && slices.ContainsFunc(entries, s.Due)
		})
	})
}

// loaded is a claimed message as a message.Message, for servers that cannot take
// it as it lies in the spool.
func loaded(c *spool.Claim, dir string) (*message.Message, error) {
	f, err := c.Open()
	if err != nil {
		return nil, err
	}
	body, err := message.ReadBody(f, dir)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	head, err := readHeader(body.Open())
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	rest, err := message.ReadBody(io.NewSectionReader(body, int64(len(head)), body.Facts().Size), dir)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	return message.New(head, rest), nil
}

// stopping reports that the run shall end after what is under way.
func stopping(ctx context.Context) bool { return ctx.Err() != nil }
