package smtp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Dial connects and makes the connection ready for mail: the hosts in order and
// all their addresses, greeting, EHLO (HELO if refused), TLS and login as cfg
// says. It goes on to the next address and host after any failure that is the
// server's own; refused credentials are not tried elsewhere. On error nothing
// stays open; the error is that of one server (the last, or the last that may be
// well again later) and tells those of the others.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	return dial(ctx, cfg, func(c *Client) error { return c.prepare(ctx) })
}

// Connect connects and reads the greeting, nothing more; with Implicit the
// connection is secured before. The commands are then up to the caller.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	return dial(ctx, cfg, func(*Client) error { return nil })
}

// NewClient makes a connection that exists ready for mail, as Dial does. The
// client owns conn, also when it fails.
func NewClient(ctx context.Context, conn net.Conn, cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c, err := open(ctx, cfg, target{name: cfg.hosts()[0], tls: cfg.TLS, how: "connection"}, conn)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// target is one way to reach a server.
type target struct {
	name string // to verify and to tell
	host string // to look up
	port int
	tls  TLSMode
	how  string // "" for TCP, else "unix", "command", "connection"
}

func dial(ctx context.Context, cfg Config, ready func(*Client) error) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	var failures []error
	targets, err := cfg.targets(ctx)
	if err != nil {
		failures = append(failures, err)
	}
	return cfg.dialTargets(ctx, targets, failures, ready)
}

