package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// TLSMode says when the connection is secured.
type TLSMode int

const (
	Opportunistic TLSMode = iota // STARTTLS if the server offers it
	Required                     // STARTTLS, or no mail
	Implicit                     // TLS from the first octet (RFC 8314)
	None                         // never
)

// Lookup says how the hosts are found.
type Lookup int

const (
	LookupAddress Lookup = iota // the addresses of the host
	LookupMX                    // its MX records (RFC 5321 5.1)
	LookupSRV                   // _submissions._tcp and _submission._tcp (RFC 6186, RFC 8314)
)

// Resolver is the part of net.Resolver that is used; tests pass their own.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Config says how to reach a server, secure the connection and log in. The zero
// value is localhost, port 25, STARTTLS if offered, no login. It is a value: to
// change an option, change a copy and connect again.
type Config struct {
	Hosts  []string // names or addresses, in order; default localhost
	Port   int      // default 465 with Implicit, 587 with Required, else 25
	Lookup Lookup

	Socket         string   // unix socket instead of a host; Hosts[0] may give the name to verify
	ConnectCommand []string // its standard input and output are the connection
	Proxy          string   // socks5://[user:password@]host:port
	SourceAddress  string   // local "ip", "ip:port" or ":port"; "" and 0 are the system's choice

	TLS          TLSMode
	Insecure     bool     // accept any certificate
	CAFile       string   // PEM of the authorities to trust, instead of the system's
	SystemCAs    string   // where the system has its own, if not at a usual place
	ServerName   string   // name to verify instead of the host's
	Fingerprints []string // SHA-256 of accepted certificates, hex; then authority and name do not count
	ClientCert   string   // PEM file
	ClientKey    string   // PEM file; default: in ClientCert
	TLSConfig    *tls.Config

	Username           string
	Secret             func(context.Context) (string, error) // password, asked for when it is needed
	Token              func(context.Context) (string, error) // OAuth 2.0 access token, instead of a password
	Auth               []string                              // only these mechanisms
	AllowPlaintextAuth bool                                  // send a secret without TLS

	LocalName      string        // for EHLO; default: the local address as a literal
	ConnectTimeout time.Duration // per address, TLS included; default 30 s
	CommandTimeout time.Duration // per reply and write; default 60 s

	// Trace sees every line of the dialogue without its CRLF, '>' from us and
	// '<' from the server, and '*' for events; secrets and content are replaced.
	Trace func(direction byte, line string)
	// Progress is told each step of Dial that has worked (StageResolve,
	// StageConnect, StageTLS, StageAuth) and what is worth knowing of it.
	Progress func(step Stage, what string)
	// Greeted, if set, is called by Dial when a server has greeted and nothing was
	// said to it yet. Dial goes on when it returns, and not if its context has ended.
	Greeted func(context.Context)
	// Resolver defaults to the system's.
	Resolver Resolver
}

const (
	defaultConnectTimeout = 30 * time.Second
	defaultCommandTimeout = 60 * time.Second
	contentTimeoutFactor  = 10 // RFC 5321 4.5.3.2.6: 10 minutes at the end of content
)

func (c *Config) connectTimeout() time.Duration {
	if c.ConnectTimeout > 0 {
		return c.ConnectTimeout
	}
	return defaultConnectTimeout
}

func (c *Config) commandTimeout() time.Duration {
	if c.CommandTimeout > 0 {
		return c.CommandTimeout
	}
	return defaultCommandTimeout
}

func (c *Config) port() int {
	switch {
	case c.Port != 0:
		return c.Port
	case c.TLS == Implicit:
		return 465
	case c.TLS == Required:
		return 587
	}
	return 25
}

func (c *Config) hosts() []string {
	if len(c.Hosts) == 0 {
		return []string{"localhost"}
	}
	return c.Hosts
}

func (c *Config) resolver() Resolver {
	if c.Resolver != nil {
		return c.Resolver
	}
	return net.DefaultResolver
}

func (c *Config) progress(step Stage, what string) {
	if c.Progress != nil {
		c.Progress(step, printable(what))
	}
}

// WantsLogin reports whether anything to log in with was given: then Dial logs in.
func (c *Config) WantsLogin() bool {
	return c.Username != "" || c.Secret != nil || c.Token != nil || len(c.Auth) > 0
}

