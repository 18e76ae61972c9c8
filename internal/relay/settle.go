package relay

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/internal/bounce"
	"postern/internal/smtp"
	"postern/internal/spool"
)

// settle writes down what became of a message for the recipients that go by this
// smarthost, and hands it on if there are others. After the last one it does what
// follows: the file goes, waits, or parks; the sender is told. All of it is durable
// when it returns, save a removal that the claim's group has to sync. What fails is in
// the log; the error is only that the server has the message, and that this could not
// be written in any way.
func (l *lane) settle(c *spool.Claim, who []int, outcomes []Outcome) (lost error) {
	r, s := l.r, c.State
	q := r.q
	if failedBy(outcomes, spool.ErrLost) {
		q.Relay.Log.Warning(fmt.Sprintf("%s: %v", s.ID, spool.ErrLost))
		return nil
	}
	if failedBy(outcomes, spool.ErrDamaged) {
		q.Relay.Log.Warning(fmt.Sprintf("%s: %v; it is kept in failed/", s.ID, spool.ErrDamaged))
		if err := c.Fail(); err != nil {
			q.Relay.Log.Warning(fmt.Sprintf("%s: %v", s.ID, err))
		}
		return nil
	}
	before := len(s.Recipients)
	s.Tried = q.now()
	s.Recipients = r.sort(s, who, outcomes)
	changed := len(s.Recipients) != before || unknown(outcomes)
	var err error
	if next := r.after(l.place, s); next != nil {
		if err = c.Save(changed); err == nil {
			err = r.pass(c, next)
		}
	} else {
		s.Attempts++
		if q.now().Sub(s.Created) >= q.config().Spool.Expire {
			s.Failed = append(s.Failed, s.Recipients...)
			r.count(func(p *Progress) { p.Failed += len(s.Recipients) })
			changed, s.Recipients = true, nil
		}
		err = r.conclude(c, changed)
	}
	if err != nil {
		lost = r.rescue(c, sent(outcomes), err)
	}
	r.tellProgress()
	return lost
}

func (r *run) tellProgress() {
	left := r.left()
	r.count(func(p *Progress) { p.Left = left })
	if r.q.Progress != nil {
		r.mu.Lock()
		p := r.progress
		r.mu.Unlock()
		r.q.Progress(p)
	}
}

// failedBy reports a message that could not be read to its end: its file turned
// out not to be what was written, or is somebody else's by now. Nothing of it was
// completed on the wire.
func failedBy(outcomes []Outcome, reason error) bool {
	for _, o := range outcomes {
		if errors.Is(o.Err, reason) {
			return true
		}
	}
	return false
}

// unknown reports an answer that was lost, which people should see for good.
func unknown(outcomes []Outcome) bool {
	for _, o := range outcomes {
		if o.Status == Unknown {
			return true
		}
	}
	return false
}

func (r *run) count(f func(*Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.progress)
}

// sort takes the recipients that have it, or never will, out of those to be
// tried, and logs each. The outcomes are of those at the places in who, which
// ascend; the others stay.
func (r *run) sort(s *spool.State, who []int, outcomes []Outcome) (left []spool.Recipient) {
	n := 0
	for i, one := range s.Recipients {
		if n >= min(len(who), len(outcomes)) || who[n] != i {
			left = append(left, one)
			continue
		}
		o := outcomes[n]
		n++
		if o.Status == Failed && o.OfConnection() {
			o.Status = Deferred // a wrong password must not bounce the whole queue
		}
		r.q.Relay.log(s.ID, s.Sender, s.Size, o)
		answer(&one, o)
		switch o.Status {
		case Sent:
			s.Done++
			r.count(func(p *Progress) { p.Sent++ })
		case Failed:
			s.Failed = append(s.Failed, one)
			r.count(func(p *Progress) { p.Failed++ })
		default:
			left = append(left, one)
			r.count(func(p *Progress) { p.Deferred++ })
		}
	}
	return left
}

// conclude makes the new state durable and acts on it.
func (r *run) conclude(c *spool.Claim, changed bool) error {
	s := c.State
	if len(s.Recipients) == 0 && len(s.Failed) == 0 {
		return c.Finish()
	}
	if changed { // before anybody is told, or a crash would tell and send again
		if err := c.Save(true); err != nil {
			return err
		}
	}
	if len(s.Failed) > 0 {
		parked, err := r.report(c)
		if err != nil || parked {
			return err
		}
		if len(s.Recipients) == 0 {
			return c.Finish()
		}
		changed = true
	}
	if err := r.warn(c); err != nil {
		return err
	}
	if err := c.Save(changed); err != nil {
		return err
	}
	return c.Release(r.q.Again(s.Created))
}

