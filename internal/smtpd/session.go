package smtpd

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	gosmtp "github.com/emersion/go-smtp"
	"postern/internal/headers"
)

// Transaction is what MAIL and RCPT have said.
type Transaction struct {
	Peer       Peer
	Hello      string          // what the caller calls itself; nothing depends on it
	Sender     headers.Address // without a domain if the caller gave none
	Null       bool            // the null sender
	Recipients []Recipient
	Return     string // RET
	EnvelopeID string // ENVID
}

// Recipient is what RCPT has said.
type Recipient struct {
	Address  headers.Address // without a domain if the caller gave none
	Notify   string          // NEVER, or of SUCCESS,FAILURE,DELAY; "" if it was not given
	Original string          // ORCPT, "rfc822;address", not in xtext
}

// Handler does what a dialogue asks for. It serves one connection. Errors are
// replies if they are *Reply, else 451.
type Handler interface {
	// Mail may refuse the sender.
	Mail(ctx context.Context, t *Transaction) error
	// Rcpt may refuse a recipient, which is not in t yet.
	Rcpt(ctx context.Context, t *Transaction, to Recipient) error
	// Message takes responsibility for a message, and then returns a *Reply with
	// code 250, or says why not. It must not do so before content ended with
	// io.EOF: any other end is a message that was not whole.
	Message(ctx context.Context, t *Transaction, content io.Reader) error
	// Reset forgets a transaction, after a message too.
	Reset()
	// Close ends the connection.
	Close()
}

// session is a connection after EHLO.
type session struct {
	ctx     context.Context
	w       *wire
	peer    Peer
	hello   string
	handler Handler
	limit   int64

	mu   sync.Mutex   // BDAT is read in a goroutine of go-smtp's
	t    *Transaction // nil before MAIL
	seen map[string]bool
}

// Mail implements gosmtp.Session.
func (s *session) Mail(from string, o *gosmtp.MailOptions) error {
	if s.t != nil {
		return forWire(&Reply{503, [3]int{5, 5, 1}, "Nested MAIL command"})
	}
	if len(o.EnvelopeID) > 100 { // RFC 3461 4.4
		return forWire(&Reply{501, [3]int{5, 5, 4}, "ENVID is too long"})
	}
	t := &Transaction{Peer: s.peer, Hello: s.hello, Null: from == "", Sender: split(from),
		Return: string(o.Return), EnvelopeID: o.EnvelopeID}
	if s.w.bare {
		t.Sender.Domain = ""
	}
	if err := s.handler.Mail(s.ctx, t); err != nil {
		return forWire(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t, s.seen = t, make(map[string]bool)
	return nil
}

// Rcpt implements gosmtp.Session.
func (s *session) Rcpt(to string, o *gosmtp.RcptOptions) error {
	address := split(to)
	r := Recipient{Address: address}
	if s.w.bare {
		r.Address.Domain = ""
	}
	var words []string
	for _, n := range o.Notify {
		words = append(words, string(n))
	}
	r.Notify = strings.Join(words, ",")
	// One in UTF-8 has a form in ASCII only if it is written by its sender (RFC
	// 6533 3); it is for reports alone, so the message goes without it.
	if o.OriginalRecipientType == gosmtp.DSNAddressTypeRFC822 {
		r.Original = "rfc822;" + o.OriginalRecipient
	}
	if s.seen[address.Key()] {
		return nil
	}
	if err := s.handler.Rcpt(s.ctx, s.t, r); err != nil {
		return forWire(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[address.Key()] = true
	s.t.Recipients = append(s.t.Recipients, r)
	return nil
}

// Data implements gosmtp.Session, for DATA and for BDAT. Its result is never
// nil: the good answer is a reply as well.
func (s *session) Data(r io.Reader) error {
	t := s.transaction()
	if t == nil { // chunks that were broken off before their goroutine ran
		return forWire(&Reply{503, [3]int{5, 5, 1}, "The transaction was given up"})
	}
	if _, chunks := r.(*io.PipeReader); chunks {
		return forWire(s.answer(t, r, nil))
	}
	c := s.w.content(s.limit)
	return forWire(s.answer(t, c, c.drain))
}

// answer has a message taken. drain, if not nil, reads what was left of it.
func (s *session) answer(t *Transaction, content io.Reader, drain func() bool) error {
	watched := &watched{r: content}
	err := s.handler.Message(s.ctx, t, watched)
	if drain != nil && !drain() && watched.err == nil {
		watched.err = io.ErrUnexpectedEOF
	}
	var r *Reply
	switch {
	case errors.Is(watched.err, errTooLarge):
		return errTooLarge
	case watched.err != nil && watched.err != io.EOF:
		// Nobody may be there to read it.
		return &Reply{451, [3]int{4, 4, 2}, "The message did not arrive whole"}
	case err == nil, watched.err == nil && errors.As(err, &r) && r.Code/100 == 2:
		return errors.New("a message was taken without being read") // a fault of the handler's
	case errors.As(err, &r):
		if r.Code/100 == 2 {
			s.w.span.begin()
		}
		return r
	}
	return err
}

// watched remembers how content ended.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// transaction is a copy of the one under way, nil if there is none.
func (s *session) transaction() *Transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.t == nil {
		return nil
	}
	t := *s.t
	t.Recipients = slices.Clone(t.Recipients)
	return &t
}

// Reset implements gosmtp.Session.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.t != nil {
		s.handler.Reset()
	}
	s.t = nil
}

// Logout implements gosmtp.Session.
func (s *session) Logout() error {
	s.handler.Close()
	return nil
}

// split takes an address apart that canonical has made and go-smtp has unquoted.
func split(address string) headers.Address {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return headers.Address{Local: address}
	}
	return headers.Address{Local: address[:i], Domain: address[i+1:]}
}
