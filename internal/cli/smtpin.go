package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"postern/internal/headers"
	"postern/internal/relay"
	"postern/internal/smtpd"
)

// maxRecipients of a message that comes in over SMTP; more are told 452, and go
// in another one.
const maxRecipients = 10000

// askTime is how long a question at MAIL or RCPT may keep the caller waiting.
const askTime = 10 * time.Second

// stopTime is how long a dialogue that is told to end may take to answer what it
// is about.
const stopTime = 5 * time.Second

// smtpIn is -bs: SMTP on standard input and output, one message after another.
func (a *app) smtpIn(ctx context.Context, o *options) int {
	if a.noInput() {
		return a.fail(exNoInput, errors.New("there is no standard input to speak SMTP on"))
	}
	cfg, status := a.load(o)
	if cfg == nil {
		// The caller waits for a greeting, and shows what it gets instead.
		_, _ = io.WriteString(a.out, "421 4.3.5 The configuration of postern is missing or wrong\r\n")
		return status
	}
	if cfg.HandOver {
		return a.smtpThrough(ctx, cfg)
	}
	trace, closeTrace, err := a.tracer(o)
	if err != nil {
		return a.fail(exIOErr, err)
	}
	defer closeTrace()
	// A caller that does not read our answers still gets its mail sent.
	signal.Ignore(syscall.SIGPIPE)
	host := a.host()
	h := &directHandler{inbound: inbound{a: a, cfg: cfg, domain: mailDomain(cfg, host), who: a.caller(), fullName: o.fullName, headerLimit: headers.DefaultLimit}, o: o, trace: trace}
	s := smtpd.New(ctx, smtpd.Options{Host: host, Domain: h.domain, Now: a.now, MaxRecipients: maxRecipients,
		Open: func(smtpd.Peer) (smtpd.Handler, error) { return h, nil }, Warn: a.log.Warning})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Handle(smtpd.Stdio(a.in, a.out), smtpd.Peer{UID: os.Getuid()})
	}()
	select {
	case <-done:
		return exOK
	case <-ctx.Done(): // what is under way fails, or is kept
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if !s.Stop(ctx) {
		return exTempFail
	}
	return exOK
}

// directHandler sends what comes in on standard input.
type directHandler struct {
	inbound
	o     *options
	trace func(byte, string)
	out   *outlet // made for the first message
	ask   *relay.Asker
}

// Mail implements smtpd.Handler.
func (h *directHandler) Mail(ctx context.Context, t *smtpd.Transaction) error {
	if h.out == nil {
		h.out = h.a.outlet(h.o, h.cfg, h.trace)
		if h.out.queue == nil || h.out.mode == 'i' {
			h.ask = &relay.Asker{Relay: h.out.relay, Within: askTime}
		}
	}
	if h.ask == nil {
		return nil
	}
	sender := ""
	if !t.Null {
		sender = h.sender(t).String()
	}
	return asReply(h.ask.Sender(ctx, sender))
}

// Rcpt implements smtpd.Handler. Of an alias that stands for several addresses
// some may be refused: that is for the delivery to report.
func (h *directHandler) Rcpt(ctx context.Context, t *smtpd.Transaction, to smtpd.Recipient) error {
	list, err := h.expand(to)
	if err != nil || len(list) != 1 {
		return err
	}
	if err := h.routable(t, list[0].Address.String()); err != nil || h.ask == nil {
		return err
	}
	return asReply(h.ask.Recipient(ctx, list[0].Address.String()))
}

// Message implements smtpd.Handler.
func (h *directHandler) Message(ctx context.Context, t *smtpd.Transaction, content io.Reader) error {
	s, err := h.take(t, content)
	if err != nil {
		return err
	}
	defer s.close()
	if h.ask != nil { // the connection is not needed, and may be the only one allowed
		h.ask.Close(ctx)
	}
	return replyOf(s, h.out.told(ctx, s, h.out.send(ctx, s)))
}

// Reset implements smtpd.Handler.
func (h *directHandler) Reset() {}

// Close implements smtpd.Handler.
func (h *directHandler) Close() {
	if h.ask != nil {
		h.ask.Close(context.Background()) // bounded by its own time
	}
}
