package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/config"
	"postern/internal/maillog"
	"postern/internal/message"
	"postern/internal/smtp"
)

// Envelope is from whom and for whom a message is, and the DSN wishes of the
// caller (RFC 3461).
type Envelope struct {
	Sender     string           // "" is the null sender
	Recipients []smtp.Recipient // each once
	Return     string           // FULL or HDRS
	ID         string           // ENVID
	UID        int              // of the user who submits it
}

// Relay delivers to the configured smarthosts.
type Relay struct {
	Config *config.Config
	Log    *maillog.Logger
	Now    func() time.Time
	Host   string // this host's full name, for EHLO
	// Patience bounds what comes before the end of the content; 0 is no bound.
	Patience time.Duration
	User     func(uid int) string // a user's name, for display names; may be nil
	TempDir  string               // for messages that have to be recoded
	Trace    func(byte, string)   // of the dialogue, secrets masked; may be nil; called from several goroutines
	// SystemCAs is the file of the system's certificate authorities, if it is
	// not at a usual place.
	SystemCAs string
	// Observe, if set, is told each outcome, also of what is kept; several
	// goroutines may call it.
	Observe func(Outcome)
}

// Deliver tries once, within the configured timeout, and returns an outcome for
// each recipient in the order of the envelope. Each is logged under id. Several
// smarthosts are tried side by side, so that one that is away keeps nobody else
// waiting.
func (r *Relay) Deliver(ctx context.Context, id string, env Envelope, msg *message.Message) []Outcome {
	ctx, cancel := context.WithTimeout(ctx, r.Config.Timeout)
	defer cancel()
	outcomes := make([]Outcome, len(env.Recipients))
	groups := r.Groups(env.Sender, env.Recipients)
	var wg sync.WaitGroup
	for n, g := range groups {
		switch {
		case g.Host == nil:
			for _, i := range g.Who {
				outcomes[i] = r.Unroutable(env.Sender, env.Recipients[i])
			}
		case n == len(groups)-1: // a goroutine of its own costs a single one a stack
			r.deliver(ctx, g, env, msg, outcomes)
		default:
			wg.Go(func() { r.deliver(ctx, g, env, msg, outcomes) })
		}
	}
	wg.Wait()
	r.Log.Together(func() {
		for _, o := range outcomes {
			r.log(id, env.Sender, msg.Size(), o)
		}
	})
	return outcomes
}

// deliver sends to a group and fills its places in outcomes.
func (r *Relay) deliver(ctx context.Context, g Group, env Envelope, msg *message.Message, outcomes []Outcome) {
	begin := r.Now()
	d := &delivery{msg: msg}
	ctx, stop := d.hurry(ctx, r.Patience)
	defer stop()
	defer d.close()
	var server, cipher string
	opened := func(c *smtp.Client) {
		if info, err := c.Info(); err == nil {
			server, cipher = info.Relay(), info.Cipher()
		}
	}
	given := g.of(env.Recipients)
	w := r.wanted(g.Host, env.Sender, env.UID)
	t, place, err := d.transaction(w, env, given)
	if g.Host.Capture != "" {
		file := ""
		if err == nil {
			file, err = r.capture(w, t.Envelope.Recipients, d.msg)
		}
		for n, o := range captured(w, given, t.Envelope.Recipients, place, file, err, r.Now().Sub(begin)) {
			outcomes[g.Who[n]] = o
		}
		return
	}
	result := smtp.Result{}
	if err == nil {
		result, err = smtp.SendTransaction(ctx, r.SMTP(g.Host), t, opened)
	}
	delay := r.Now().Sub(begin)
	said := told{given: given, place: place, wire: t.Envelope.Recipients, result: result, err: err}
	for n, i := range g.Who {
		o := said.outcome(n)
		o.Relay, o.TLS, o.Delay = server, cipher, delay
		outcomes[i] = o
	}
}

// of are the recipients of the group among all.
func (g Group) of(all []smtp.Recipient) []smtp.Recipient {
	if len(g.Who) == len(all) {
		return all
	}
	list := make([]smtp.Recipient, len(g.Who))
	for n, i := range g.Who {
		list[n] = all[i]
	}
	return list
}

func (r *Relay) log(id, sender string, size int64, o Outcome) {
	r.observe(o)
	relay := o.Relay
	if relay == "" {
		relay = "none"
	}
	to, named := o.Recipient, o.named()
	if o.Went != "" {
		to = o.Went
		if named == "" {
			named = o.Recipient
		}
	}
	r.Log.Delivery(maillog.Delivery{ID: id, Recipient: to, Original: named, Sender: sender, Relay: relay, Delay: o.Delay,
		DSN: o.DSN(), Status: o.Status.word(), Reply: o.Text, TLS: o.TLS, Size: size})
}

func (r *Relay) observe(o Outcome) {
	if r.Observe != nil {
		r.Observe(o)
	}
}

// delivery keeps the forms of the message that servers asked for.
type delivery struct {
	msg       *message.Message
	forms     []*message.Message
	committed atomic.Bool
}

// hurry ends ctx after patience, unless the content is on its way by then: to
// give up after that would leave unknown what the server is about to say.
func (d *delivery) hurry(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	if patience <= 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(patience, func() {
		if !d.committed.Load() {
			cancel()
		}
	})
	return ctx, func() { timer.Stop(); cancel() }
}

// transaction is the message as the smarthost wants it, and the places of the
// given recipients on the wire.
func (d *delivery) transaction(w wanted, env Envelope, given []smtp.Recipient) (*smtp.Transaction, []int, error) {
	sender, _ := w.envelopeSender()
	t := &smtp.Transaction{Fit: d.fit, Committed: func() { d.committed.Store(true) }, Envelope: smtp.Envelope{
		Sender: sender, Return: env.Return, EnvelopeID: env.ID,
		RequireTLS: w.h.RequireTLS, Options: w.h.MailOptions,
	}}
	var place []int
	t.Envelope.Recipients, place = w.recipients(given)
	if !rewrites(w.h) {
		return t, place, nil
	}
	header, _, err := w.header(d.msg.Header(), given, d.msg.Open)
	if err == nil {
		d.msg = message.New(header, d.msg.Body())
	}
	return t, place, err
}

// fit gives the message as a server with these extensions takes it.
func (d *delivery) fit(ext smtp.Extensions) (smtp.Message, bool, error) {
	m, err := d.msg.For(message.Wire{EightBitMIME: ext.Has("8BITMIME"), UTF8: ext.Has("SMTPUTF8")})
	if err != nil {
		return nil, false, err
	}
	d.forms = append(d.forms, m)
	// Octets above 127 in the header travel raw, as Sendmail, Postfix and Exim
	// send them; only those of the body are announced, or recoded.
	return m, m.Body().Facts().EightBit && ext.Has("8BITMIME"), nil
}

func (d *delivery) close() {
	for _, m := range d.forms {
		// A temporary file without a name that does not close harms nobody.
		_ = m.Close()
	}
}

// Check goes through name, connection, TLS and login of a smarthost as a delivery
// would, and gives the client to look at; the caller closes it.
func (r *Relay) Check(ctx context.Context, h *config.Smarthost) (*smtp.Client, error) {
	return smtp.Dial(ctx, r.SMTP(h))
}
