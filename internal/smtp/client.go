package smtp

import (
	"context"
	"errors"
	"net"
	"time"
)

// Client is one connection to a server. It is made by Dial, NewClient or
// Connect and serves one goroutine at a time.
type Client struct {
	cfg   Config
	link  *link
	name  string // of the server, for verification and errors
	local bool   // loopback, unix socket or command: nobody listens on the way

	dialled Config   // as the caller gave it
	others  []target // servers to go to after this one

	greeting Reply
	hello    Reply
	ext      Extensions
	greeted  bool // EHLO or HELO was answered
	esmtp    bool // it was EHLO
	auth     string
	sent     int           // transactions so far, for LIMITS MAILMAX
	dirty    bool          // RSET is needed before the next MAIL
	pending  int           // replies that are still to come
	windowed bool          // replies are not waited for at every full group
	expected []expectation // whose they are, in a transaction
	room     []expectation // empty, for the next of these
	group    int64         // where on the connection the commands begin that are in flight
	held     []*transaction
	lull     func() // called before a reply is waited for; may be nil

	resetText string // the answer to RSET in a window
	closing   int    // code of the answer to QUIT

	broken error // the first error that ended the connection
	done   bool  // QUIT was sent or Close called
}

// errUnsolicited is what a server says without being asked.
var errUnsolicited = because(ErrProtocol, errors.New("the server spoke without being asked"))

// begin binds one public call to ctx.
func (c *Client) begin(ctx context.Context) (end func()) { return c.link.begin(ctx) }

// command sends one command and reads its reply. shown is what the trace sees,
// the line itself if empty.
func (c *Client) command(stage Stage, line, shown string) (Reply, error) {
	return c.commandWithin(stage, line, shown, c.cfg.commandTimeout())
}

func (c *Client) commandWithin(stage Stage, line, shown string, d time.Duration) (Reply, error) {
	if err := c.write(stage, line, shown); err != nil {
		return Reply{}, err
	}
	return c.read(stage, d)
}

// write puts a command into the next group.
func (c *Client) write(stage Stage, line, shown string) error {
	if c.broken != nil {
		return c.broken
	}
	if hasControl(line) {
		return &Error{Stage: stage, Host: c.name, Err: because(ErrInvalid, errors.New("a command with control characters"))}
	}
	if shown == "" {
		shown = line
	}
	if err := c.quiet(stage); err != nil {
		return err
	}
	if err := c.link.writeLine(line, shown); err != nil {
		return c.stopped(stage, err)
	}
	c.pending++
	return nil
}

// flush sends what was written.
func (c *Client) flush(stage Stage) error {
	if c.broken != nil {
		return c.broken
	}
	if err := c.link.flush(); err != nil {
		return c.stopped(stage, err)
	}
	return nil
}

// quiet makes sure that nothing came which nobody asked for.
func (c *Client) quiet(stage Stage) error {
	if c.pending > 0 {
		return nil
	}
	farewell, err := c.link.idle()
	if err != nil {
		return c.end(c.failure(stage, err))
	}
	if farewell.Code != 0 {
		return c.end(c.refusal(stage, farewell))
	}
	return nil
}

// read takes the next reply. A 421 ends the connection (RFC 5321 3.8) and is
// returned as a reply with the error.
func (c *Client) read(stage Stage, d time.Duration) (Reply, error) {
	if err := c.flush(stage); err != nil {
		return Reply{}, err
	}
	limit := maxReplyLine
	if stage == StageAuth {
		limit = maxAuthReplyLine
	}
	r, err := c.link.reply(d, limit)
	if err != nil {
		return Reply{}, c.end(c.failure(stage, err))
	}
	c.pending--
	if r.Code == CodeServiceNotAvailable {
		return r, c.end(c.refusal(stage, r))
	}
	return r, nil
}

// end makes err the answer to all later calls and closes the connection.
func (c *Client) end(err error) error {
	if c.broken == nil {
		c.broken = err
		c.link.close()
	}
	return c.broken
}

