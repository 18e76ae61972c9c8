package smtp

import (
	"context"
	"strings"
)

// Mail begins a transaction (RFC 5321 4.1.1.2) with parameters as they stand on
// the wire ("SIZE=10"), which must be offered. The error is ErrSenderRefused if
// the server says no, ErrNotSupported if it lacks what the address needs.
func (c *Client) Mail(ctx context.Context, sender string, parameters ...string) (Reply, error) {
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return Reply{}, err
	}
	path, err := c.path(StageMail, sender)
	if err != nil {
		return Reply{}, err
	}
	line := "MAIL FROM:<" + path + ">"
	utf8 := !isASCII(path)
	for _, p := range parameters {
		if err := c.checkWord(StageMail, p); err != nil {
			return Reply{}, err
		}
		if strings.EqualFold(p, "SMTPUTF8") {
			utf8 = true
			continue
		}
		line += " " + p
	}
	if utf8 {
		if !c.ext.Has("SMTPUTF8") {
			return Reply{}, c.noUTF8(StageMail)
		}
		line += " SMTPUTF8"
	}
	r, err := c.command(StageMail, line, "")
	return c.addressed(StageMail, sender, r, err)
}

// Rcpt names a recipient (RFC 5321 4.1.1.3). The error is ErrRecipientRefused if
// the server says no.
func (c *Client) Rcpt(ctx context.Context, recipient string, parameters ...string) (Reply, error) {
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return Reply{}, err
	}
	path, err := c.path(StageRcpt, recipient)
	if err != nil {
		return Reply{}, err
	}
	if path == "" {
		return Reply{}, c.invalid(StageRcpt, "", "an empty recipient")
	}
	if !isASCII(path) && !c.ext.Has("SMTPUTF8") {
		return Reply{}, c.noUTF8(StageRcpt)
	}
	line := "RCPT TO:<" + path + ">"
	for _, p := range parameters {
		if err := c.checkWord(StageRcpt, p); err != nil {
			return Reply{}, err
		}
		line += " " + p
	}
	r, err := c.command(StageRcpt, line, "")
	return c.addressed(StageRcpt, recipient, r, err)
}

// addressed is expect for a command about an address.
func (c *Client) addressed(stage Stage, address string, r Reply, err error) (Reply, error) {
	if err != nil || r.Positive() {
		return r, err
	}
	e := c.refusal(stage, r)
	e.Addr = address
	return r, e
}

// Data sends DATA and the message (RFC 5321 4.1.1.4). Dots are doubled and line
// ends are made CRLF on the way. A message that cannot be read to its end breaks
// the connection, so that half of it is never taken for all.
func (c *Client) Data(ctx context.Context, m Message) (Reply, error) {
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return Reply{}, err
	}
	r, err := c.command(StageData, "DATA", "")
	if err != nil {
		return r, err
	}
	if r.Code != CodeStartInput {
		return r, c.refusal(StageData, r)
	}
	t := &transaction{msg: m, result: newResult(1, m.Size()), who: []int{0}, accepted: []int{0}}
	if err := c.content(t); err != nil {
		return Reply{}, err
	}
	err = c.collect(nil)
	if one := t.result.Recipients[0]; one.Err != nil {
		err = one.Err
	}
	return t.result.Reply, err
}
