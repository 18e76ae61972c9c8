package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"postern/internal/aliases"
	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/message"
	"postern/internal/relay"
	"postern/internal/smtp"
)

// maxReceived is how many servers a message may have passed; more is a loop.
const maxReceived = 50

// submission is a message with its envelope, ready to go.
type submission struct {
	id      string
	env     relay.Envelope
	lists   []relay.Envelope // for aliases that have an owner
	bad     []error          // recipients that nothing can be sent to
	aliases []aliases.Step   // how the recipients came about
	msg     *message.Message
	msgID   string
	changes []headers.Change
	uid     int // of the user who submits it
}

// close frees what holds the message.
func (s *submission) close() {
	// The temporary file has no name; that it does not close harms nobody.
	_ = s.msg.Body().Close()
}

// given is what a caller says about a message outside of it: on the command
// line, or in MAIL and RCPT.
type given struct {
	sender     headers.Address
	null       bool   // the null sender, whatever sender is
	fullName   string // for a From field that is missing
	recipients []smtp.Recipient
	lists      []relay.Envelope // sender and recipients of aliases that have an owner
	bad        []error
	aliases    []aliases.Step
	ret, envid string
	uid        int
	marks      config.Headers
	leave      []string               // fields that the submission service adds
	received   func(id string) string // makes the trace field of the service
}

// envelopes are those that the message goes out with: its own, unless only lists
// are left of it, and those of lists.
func (s *submission) envelopes() []relay.Envelope {
	if len(s.env.Recipients) == 0 && len(s.lists) > 0 {
		return s.lists
	}
	return append([]relay.Envelope{s.env}, s.lists...)
}

