package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"postern/internal/aliases"
	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/message"
	"postern/internal/relay"
	"postern/internal/smtp"
	"postern/internal/smtpd"
)

// inbound makes submissions of what comes in over SMTP.
type inbound struct {
	a        *app
	cfg      *config.Config
	domain   string
	who      person // at the other end
	fullName string // for a From field that is missing

	headerLimit int                    // octets
	received    func(id string) string // the trace field; nil for none
}

// sender is what MAIL named. The caller's own name without a domain is what his
// sendmail says when it was given nothing, so the configured sender stands for it.
func (in *inbound) sender(t *smtpd.Transaction) headers.Address {
	if t.Null || t.Sender.Domain != "" {
		return t.Sender
	}
	if t.Sender.Local == in.who.login && in.cfg.From != "" {
		if a, null, err := headers.ParseSender(in.cfg.From, in.domain); err == nil && !null {
			return a
		}
	}
	return headers.Address{Local: t.Sender.Local, Domain: in.domain}
}

// expand replaces one recipient by what aliases say. Its error is a reply.
func (in *inbound) expand(to smtpd.Recipient) ([]aliases.Recipient, error) {
	got, err := in.a.addressees(in.cfg, []headers.Address{to.Address}, nil, in.domain)
	if err == nil && len(got.list) == 0 && len(got.bad) > 0 {
		err = got.bad[0]
	}
	if err != nil && statusOfBad([]error{err}) == exDataErr {
		return nil, smtpd.Replyf(550, [3]int{5, 1, 1}, "%v", err)
	}
	if err != nil {
		return nil, smtpd.Replyf(451, [3]int{4, 3, 5}, "%v", err)
	}
	return got.list, nil
}

// routable refuses a recipient for whom there is no smarthost.
func (in *inbound) routable(t *smtpd.Transaction, address string) error {
	sender := ""
	if !t.Null {
		sender = in.sender(t).String()
	}
	if in.cfg.Choose(relay.Matched(sender), relay.Matched(address)) == nil {
		return smtpd.Replyf(550, [3]int{5, 4, 4}, "No smarthost takes mail from <%s> to <%s>", sender, address)
	}
	return nil
}

// take makes a submission of a message. Its errors are replies.
func (in *inbound) take(t *smtpd.Transaction, content io.Reader) (*submission, error) {
	block, body, err := in.a.read(content, in.a.tempDir(in.cfg), in.headerLimit)
	if err != nil {
		return nil, replyOfFault(in.a.refused(err))
	}
	named := make([]headers.Address, len(t.Recipients))
	wishes := make(map[string]smtpd.Recipient)
	for i, r := range t.Recipients {
		named[i] = r.Address
		wishes[in.key(r.Address)] = r
	}
	got, err := in.a.addressees(in.cfg, named, nil, in.domain)
	if err == nil && len(got.list) == 0 { // it was otherwise at RCPT
		err = errors.Join(got.bad...)
	}
	for _, bad := range got.bad { // a part of an alias; the rest of it gets the message
		in.a.log.Warning(bad.Error())
	}
	if err != nil {
		return nil, errors.Join(smtpd.Replyf(451, [3]int{4, 3, 5}, "%v", err), body.Close())
	}
	marks := in.cfg.Headers
	marks.Received = marks.Received && in.received == nil
	g := &given{sender: in.sender(t), null: t.Null, fullName: in.fullName, aliases: got.steps,
		ret: t.Return, envid: t.EnvelopeID, uid: t.Peer.UID, received: in.received, marks: marks}
	g.recipients, g.lists = envelopes(got.list, func(a headers.Address) (string, string) {
		w := wishes[in.key(a)]
		return w.Notify, w.Original
	}, t.Null)
	return in.a.complete(g, in.domain, block, body), nil
}

// key is equal for a name with and without our domain.
func (in *inbound) key(a headers.Address) string {
	if a.Domain == "" {
		a.Domain = in.domain
	}
	return a.Key()
}