// report tells the sender of the recipients that failed. A message whose sender
// cannot be told is parked once nobody is left to try, and the postmaster is
// told.
func (r *run) report(c *spool.Claim) (parked bool, err error) {
	s := c.State
	tell := wanting(s.Failed, "FAILURE")
	if s.Sender != "" && s.Report == "" {
		if len(tell) > 0 {
			if err := r.q.tell(s, c, bounce.Failure, s.Sender, tell); err != nil {
				return false, err
			}
		}
		s.Failed = nil
		return false, nil
	}
	if len(s.Recipients) > 0 {
		return false, nil
	}
	if to := r.q.config().Postmaster; to != "" && (s.Report == "" || s.Report == bounce.Failure.String()) {
		if err := r.q.tell(s, c, bounce.Postmaster, to, s.Failed); err != nil {
			return false, err
		}
	}
	r.q.Relay.Log.Warning(fmt.Sprintf("%s: undeliverable, and its sender cannot be told; it is kept in failed/", s.ID))
	return true, c.Fail()
}

// warn tells the sender once that the message still waits.
func (r *run) warn(c *spool.Claim) error {
	s := c.State
	if s.Warned || s.Report != "" || s.Sender == "" || r.q.now().Sub(s.Created) < r.q.config().Spool.Warn {
		return nil
	}
	if tell := wanting(s.Recipients, "DELAY"); len(tell) > 0 {
		if err := r.q.tell(s, c, bounce.Delay, s.Sender, tell); err != nil {
			return err
		}
	}
	s.Warned = true
	return nil
}

// wanting are the recipients whose NOTIFY (RFC 3461 4.1) allows a report of that
// kind; without NOTIFY it is wanted.
func wanting(all []spool.Recipient, kind string) (list []spool.Recipient) {
	for _, one := range all {
		if one.Notify == "" || strings.Contains(one.Notify, kind) {
			list = append(list, one)
		}
	}
	return list
}

// tell puts a report about recipients of a message into the queue.
func (q *Queue) tell(s *spool.State, text smtp.Message, kind bounce.Kind, to string, about []spool.Recipient) error {
	report := bounce.Report{
		Kind: kind, Host: q.Relay.Host, Domain: q.Domain, To: to, Sender: s.Sender, EnvelopeID: s.EnvelopeID, Return: s.Return,
		Arrived: s.Created, Now: q.now(), Until: s.Created.Add(q.config().Spool.Expire),
		MessageID: q.NewID() + q.NewID() + "@" + q.Domain, Boundary: "=_" + q.NewID() + q.NewID(),
	}
	for _, one := range about {
		report.Recipients = append(report.Recipients, reported(one, s, q.config().Spool.Expire))
	}
	original, err := text.Open()
	if err != nil {
		return err
	}
	d, err := q.Spool.Create()
	if err != nil {
		return errors.Join(err, original.Close())
	}
	defer d.Abandon()
	if err := errors.Join(bounce.Write(d, report, original, text.Size()), original.Close()); err != nil {
		return err
	}
	state := &spool.State{Created: q.now(), Report: kind.String(), EightBit: true}
	for _, address := range q.addresses(to) {
		state.Recipients = append(state.Recipients, spool.Recipient{Address: address, Notify: "NEVER"})
	}
	if err := d.Commit(state, q.now()); err != nil {
		return err
	}
	q.Relay.Log.Warning(fmt.Sprintf("%s: report to <%s> is %s", s.ID, to, d.ID()))
	return nil
}

// addresses are those that stand for one.
func (q *Queue) addresses(to string) []string {
	if q.Readdress == nil {
		return []string{to}
	}
	return q.Readdress(to)
}

// reported is a recipient in a report.
func reported(one spool.Recipient, s *spool.State, expire time.Duration) bounce.Recipient {
	b := bounce.Recipient{Address: one.Address, Original: one.Original, Status: one.DSN, LastTry: s.Tried, Maybe: one.Maybe}
	if one.Code > 0 {
		b.Reply = one.Answer
		b.Server, _, _ = strings.Cut(one.Relay, "[")
		return b
	}
	b.Reason = one.Answer
	if b.Reason == "" {
		b.Reason = fmt.Sprintf("it was not delivered within %s", expire)
	}
	return b
}