// fault is an error with the exit status it leads to.
type fault struct {
	status int
	err    error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func faultf(status int, format string, args ...any) *fault {
	return &fault{status, fmt.Errorf(format, args...)}
}

// submit is the main job: message in, envelope, message out.
func (a *app) submit(ctx context.Context, o *options) int {
	if a.noInput() {
		return a.fail(exNoInput, errors.New("there is no standard input to read a message from"))
	}
	cfg, status := a.load(o)
	if cfg == nil {
		a.drain()
		return status
	}
	s, err := a.receive(o, cfg)
	if err != nil {
		return a.refuse(err)
	}
	defer s.close()
	if o.dryRun {
		return a.showDryRun(cfg, s)
	}
	trace, closeTrace, err := a.tracer(o)
	if err != nil {
		return a.fail(exIOErr, err)
	}
	defer closeTrace()
	return a.report(o, cfg, s, a.outlet(o, cfg, trace).send(a.listening(ctx, cfg), s))
}

// refuse says why nothing is sent. err is a *fault, or a surprise.
func (a *app) refuse(err error) int {
	f := a.refused(err)
	return a.fail(f.status, f)
}

// refused logs why nothing is sent; a caller in a dialogue gets a reply then.
func (a *app) refused(err error) *fault {
	var f *fault
	if !errors.As(err, &f) {
		f = &fault{exSoftware, err}
	}
	a.log.Refused(f.Error(), f.status)
	return f
}

// receive reads the message to its end, whatever is wrong, and makes what is to
// be sent of it. Its errors are *fault.
func (a *app) receive(o *options, cfg *config.Config) (*submission, error) {
	block, body, err := a.input(o, a.tempDir(cfg))
	if err != nil {
		a.drain()
		return nil, err
	}
	domain := mailDomain(cfg, a.host())
	g, err := a.given(o, cfg, block, domain)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return a.complete(g, domain, block, body), nil
}

// input is what stands on standard input: a message, or text without a header.
func (a *app) input(o *options, dir string) (*headers.Block, *message.Body, error) {
	if o.text {
		return a.readText(o, dir)
	}
	return a.read(message.NewInput(a.in, o.ignoreDots), dir, headers.DefaultLimit)
}

// read takes a message apart; a long one waits in dir, and headerLimit is in
// octets, whole MiB. Its errors are *fault; r is not drained then.
func (a *app) read(r io.Reader, dir string, headerLimit int) (*headers.Block, *message.Body, error) {
	block, rest, err := headers.Read(r, headerLimit)
	if err != nil {
		if errors.Is(err, headers.ErrTooLarge) {
			return nil, nil, faultf(exDataErr, "the header is larger than %d MiB; nothing was sent", headerLimit>>20)
		}
		return nil, nil, faultf(exIOErr, "cannot read the message: %w", err)
	}
	body, err := message.ReadBody(rest, dir)
	if err != nil {
		return nil, nil, bodyFault(err)
	}
	if n := block.ReceivedCount(); n > maxReceived {
		err := faultf(exDataErr, "the message has passed %d servers; that is a loop, nothing was sent", n)
		return nil, nil, errors.Join(err, body.Close())
	}
	return block, body, nil
}

// bodyFault says whether the input or the disk is to blame.
func bodyFault(err error) *fault {
	var store *message.StoreError
	if errors.As(err, &store) {
		return faultf(exTempFail, "cannot keep the message while it is read: %w; set TMPDIR to a directory with room", err)
	}
	return faultf(exIOErr, "cannot read the message: %w", err)
}

// given works out what the command line, the header and the account say.
func (a *app) given(o *options, cfg *config.Config, block *headers.Block, domain string) (*given, error) {
	to, err := a.recipients(o, cfg, block, domain)
	if err != nil {
		return nil, err
	}
	var who person
	if o.sender == nil { // else nothing is asked of the account
		who = a.caller()
	}
	g := &given{bad: to.bad, aliases: to.steps, ret: o.ret, envid: o.envid, fullName: o.fullName, uid: os.Getuid(), marks: cfg.Headers}
	if g.sender, g.null, err = envelopeSender(o, cfg, who, domain); err != nil {
		return nil, err
	}
	if g.fullName == "" && o.sender == nil && cfg.Headers.FromName == "" {
		g.fullName = who.fullName
	}
	if cfg.HandOver { // the service knows its domain, and whose address its own is
		g.leave = []string{"Date", "Message-ID"}
		if o.sender == nil && o.fullName == "" {
			g.leave = append(g.leave, "From")
		}
	}
	g.recipients, g.lists = envelopes(to.list, func(headers.Address) (string, string) { return o.notify, "" }, g.null)
	return g, nil
}

// complete finishes the header of a message and joins it with its envelope. What
// is done to every message, whichever way it came in, is done here.
func (a *app) complete(g *given, domain string, block *headers.Block, body *message.Body) *submission {
	s := &submission{id: random(60), bad: g.bad, aliases: g.aliases, lists: g.lists, uid: g.uid}
	s.env = relay.Envelope{Recipients: g.recipients, Return: g.ret, ID: g.envid, UID: g.uid}
	if !g.null {
		s.env.Sender = g.sender.String()
	}
	for i := range s.lists {
		s.lists[i].Return, s.lists[i].ID, s.lists[i].UID = g.ret, g.envid, g.uid
	}
	if g.fullName == "" {
		g.fullName = fromName(&g.marks, g.uid, a.host())
	}
	s.changes = block.Complete(headers.Submission{Domain: domain, Sender: g.sender, SenderNull: g.null, FullName: g.fullName,
		Date: a.now(), MessageID: random(95) + "@" + domain, Leave: g.leave})
	s.changes = append(s.changes, mark(block, &g.marks, s.id, g.uid, a.host(), a.now())...)
	if g.received != nil {
		block.Mark(g.received(s.id), nil)
	}
	s.msgID, _ = block.Get("Message-ID")
	s.msg = message.New(block.Bytes(), body)
	return s
}

// envelopeSender is -f, the configured one, or the user who calls.
func envelopeSender(o *options, cfg *config.Config, who person, domain string) (headers.Address, bool, error) {
	given := who.login
	switch {
	case o.sender != nil:
		given = *o.sender
	case cfg.From != "":
		given = cfg.From
	}
	address, null, err := headers.ParseSender(given, domain)
	if err != nil {
		return address, false, faultf(exDataErr, "envelope sender: %w; nothing was sent", err)
	}
	return address, null, nil
}
