package relay

import (
	"context"
	"time"

	"postern/internal/capture"
	"postern/internal/config"
	"postern/internal/smtp"
)

// Maildir is where the messages for a smarthost with capture go.
func (r *Relay) Maildir(h *config.Smarthost) *capture.Maildir {
	return &capture.Maildir{Dir: h.Capture, Host: r.Host, Now: r.Now}
}

// capture writes a message to the Maildir in place of sending it. The outcome is
// the same for each recipient.
func (r *Relay) capture(w wanted, wire []smtp.Recipient, m smtp.Message) (file string, err error) {
	e := capture.Envelope{}
	e.Sender, _ = w.envelopeSender()
	for _, to := range wire {
		e.Recipients = append(e.Recipients, to.Address)
	}
	text, err := m.Open()
	if err != nil {
		return "", err
	}
	defer func() { _ = text.Close() }() // all of it was read, or Write says so
	return r.Maildir(w.h).Write(e, text)
}

// captured are the outcomes of capture.
func captured(w wanted, given, wire []smtp.Recipient, place []int, file string, err error, delay time.Duration) []Outcome {
	list := make([]Outcome, len(given))
	for i, to := range given {
		o := Outcome{Recipient: to.Address, Original: to.Original, Status: Sent, Text: "captured in " + file, Relay: w.h.Capture, Delay: delay}
		if err != nil {
			o.Status, o.Text, o.Err = Deferred, "cannot be captured: "+err.Error(), err
		}
		if wire[place[i]].Address != to.Address {
			o.Went = wire[place[i]].Address
		}
		list[i] = o
	}
	return list
}

// captureAll writes what is to be done in a run of the queue to the Maildir.
func (l *lane) captureAll(ctx context.Context) {
	r := l.r.q.Relay
	for !stopping(ctx) {
		c := l.next()
		if c == nil {
			return
		}
		p := &parcel{claim: c, who: l.mine(c.State)}
		if len(p.who) == 0 {
			_ = l.settle(c, nil, nil)
			continue
		}
		s := c.State
		w := r.wanted(l.host, s.Sender, s.UID)
		for _, i := range p.who {
			p.given = append(p.given, smtp.Recipient{Address: s.Recipients[i].Address, Original: s.Recipients[i].Original})
		}
		wire, place := w.recipients(p.given)
		file := ""
		header, skip, err := p.header(w)
		if err == nil {
			var m smtp.Message = c
			if header != nil {
				m = &reheaded{claim: c, skip: skip, header: header}
			}
			file, err = r.capture(w, wire, m)
		}
		_ = l.settle(c, p.who, captured(w, p.given, wire, place, file, err, r.Now().Sub(s.Created)))
	}
}