// dialTargets connects to the first target that is ready.
func (cfg Config) dialTargets(ctx context.Context, targets []target, failures []error, ready func(*Client) error) (*Client, error) {
	for i, t := range targets {
		c, err := cfg.reach(ctx, t, ready)
		if err == nil {
			c.dialled, c.others = cfg, targets[i+1:]
			return c, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || final(err) {
			break
		}
	}
	return nil, lastOf(failures)
}

// final reports an error that another address would repeat.
func final(err error) bool {
	return errors.Is(err, ErrAuth) && !Temporary(err) || errors.Is(err, ErrInvalid)
}

// lastOf is the failure of the last server, or of the last for which trying again
// can help, if there is one: it may be well again while the others never will.
// The rest is told with it.
func lastOf(failures []error) error {
	if len(failures) == 1 {
		return failures[0]
	}
	main := len(failures) - 1
	for i, err := range failures {
		if Temporary(err) && !errors.Is(err, ErrNoSuchHost) {
			main = i
		}
	}
	return &dialError{main: failures[main], others: slices.Delete(slices.Clone(failures), main, main+1)}
}

// dialError is the failure to reach any of several servers. What kind it is
// follows from the main one.
type dialError struct {
	main   error
	others []error
}

func (e *dialError) Error() string {
	texts := []string{e.main.Error()}
	for _, o := range e.others {
		texts = append(texts, strings.TrimPrefix(o.Error(), "smtp: "))
	}
	return strings.Join(texts, "; besides ")
}

func (e *dialError) Unwrap() error { return e.main }

// reach tries the addresses of t until one is ready.
func (cfg Config) reach(ctx context.Context, t target, ready func(*Client) error) (*Client, error) {
	addrs, err := cfg.addresses(ctx, t)
	if err != nil {
		return nil, err
	}
	for {
		conn, left, err := cfg.open(ctx, t, addrs)
		if err != nil {
			return nil, err
		}
		c, err := open(ctx, cfg, t, conn)
		if err == nil {
			if err = ready(c); err == nil {
				return c, nil
			}
			c.Close()
		}
		if len(left) == 0 || ctx.Err() != nil || final(err) {
			return nil, err
		}
		addrs = left
	}
}

// open gives a connection to t, and the addresses not tried yet.
func (cfg Config) open(ctx context.Context, t target, addrs []netip.Addr) (net.Conn, []netip.Addr, error) {
	fail := func(err error) error {
		if ctx.Err() != nil { // what came of that does not matter
			err = ctx.Err()
		}
		return &Error{Stage: StageConnect, Host: t.String(), Err: connectKind(err)}
	}
	switch {
	case t.how == "unix":
		d := net.Dialer{Timeout: cfg.connectTimeout()}
		conn, err := d.DialContext(ctx, "unix", cfg.Socket)
		if err != nil {
			return nil, nil, fail(err)
		}
		return conn, nil, nil
	case t.how == "command":
		conn, err := startCommand(cfg.ConnectCommand)
		if err != nil {
			return nil, nil, fail(err)
		}
		return conn, nil, nil
	case cfg.Proxy != "":
		conn, err := cfg.throughProxy(ctx, net.JoinHostPort(t.host, strconv.Itoa(t.port)))
		if err != nil {
			return nil, nil, fail(err)
		}
		return conn, nil, nil
	}
	conn, left, err := cfg.race(ctx, addrs, t.port)
	if err != nil {
		return nil, nil, fail(err)
	}
	return conn, left, nil
}

// String is the target for errors before there is a connection.
func (t target) String() string {
	if t.how != "" {
		return t.name
	}
	return net.JoinHostPort(t.name, strconv.Itoa(t.port))
}

// connectKind gives an error of connecting its kind and drops the addresses
// that are said elsewhere.
func connectKind(err error) error {
	switch {
	case isTimeout(err):
		return because(ErrTimeout, errors.New("no answer in time"))
	case errors.Is(err, context.Canceled):
		return err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	var call *os.SyscallError // whose name is that of the step
	if errors.As(err, &call) && call.Syscall == "connect" {
		err = call.Err
	}
	return because(ErrConnect, err)
}

// open makes a client of a fresh connection: TLS if implicit, then the greeting.
func open(ctx context.Context, cfg Config, t target, conn net.Conn) (*Client, error) {
	cfg.TLS = t.tls
	c := &Client{cfg: cfg, name: t.name, local: cfg.Proxy == "" && isLocal(conn, t)}
	c.link = newLink(conn, cfg.commandTimeout(), cfg.Trace)
	defer c.begin(ctx)()
	c.link.say('*', "connected to "+c.where(t))
	cfg.progress(StageConnect, c.where(t))
	if t.tls == Implicit {
		secure, err := c.handshake(ctx, conn)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.link.attach(secure)
		c.traceTLS()
	}
	c.pending++
	r, err := c.read(StageGreeting, cfg.commandTimeout())
	if err == nil && r.Code != CodeReady {
		err = c.refusal(StageGreeting, r)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.greeting = r
	return c, nil
}

// where is "name[address]:port" as mail logs have it.
func (c *Client) where(t target) string {
	remote, ok := c.link.conn.RemoteAddr().(*net.TCPAddr)
	switch {
	case t.how == "unix":
		return c.cfg.Socket
	case t.how == "command":
		return c.cfg.ConnectCommand[0]
	case !ok || c.cfg.Proxy != "":
		return t.String()
	}
	return t.name + "[" + remote.AddrPort().Addr().Unmap().String() + "]:" + strconv.Itoa(remote.Port)
}

// isLocal reports a way on which nobody can listen who could not anyway.
func isLocal(conn net.Conn, t target) bool {
	if t.how == "unix" || t.how == "command" {
		return true
	}
	switch a := conn.RemoteAddr().(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// prepare does what mail needs: EHLO, TLS, login.
func (c *Client) prepare(ctx context.Context) error {
	if c.cfg.Greeted != nil {
		c.cfg.Greeted(ctx)
	}
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return err
	}
	if err := c.secure(ctx); err != nil {
		return err
	}
	if !c.cfg.WantsLogin() {
		return nil
	}
	_, err := c.login(ctx)
	if err == nil {
		c.cfg.progress(StageAuth, c.auth)
	}
	return err
}

// secure upgrades by STARTTLS as the mode says.
func (c *Client) secure(ctx context.Context) error {
	offered := c.ext.Has("STARTTLS")
	switch {
	case c.tlsState() != nil || c.cfg.TLS == None || c.cfg.TLS == Implicit:
		return nil
	case c.cfg.TLS == Opportunistic && !offered:
		return nil
	case !offered:
		return c.failure(StageTLS, kindError{ErrTLS, because(ErrNotOffered, errors.New("the server does not offer STARTTLS"))})
	}
	_, err := c.startTLS(ctx)
	return err
}