// told settles how a caller in a dialogue learns of a message that some got and
// others will not. There is one answer for all of them, so with a spool it is
// "taken": those that failed wait there for the next run, which has them refused
// again and reports that to the sender. Without one the answer names them.
func (w *outlet) told(ctx context.Context, s *submission, outcomes []relay.Outcome) []relay.Outcome {
	failed := func(o relay.Outcome) bool { return o.Status == relay.Failed }
	good := func(o relay.Outcome) bool { return o.Status == relay.Sent || o.Status == relay.Queued }
	if w.queue == nil || !slices.ContainsFunc(outcomes, failed) || !slices.ContainsFunc(outcomes, good) {
		return outcomes
	}
	outcomes = slices.Clone(outcomes)
	rest := outcomes
	for _, env := range s.envelopes() {
		part := rest[:len(env.Recipients)]
		rest = rest[len(env.Recipients):]
		if err := w.keepFailed(ctx, s, env, part); err != nil {
			w.a.log.Warning(fmt.Sprintf("%s: %v", s.id, err))
		}
	}
	return outcomes
}

// keepFailed puts the recipients that failed into the spool, and marks them.
func (w *outlet) keepFailed(ctx context.Context, s *submission, env relay.Envelope, outcomes []relay.Outcome) error {
	again := env
	again.Recipients = nil
	var answers []relay.Outcome
	var which []int
	for i, o := range outcomes {
		if o.Status == relay.Failed {
			again.Recipients = append(again.Recipients, env.Recipients[i])
			answers = append(answers, o)
			which = append(which, i)
		}
	}
	if len(which) == 0 {
		return nil
	}
	if _, err := w.queue.Put(ctx, "", again, s.msg, answers, s.uid, w.a.now()); err != nil {
		return err
	}
	for _, i := range which {
		outcomes[i].Status = relay.Queued
	}
	return nil
}

// replyOf is the answer to a message.
func replyOf(s *submission, outcomes []relay.Outcome) *smtpd.Reply {
	var bad []relay.Outcome
	word := "sent"
	for _, o := range outcomes {
		switch o.Status {
		case relay.Sent:
		case relay.Queued:
			word = "queued"
		default:
			bad = append(bad, o)
		}
	}
	if len(bad) == 0 {
		return smtpd.Replyf(250, [3]int{2, 0, 0}, "Ok: %s as %s", word, s.id)
	}
	worst := bad[0] // as in statusOf
	for _, o := range bad {
		if statusOfOutcome(o) == exTempFail {
			worst = o
			break
		}
	}
	r := replyOfOutcome(worst)
	if len(bad) < len(outcomes) {
		names := ""
		for _, o := range bad {
			names += " <" + o.Recipient + ">"
		}
		r.Text = fmt.Sprintf("Sent to %d of %d recipients, not to%s: %s", len(outcomes)-len(bad), len(outcomes), names, r.Text)
	} else if len(outcomes) > 1 {
		r.Text = "<" + worst.Recipient + ">: " + r.Text
	}
	return r
}

// replyOfOutcome passes the smarthost's answer on. What it says of us, that a
// login is wanted or refused, is not the caller's to mend: it is temporary.
func replyOfOutcome(o relay.Outcome) *smtpd.Reply {
	var e *smtp.Error
	switch {
	case o.Status == relay.Unknown:
		return smtpd.Replyf(451, [3]int{4, 4, 2}, "Perhaps delivered, the smarthost's answer was lost: %s", o.Text)
	case o.OfConnection():
		return smtpd.Replyf(451, [3]int{4, 4, 1}, "The smarthost cannot be used now: %s", o.Text)
	case errors.As(o.Err, &e) && e.Code >= 400:
		return asReply(e).(*smtpd.Reply)
	case o.Status == relay.Failed:
		return smtpd.Replyf(554, [3]int{5, 0, 0}, "%s", o.Text)
	}
	return smtpd.Replyf(451, [3]int{4, 0, 0}, "%s", o.Text)
}

// asReply passes a refusal on in the smarthost's words.
func asReply(e *smtp.Error) error {
	if e == nil {
		return nil
	}
	return smtpd.Replyf(e.Code, e.Enhanced, "%s", e.Text)
}

// replyOfFault is the answer to a message that cannot be taken as it is.
func replyOfFault(err error) *smtpd.Reply {
	var f *fault
	var store *message.StoreError
	switch {
	case errors.As(err, &store) && store.NoSpace():
		return smtpd.Replyf(452, [3]int{4, 3, 1}, "%v", err)
	case errors.As(err, &f) && f.status == exDataErr:
		return smtpd.Replyf(554, [3]int{5, 6, 0}, "%v", err)
	}
	return smtpd.Replyf(451, [3]int{4, 3, 0}, "%v", err)
}
