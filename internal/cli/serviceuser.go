package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"postern/internal/headers"
	"postern/internal/smtpd"
)

// serviceHeader is how large the header of a message to the service may be, in
// octets. It is held in memory, for each connection.
const serviceHeader = 1 << 20

// serviceHandler takes the messages of one connection to the service.
type serviceHandler struct {
	inbound
	v     *service
	out   *outlet
	leave func()
}

// open begins a dialogue, by the configuration in force now.
func (v *service) open(p smtpd.Peer) (smtpd.Handler, error) {
	out := v.current.use()
	h := &serviceHandler{v: v, out: out, leave: sync.OnceFunc(func() { v.current.done(out) })}
	host := v.a.host()
	h.inbound = inbound{a: v.a, cfg: out.cfg, domain: mailDomain(out.cfg, host), headerLimit: serviceHeader}
	from := p.Addr
	if p.UID >= 0 {
		h.who, _ = personOf(p.UID)
		if out.cfg.Headers.FromName == "" {
			h.fullName = h.who.fullName
		}
		from = fmt.Sprintf("user %s, uid %d", h.who.login, p.UID)
		if !isLogin(h.who.login) {
			from = fmt.Sprintf("uid %d", p.UID)
		}
	}
	h.received = func(id string) string {
		return fmt.Sprintf("by %s (postern, from %s) with ESMTP id %s; %s", host, from, id, v.a.now().Format(headers.DateForm))
	}
	return h, nil
}

// Mail implements smtpd.Handler.
func (h *serviceHandler) Mail(_ context.Context, t *smtpd.Transaction) error {
	rate := h.cfg.Service.UserRate
	if !h.v.rates.allow(t.Peer.UID, rate) {
		return smtpd.Replyf(450, [3]int{4, 7, 1}, "No more than %d messages of one user in %s, try again later", rate.Count, rate.Per)
	}
	return nil
}

// Rcpt implements smtpd.Handler.
func (h *serviceHandler) Rcpt(_ context.Context, t *smtpd.Transaction, to smtpd.Recipient) error {
	list, err := h.expand(to)
	if err != nil || len(list) != 1 {
		return err
	}
	return h.routable(t, list[0].Address.String())
}

// Message implements smtpd.Handler: when it says 250, the message is on stable
// storage.
func (h *serviceHandler) Message(ctx context.Context, t *smtpd.Transaction, content io.Reader) error {
	s, err := h.take(t, content)
	if err != nil {
		return err
	}
	defer s.close()
	if err := h.out.keep(ctx, s); err != nil {
		h.a.log.Warning(fmt.Sprintf("%s: %v", s.id, err))
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return smtpd.Replyf(452, [3]int{4, 3, 1}, "The spool is full, nothing was kept")
		}
		return smtpd.Replyf(451, [3]int{4, 3, 0}, "The message could not be kept")
	}
	h.v.wake()
	return smtpd.Replyf(250, [3]int{2, 0, 0}, "Ok: queued as %s", s.id)
}

// Reset implements smtpd.Handler.
func (h *serviceHandler) Reset() {}

// Close implements smtpd.Handler.
func (h *serviceHandler) Close() { h.leave() }