// Validate returns all faults and contradictions, joined, each an ErrInvalid.
// Nothing is read or connected.
func (c *Config) Validate() error {
	var f faults
	f.check(c.Port < 0 || c.Port > 65535, "port %d is not in 1…65535", c.Port)
	for _, h := range c.Hosts {
		f.check(h == "" || !plain(h), "host %q is no name or address", h)
	}
	f.check(!plain(c.LocalName), "local name %q cannot be sent", c.LocalName)
	f.check(!plain(c.ServerName), "server name %q cannot be verified", c.ServerName)
	f.check(strings.ContainsFunc(c.Username, control), "user name has control characters")
	f.check(c.Secret != nil && c.Token != nil, "password and token exclude each other")
	c.checkRoute(&f)
	c.checkTLS(&f)
	for _, name := range c.Auth {
		f.check(!knownMechanism(name), "authentication mechanism %q is not known", name)
	}
	return errors.Join(f...)
}

func (c *Config) checkRoute(f *faults) {
	f.check(c.Socket != "" && c.Port != 0, "socket and port exclude each other")
	f.check(c.Socket != "" && c.Proxy != "", "socket and proxy exclude each other")
	f.check(c.Socket != "" && len(c.ConnectCommand) > 0, "socket and connect command exclude each other")
	f.check(len(c.ConnectCommand) > 0 && c.Proxy != "", "connect command and proxy exclude each other")
	f.check(c.Lookup != LookupAddress && (c.Socket != "" || len(c.ConnectCommand) > 0), "MX and SRV look-up need a host")
	f.check(c.SourceAddress != "" && (c.Socket != "" || len(c.ConnectCommand) > 0),
		"a source address needs a connection of our own")
	if _, err := c.source(); err != nil {
		f.check(true, "source address %q is no ip or ip:port", c.SourceAddress)
	}
	if _, err := c.proxyURL(); err != nil {
		*f = append(*f, err)
	}
}

func (c *Config) checkTLS(f *faults) {
	files := c.CAFile != "" || c.ClientCert != "" || c.ClientKey != "" || c.Insecure || len(c.Fingerprints) > 0
	f.check(c.TLSConfig != nil && files, "a ready-made TLS configuration excludes certificate options")
	f.check(c.ClientKey != "" && c.ClientCert == "", "a client key needs a client certificate")
	f.check(c.Insecure && len(c.Fingerprints) > 0, "a fingerprint and no verification exclude each other")
	for _, p := range c.Fingerprints {
		_, err := parseFingerprint(p)
		f.check(err != nil, "fingerprint %q is not 64 hexadecimal digits", p)
	}
}

// source is the local address to bind to, nil for the system's choice.
func (c *Config) source() (*net.TCPAddr, error) {
	if c.SourceAddress == "" {
		return nil, nil
	}
	if ip, err := netip.ParseAddr(c.SourceAddress); err == nil {
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)), nil
	}
	host, port, err := net.SplitHostPort(c.SourceAddress)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	if host == "" {
		return &net.TCPAddr{Port: int(n)}, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil, err
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(n))), nil
}

// proxyURL is the parsed proxy, nil for none. Its errors never show the
// password.
func (c *Config) proxyURL() (*url.URL, error) {
	if c.Proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Proxy)
	if err != nil || u.Scheme != "socks5" || u.Hostname() == "" || u.Port() == "" {
		return nil, because(ErrInvalid, errors.New("proxy is not socks5://host:port"))
	}
	return u, nil
}

// faults collects what is wrong with a Config.
type faults []error

func (f *faults) check(bad bool, format string, args ...any) {
	if bad {
		*f = append(*f, because(ErrInvalid, fmt.Errorf("smtp: "+format, args...)))
	}
}

// control reports C0 and C1 controls and DEL.
func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// hasControl looks at octets as long as that will do: lines are many.
func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7f {
			return strings.ContainsFunc(s[i:], control)
		} else if c < ' ' {
			return true
		}
	}
	return false
}

// plain reports whether s is a word that may stand in a command.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || control(r) || r == '<' || r == '>' })
}
