package smtp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// quitTimeout bounds the wait for a goodbye: the mail is done with by then.
const quitTimeout = 3 * time.Second

// simple is a command that may be sent at any time after EHLO.
func (c *Client) simple(ctx context.Context, stage Stage, line string, codes ...int) (Reply, error) {
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return Reply{}, err
	}
	r, err := c.command(stage, line, "")
	if err == nil && !slices.Contains(codes, r.Code) {
		err = c.refusal(stage, r)
	}
	return r, err
}

// Help returns the server's help text.
func (c *Client) Help(ctx context.Context) (string, error) {
	r, err := c.simple(ctx, StageCommand, "HELP", CodeSystemStatusOK, CodeHelpMessage, CodeCompleted)
	return r.Text(), err
}

// Noop does nothing; it keeps a connection alive.
func (c *Client) Noop(ctx context.Context) (Reply, error) {
	return c.simple(ctx, StageCommand, "NOOP", CodeCompleted)
}

// Verify asks whether address exists (RFC 5321 3.5); 252 means "cannot say".
func (c *Client) Verify(ctx context.Context, address string, options ...string) (Reply, error) {
	return c.query(ctx, "VRFY", address, options, CodeCompleted, CodeWillForward, CodeCannotVRFY)
}

// Expand asks for the members of a list.
func (c *Client) Expand(ctx context.Context, list string, options ...string) (Reply, error) {
	return c.query(ctx, "EXPN", list, options, CodeCompleted)
}

func (c *Client) query(ctx context.Context, verb, address string, options []string, codes ...int) (Reply, error) {
	if address == "" || strings.ContainsFunc(address, control) {
		return Reply{}, c.invalid(StageCommand, address, "an address that cannot be sent")
	}
	words := []string{verb, address}
	for _, o := range options {
		if err := c.checkWord(StageCommand, o); err != nil {
			return Reply{}, err
		}
		words = append(words, o)
	}
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return Reply{}, err
	}
	utf8 := !isASCII(address) || slices.ContainsFunc(options, func(o string) bool { return strings.EqualFold(o, "SMTPUTF8") })
	if utf8 && !c.ext.Has("SMTPUTF8") {
		return Reply{}, c.noUTF8(StageCommand)
	}
	r, err := c.command(StageCommand, strings.Join(words, " "), "")
	if err == nil && !slices.Contains(codes, r.Code) {
		e := c.refusal(StageCommand, r)
		e.Addr, err = address, e
	}
	return r, err
}

// Reset aborts the transaction under way (RFC 5321 4.1.1.5).
func (c *Client) Reset(ctx context.Context) (Reply, error) {
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return Reply{}, err
	}
	return c.reset()
}

func (c *Client) reset() (Reply, error) {
	r, err := c.command(StageReset, "RSET", "")
	if r, err = c.expect(StageReset, r, err); err == nil {
		c.dirty = false
	}
	return r, err
}

// Quit says goodbye and closes the connection, whatever the server answers; an
// end of the connection counts as an answer. It waits at most three seconds.
func (c *Client) Quit(ctx context.Context) (Reply, error) {
	if c.broken != nil || c.done {
		return Reply{}, c.broken
	}
	defer c.begin(ctx)()
	defer c.Close()
	r, err := c.commandWithin(StageQuit, "QUIT", "", min(quitTimeout, c.cfg.commandTimeout()))
	if errors.Is(err, ErrDisconnected) {
		return Reply{Code: CodeClosing, Lines: []string{"connection closed"}}, nil
	}
	return c.expect(StageQuit, r, err)
}

// Close drops the connection without a word. Closing again does nothing.
func (c *Client) Close() error {
	c.done = true
	if c.broken == nil {
		c.broken = c.failure(StageQuit, because(ErrDisconnected, errors.New("the connection is closed")))
	}
	c.link.close()
	c.forget()
	return nil
}

// Execute sends words joined by blanks and returns any reply. Words must have no
// control characters. A secret among them would be traced: use Login.
func (c *Client) Execute(ctx context.Context, words ...string) (Reply, error) {
	line := strings.Join(words, " ")
	if strings.TrimSpace(line) == "" {
		return Reply{}, c.invalid(StageCommand, "", "an empty command")
	}
	defer c.begin(ctx)()
	return c.command(StageCommand, line, "")
}

// invalid is an argument that is not sent.
func (c *Client) invalid(stage Stage, address, what string) *Error {
	return &Error{Stage: stage, Addr: address, Host: c.name, Err: because(ErrInvalid, errors.New(what))}
}

// unsupported is something that the server does not offer.
func (c *Client) unsupported(stage Stage, extension string) *Error {
	return &Error{Stage: stage, Host: c.name, Err: because(ErrNotSupported, errors.New("the server does not offer "+extension))}
}

// noUTF8 is an address that the server cannot take.
func (c *Client) noUTF8(stage Stage) *Error {
	return &Error{Stage: stage, Host: c.name, Err: because(ErrUTF8, errors.New("the server does not offer SMTPUTF8, which an address in UTF-8 needs"))}
}

// checkWord refuses a parameter that is more than one word.
func (c *Client) checkWord(stage Stage, word string) error {
	if word == "" || !plain(strings.NewReplacer("<", "", ">", "").Replace(word)) {
		return c.invalid(stage, "", "a parameter that cannot be sent")
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
