package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/message"
	"postern/internal/relay"
)

// maxReceived is how many servers a message may have passed; more is a loop.
const maxReceived = 50

// submission is a message with its envelope, ready to go.
type submission struct {
	id      string
	env     relay.Envelope
	bad     []*headers.BadAddress // recipients that are no addresses
	msg     *message.Message
	msgID   string
	changes []headers.Change
}

// fault is an error with the exit status it leads to.
type fault struct {
	status int
	err    error
}

func (f *fault) Error() string { return f.err.Error() }

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
		var f *fault
		if !errors.As(err, &f) {
			f = &fault{exSoftware, err}
		}
		a.log.Refused(f.Error(), f.status)
		return a.fail(f.status, f)
	}
	// The temporary file has no name; that it does not close harms nobody.
	defer func() { _ = s.msg.Body().Close() }()
	if o.dryRun {
		return a.showDryRun(s)
	}
	return a.send(ctx, o, cfg, s)
}

// receive reads the message to its end, whatever is wrong, and makes what is to
// be sent of it. Its errors are *fault.
func (a *app) receive(o *options, cfg *config.Config) (*submission, error) {
	input := message.NewInput(a.in, o.ignoreDots)
	block, rest, err := headers.Read(input, headers.DefaultLimit)
	if err != nil {
		a.drain()
		if errors.Is(err, headers.ErrTooLarge) {
			return nil, faultf(exDataErr, "the header is larger than %d MiB; nothing was sent", headers.DefaultLimit>>20)
		}
		return nil, faultf(exIOErr, "cannot read the message: %w", err)
	}
	body, err := message.ReadBody(rest, a.tempDir())
	if err != nil {
		a.drain()
		return nil, bodyFault(err)
	}
	s, err := a.complete(o, cfg, block, body)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return s, nil
}

// bodyFault says whether the input or the disk is to blame.
func bodyFault(err error) *fault {
	var store *message.StoreError
	if errors.As(err, &store) {
		return faultf(exTempFail, "cannot keep the message while it is read: %w", err)
	}
	return faultf(exIOErr, "cannot read the message: %w", err)
}

func (a *app) tempDir() string {
	if a.privileged {
		return "/tmp"
	}
	return os.TempDir()
}

// complete works out the envelope and finishes the header.
func (a *app) complete(o *options, cfg *config.Config, block *headers.Block, body *message.Body) (*submission, error) {
	if n := block.ReceivedCount(); n > maxReceived {
		return nil, faultf(exDataErr, "the message has passed %d servers; that is a loop, nothing was sent", n)
	}
	domain := mailDomain(cfg, fullHostname())
	s := &submission{id: random(60)}
	to, err := recipients(o, block, domain)
	if err != nil {
		return nil, err
	}
	s.bad = to.Bad
	who := a.caller()
	sender, null, err := envelopeSender(o, cfg, who, domain)
	if err != nil {
		return nil, err
	}
	s.env = relay.Envelope{Notify: o.notify, Return: o.ret, ID: o.envid}
	if !null {
		s.env.Sender = sender.String()
	}
	for _, r := range to.Addresses {
		s.env.Recipients = append(s.env.Recipients, r.String())
	}
	name := o.fullName
	if name == "" && o.sender == nil {
		name = who.fullName
	}
	s.changes = block.Complete(headers.Submission{Domain: domain, Sender: sender, SenderNull: null, FullName: name,
		Date: a.now(), MessageID: random(95) + "@" + domain})
	s.msgID, _ = block.Get("Message-ID")
	s.msg = message.New(block.Bytes(), body)
	return s, nil
}

// recipients are those of the arguments and, with -t, of the header, each once.
func recipients(o *options, block *headers.Block, domain string) (headers.Recipients, error) {
	var to headers.Recipients
	for _, arg := range o.args {
		addresses, bad := headers.ParseList(arg, domain)
		to.Addresses = append(to.Addresses, addresses...)
		to.Bad = append(to.Bad, bad...)
	}
	if o.fromHeader {
		header := block.Recipients(domain)
		to.Addresses = append(to.Addresses, header.Addresses...)
		to.Bad = append(to.Bad, header.Bad...)
		to.Resent = header.Resent
	}
	to.Addresses = headers.Merge(to.Addresses)
	if len(to.Addresses) > 0 {
		return to, nil
	}
	for _, bad := range to.Bad {
		return to, faultf(exDataErr, "%w; nothing was sent", bad)
	}
	switch {
	case to.Resent:
		return to, faultf(exUsage, "no recipients: the message has Resent- fields, but no address in Resent-To, Resent-Cc or Resent-Bcc")
	case o.fromHeader:
		return to, faultf(exUsage, "no recipients: no address in To, Cc or Bcc, and none as an argument")
	}
	return to, faultf(exUsage, "no recipients: give addresses as arguments, or -t to take them from the header")
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
