package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"postern/internal/config"
	"postern/internal/digest"
	"postern/internal/headers"
	"postern/internal/relay"
	"postern/internal/smtp"
)

const (
	digestSize    = 1 << 20 // without --digest-size
	digestContext = 3       // lines around those that match
	// lastWord is how long a stream may go on when we are told to end, and
	// lastTry how long sending may take then: who stops a container kills it
	// after ten seconds.
	lastWord = time.Second
	lastTry  = 7 * time.Second
)

// digest mails a stream that has no end. What can be wrong with the set-up is
// found before the first line is read, and the stream is not waited for then.
func (a *app) digest(ctx context.Context, o *options) int {
	if a.noInput() {
		return a.fail(exNoInput, errors.New("there is no standard input to read"))
	}
	cfg, status := a.load(o)
	if cfg == nil {
		return status
	}
	trace, closeTrace, err := a.tracer(o)
	if err != nil {
		return a.fail(exIOErr, err)
	}
	defer closeTrace()
	// Told to end, we go on for as long as it takes to send what is left, but not
	// for longer than we are let.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWord+lastTry, end) })()
	g := &digester{a: a, o: o, cfg: cfg, trace: trace, ctx: life}
	if _, err := g.envelope(); err != nil {
		return a.refuse(err)
	}
	// This run stays, so memory is given back as usual.
	debug.SetGCPercent(100)
	// A reader of --tee that goes away must not take the mail with it.
	signal.Ignore(syscall.SIGPIPE)
	r := &digest.Runner{
		Options: digest.Options{Every: o.every, Size: digestSize, Match: o.match, Context: digestContext, Now: a.now},
		In:      a.in, After: time.After, Grace: lastWord, Send: g.send, Tell: func(text string) { a.say("%s", text); a.log.Warning(text) },
	}
	if o.digestSize > 0 {
		r.Size = o.digestSize
	}
	if o.tee {
		r.Tee = a.out
	}
	return g.ended(r.Run(ctx))
}

// digester sends digests.
type digester struct {
	a     *app
	o     *options
	cfg   *config.Config
	trace func(byte, string)
	ctx   context.Context // bounds all sending

	of     *digest.Digest // under way
	s      *submission    // made of it, for those who do not have it yet
	status int            // of the last failure
}

// envelope is from whom and for whom a digest is. It is worked out anew each
// time, since aliases may change.
func (g *digester) envelope() (*given, error) {
	return g.a.given(g.o, g.cfg, &headers.Block{}, mailDomain(g.cfg, g.a.host()))
}

// send is digest.Runner's.
func (g *digester) send(d *digest.Digest, last bool) (digest.Fate, string) {
	again := g.of == d
	if !again {
		if err := g.compose(d); err != nil {
			g.status = exTempFail
			return digest.Later, err.Error()
		}
	}
	defer g.a.closeQueues() // until the next digest, perhaps for hours
	outcomes := g.a.outlet(g.o, g.cfg, g.trace).send(g.ctx, g.s)
	if status := statusOf(outcomes); status != exOK {
		g.status = status
	}
	fate, reason := g.left(outcomes)
	if !again || fate != digest.Later { // what is known already is not said again
		g.a.explain(g.cfg, outcomes)
	}
	if fate != digest.Later || last {
		g.s.close()
		g.of, g.s = nil, nil
	}
	return fate, reason
}

// compose makes a message of a digest. It keeps its Message-ID if it has to be
// sent again.
func (g *digester) compose(d *digest.Digest) error {
	to, err := g.envelope()
	if err != nil {
		return err
	}
	for _, b := range to.bad {
		g.a.say("%s", b)
		g.status = statusOfBad(to.bad)
	}
	body, err := g.a.digestBody(d, g.a.tempDir(g.cfg))
	if err != nil {
		return err
	}
	block := g.a.textHeader(g.o, d, digestSubject)
	g.of, g.s = d, g.a.complete(to, mailDomain(g.cfg, g.a.host()), block, body)
	return nil
}

// left keeps the recipients that may still get the message. What is refused for
// good by one does not make it a failure for the others.
func (g *digester) left(outcomes []relay.Outcome) (digest.Fate, string) {
	fate, reason := digest.Refused, ""
	i := 0
	keep := func(list []smtp.Recipient) (left []smtp.Recipient) {
		for _, r := range list {
			switch o := outcomes[i]; {
			case o.Status == relay.Sent || o.Status == relay.Queued:
				if fate == digest.Refused {
					fate = digest.Accepted
				}
			case !settled(o):
				left = append(left, r)
				fate = digest.Later
				reason = o.Text
			default:
				reason = o.Text
			}
			i++
		}
		return left
	}
	all := g.s.envelopes()
	g.s.env.Recipients, g.s.lists = nil, nil
	for _, env := range all {
		if env.Recipients = keep(env.Recipients); len(env.Recipients) > 0 {
			g.s.lists = append(g.s.lists, env)
		}
	}
	return fate, reason
}

// ended is the status when the stream has ended.
func (g *digester) ended(r digest.Result) int {
	switch {
	case r.Lost > 0 && g.status != exOK:
		return g.status
	case r.Lost > 0:
		return exTempFail
	case r.Read != nil:
		return g.a.fail(exIOErr, r.Read)
	case r.Tee != nil && !errors.Is(r.Tee, os.ErrClosed):
		return exIOErr
	}
	return exOK
}
