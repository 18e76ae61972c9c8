package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
)

// SendMessage sends a message whose header says from whom and for whom it is:
// the sender is the first address of Sender, else of From; the recipients are
// all of To, Cc and Bcc. In a message with a Resent-Date field the Resent- forms
// count instead (RFC 5322 3.6.6). Bcc and Resent-Bcc are never transmitted.
//
// A sender or recipients that are given go before those of the header; e.Sender
// nil means none is given, "" the null sender. Line ends may be of any kind.
//
// Fields must be as RFC 5322 wants them: this is for programs that make messages,
// not for what people type. The error is ErrInvalid for an address list that
// cannot be read, and for several Resent-Date fields, among which nobody can
// tell the newest block; ErrNoSender or ErrNoRecipients if the header names
// none. Otherwise it is as with Send.
func (c *Client) SendMessage(ctx context.Context, text []byte, e HeaderEnvelope) (Result, error) {
	envelope, m, err := e.of(text)
	if err != nil {
		return Result{}, err
	}
	return c.Send(ctx, envelope, m)
}

// SendMessage connects as cfg says, sends one message as Client.SendMessage
// does, and quits.
func SendMessage(ctx context.Context, cfg Config, text []byte, e HeaderEnvelope) (Result, error) {
	envelope, m, err := e.of(text)
	if err != nil {
		return Result{}, err
	}
	return Send(ctx, cfg, envelope, m)
}

// HeaderEnvelope is what of an envelope is not to be taken from the header.
type HeaderEnvelope struct {
	Sender     *string
	Recipients []string
	Options    Envelope // everything but sender and recipients
}

// of makes the envelope of a message, and the message without Bcc.
func (h *HeaderEnvelope) of(text []byte) (Envelope, Message, error) {
	wire := Bytes(text).(bytesMessage)
	fields, kept := readFields(wire)
	e := h.Options
	prefix := ""
	switch n := len(fields["resent-date"]); {
	case n > 1:
		return e, nil, headerError("several Resent-Date fields: which one is the newest cannot be told")
	case n == 1:
		prefix = "resent-"
	}
	e.EightBit = e.EightBit || !isASCII(string(kept))
	if err := h.sender(&e, fields, prefix); err != nil {
		return e, nil, err
	}
	if len(h.Recipients) > 0 {
		e.Recipients = RecipientsOf(h.Recipients...)
		return e, bytesMessage(kept), nil
	}
	for _, name := range []string{"to", "cc", "bcc"} {
		list, err := addresses(fields[prefix+name])
		if err != nil {
			return e, nil, err
		}
		e.Recipients = append(e.Recipients, RecipientsOf(list...)...)
	}
	if len(e.Recipients) == 0 {
		return e, nil, &Error{Stage: StageRcpt, Err: because(ErrNoRecipients, fmt.Errorf("no address in %sTo, Cc or Bcc", prefix))}
	}
	return e, bytesMessage(kept), nil
}

func (h *HeaderEnvelope) sender(e *Envelope, fields map[string][]string, prefix string) error {
	if h.Sender != nil {
		e.Sender = *h.Sender
		return nil
	}
	for _, name := range []string{"sender", "from"} {
		list, err := addresses(fields[prefix+name])
		if err != nil {
			return err
		}
		if len(list) > 0 {
			e.Sender = list[0]
			return nil
		}
	}
	return &Error{Stage: StageMail, Err: because(ErrNoSender, fmt.Errorf("no address in %sSender or From", prefix))}
}

// addresses reads address lists (RFC 5322 3.4).
func addresses(values []string) (list []string, err error) {
	for _, v := range values {
		if strings.TrimSpace(v) == "" {
			continue
		}
		found, err := mail.ParseAddressList(v)
		if err != nil {
			return nil, headerError("an address list that cannot be read: " + v)
		}
		for _, a := range found {
			list = append(list, mailbox(a.Address))
		}
	}
	return list, nil
}

// mailbox quotes the local part again if it has to be: net/mail takes the quotes
// off.
func mailbox(address string) string {
	local := localPart(address)
	quoted := (&mail.Address{Address: address}).String() // "<local@domain>"
	if strings.HasPrefix(quoted, `<"`) {
		return strings.Trim(quoted, "<>")
	}
	return local + address[len(local):]
}

func headerError(text string) *Error {
	return &Error{Stage: StageMail, Err: because(ErrInvalid, errors.New(text))}
}

// readFields gives the values of a header by lower-case name, unfolded, and the
// message without its Bcc fields.
func readFields(wire []byte) (fields map[string][]string, kept []byte) {
	fields = make(map[string][]string)
	kept = make([]byte, 0, len(wire))
	for rest := wire; len(rest) > 0; {
		n := fieldLen(rest)
		name, value, ok := strings.Cut(string(rest[:n]), ":")
		name = strings.ToLower(strings.TrimRight(name, " \t"))
		if !ok || name == "" || strings.ContainsAny(name, " \t\r\n") {
			return fields, append(kept, rest...) // the end of the header
		}
		fields[name] = append(fields[name], strings.TrimSpace(strings.ReplaceAll(value, "\r\n", "")))
		if name != "bcc" && name != "resent-bcc" {
			kept = append(kept, rest[:n]...)
		}
		rest = rest[n:]
	}
	return fields, kept
}

// fieldLen is the length of a field with the lines that continue it.
func fieldLen(p []byte) int {
	n := 0
	for {
		i := bytes.IndexByte(p[n:], '\n')
		if i < 0 {
			return len(p)
		}
		n += i + 1
		if n == len(p) || p[n] != ' ' && p[n] != '\t' {
			return n
		}
	}
}
