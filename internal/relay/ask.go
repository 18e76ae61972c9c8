package relay

import (
	"context"
	"errors"
	"time"

	"postern/internal/config"
	"postern/internal/smtp"
)

// Asker asks the smarthosts about a sender and recipients before there is a
// message, so that a caller in a dialogue hears of a refusal at the step where
// it belongs. Only what is refused for good is told: whatever else is said, or
// that nothing is, the delivery finds out. It keeps one connection to each for the
// questions about one message after another. It is not for several goroutines.
type Asker struct {
	Relay  *Relay
	Within time.Duration // for each question, the connection included

	sender string
	lines  map[*config.Smarthost]*question
}

// question is what is asked of one smarthost.
type question struct {
	client  *smtp.Client
	begun   bool        // MAIL was said
	open    bool        // ... and accepted
	refused *smtp.Error // ... or refused for good
	asked   int         // recipients since
	blind   bool        // it could not be reached: it is not tried again
}

// maxAsked recipients of a message are asked about: as many as every server takes
// in a transaction (RFC 5321 4.5.3.1.8).
const maxAsked = 100

// Sender asks about an envelope sender, if it is known already who must be asked.
// The result is nil unless it is refused.
func (k *Asker) Sender(ctx context.Context, sender string) *smtp.Error {
	k.Forget(ctx)
	k.sender = sender
	if all := k.Relay.Config.Smarthosts; len(all) == 1 && all[0].TakesSender(Matched(sender)) {
		return k.begin(ctx, all[0])
	}
	return nil
}

// begin asks a smarthost about the sender.
func (k *Asker) begin(ctx context.Context, h *config.Smarthost) *smtp.Error {
	ctx, cancel := context.WithTimeout(ctx, k.Within)
	defer cancel()
	q := k.lines[h]
	if q == nil {
		q = &question{}
		if k.lines == nil {
			k.lines = make(map[*config.Smarthost]*question)
		}
		k.lines[h] = q
	}
	q.begun, q.refused = true, nil
	q.blind = q.blind || h.Capture != ""
	if q.client == nil && !q.blind {
		var err error
		if q.client, err = smtp.Dial(ctx, k.Relay.SMTP(h)); err != nil {
			q.client, q.blind = nil, true
		}
	}
	if q.client == nil {
		return nil
	}
	sender, _ := k.Relay.wanted(h, k.sender, 0).envelopeSender()
	_, err := q.client.Mail(ctx, sender)
	q.open, q.asked, q.refused = err == nil, 0, refusal(err)
	return q.refused
}

// Recipient asks about a recipient of the last sender's message. For one that has
// no smarthost there is nobody to ask.
func (k *Asker) Recipient(ctx context.Context, address string) *smtp.Error {
	h := k.Relay.Config.Choose(Matched(k.sender), Matched(address))
	if h == nil {
		return nil
	}
	if q := k.lines[h]; q == nil || !q.begun {
		// What it says is below.
		_ = k.begin(ctx, h)
	}
	q := k.lines[h]
	if q.refused != nil {
		return q.refused
	}
	if q.asked++; !q.open || q.asked > maxAsked || smtp.NeedsUTF8(address) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.Within)
	defer cancel()
	to, _ := k.Relay.wanted(h, k.sender, 0).recipient(address)
	_, err := q.client.Rcpt(ctx, to)
	return refusal(err)
}

// Forget takes the questions back. A connection that was lost is given up: the
// next sender gets a new one.
func (k *Asker) Forget(ctx context.Context) {
	for _, q := range k.lines {
		if q.client == nil {
			continue
		}
		if q.open && q.client.IsConnected() {
			// If it fails the connection is broken, which is seen below.
			_ = k.within(ctx, q.client.Reset)
		}
		if q.begun, q.open = false, false; !q.client.IsConnected() {
			q.client = nil
		}
	}
}

// Close says goodbye.
func (k *Asker) Close(ctx context.Context) {
	for _, q := range k.lines {
		if q.client != nil {
			// The goodbye changes nothing.
			_ = k.within(ctx, q.client.Quit)
		}
		q.client, q.begun, q.open = nil, false, false
	}
}

func (k *Asker) within(ctx context.Context, command func(context.Context) (smtp.Reply, error)) error {
	ctx, cancel := context.WithTimeout(ctx, k.Within)
	defer cancel()
	_, err := command(ctx)
	return err
}

// refusal is what was refused for good about an address, nil for anything else:
// that a login is wanted, or that there are too many recipients for one
// transaction (552 in RFC 821), is not about the address.
func refusal(err error) *smtp.Error {
	var e *smtp.Error
	if !errors.As(err, &e) || e.Code/100 != 5 || e.Stage != smtp.StageMail && e.Stage != smtp.StageRcpt {
		return nil
	}
	if e.Code == smtp.CodeAccessDenied || e.Code == smtp.CodeStorageExceeded {
		return nil
	}
	return e
}