// failure is an *Error for what is not a reply.
func (c *Client) failure(stage Stage, err error) *Error {
	e := &Error{Stage: stage, Host: c.name, Err: err}
	if errors.Is(err, ErrProtocol) {
		e.Code = CodeInvalidResponse
	}
	return e
}

// refusal is an *Error for a reply that says no.
func (c *Client) refusal(stage Stage, r Reply) *Error {
	return &Error{Stage: stage, Code: r.Code, Enhanced: r.Enhanced, Text: oneLine(r.Lines), Host: c.name}
}

// expect turns a reply other than 2yz into an error.
func (c *Client) expect(stage Stage, r Reply, err error) (Reply, error) {
	if err == nil && !r.Positive() {
		err = c.refusal(stage, r)
	}
	return r, err
}

// Greeting is the server's first reply.
func (c *Client) Greeting() Reply { return c.greeting }

// Hello is the reply to EHLO or HELO, zero before.
func (c *Client) Hello() Reply { return c.hello }

// Extensions is what the server offers now; nothing before EHLO.
func (c *Client) Extensions() Extensions { return c.ext }

// SupportsExtension reports whether the server offers it; case does not matter.
func (c *Client) SupportsExtension(name string) bool { return c.ext.Has(name) }

// IsConnected reports whether commands can still be sent.
func (c *Client) IsConnected() bool { return c.broken == nil && !c.done }

// NeedsHello reports whether neither EHLO nor HELO was answered yet. Commands
// that need it send EHLO themselves.
func (c *Client) NeedsHello() bool { return !c.greeted }

// LocalName is the name given in EHLO: Config.LocalName, or the local address
// as a literal (RFC 5321 4.1.3). It never asks DNS.
func (c *Client) LocalName() string {
	if c.cfg.LocalName != "" {
		return c.cfg.LocalName
	}
	if a, ok := c.link.conn.LocalAddr().(*net.TCPAddr); ok {
		if a.IP.To4() != nil {
			return "[" + a.IP.String() + "]"
		}
		return "[IPv6:" + a.IP.String() + "]"
	}
	return "[127.0.0.1]"
}

// Ehlo sends EHLO; name "" means LocalName.
func (c *Client) Ehlo(ctx context.Context, name string) (Reply, error) {
	defer c.begin(ctx)()
	return c.sendHello("EHLO", name)
}

// Helo sends HELO; name "" means LocalName. The server then has no extensions.
func (c *Client) Helo(ctx context.Context, name string) (Reply, error) {
	defer c.begin(ctx)()
	return c.sendHello("HELO", name)
}

func (c *Client) sendHello(verb, name string) (Reply, error) {
	if name == "" {
		name = c.LocalName()
	}
	if !plain(name) {
		return Reply{}, &Error{Stage: StageHello, Host: c.name, Err: because(ErrInvalid, errors.New("a name with blanks or control characters"))}
	}
	r, err := c.command(StageHello, verb+" "+name, "")
	if r, err = c.expect(StageHello, r, err); err != nil {
		return r, err
	}
	c.forget()
	c.hello, c.greeted, c.esmtp = r, true, verb == "EHLO"
	if c.esmtp {
		c.ext = parseExtensions(r.Lines)
	}
	return r, nil
}

// forget drops what was learnt from EHLO (RFC 3207 4.2).
func (c *Client) forget() {
	c.hello, c.ext, c.greeted, c.esmtp = Reply{}, Extensions{}, false, false
}

// introduce sends EHLO, and HELO if that is refused, unless it was done.
func (c *Client) introduce() error {
	if c.greeted {
		return nil
	}
	if _, err := c.sendHello("EHLO", ""); err == nil || c.broken != nil || !errors.Is(err, ErrHello) {
		return err
	} else if c.cfg.TLS == Required || c.cfg.WantsLogin() {
		return err // HELO has neither STARTTLS nor AUTH
	}
	_, err := c.sendHello("HELO", "")
	return err
}
