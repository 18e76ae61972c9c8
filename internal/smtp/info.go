package smtp

import (
	"crypto/tls"
	"net"
	"strconv"
)

// Info describes the connection.
type Info struct {
	Server        string   // the name that was verified or configured
	Local, Remote net.Addr // the two ends
	TLS           *tls.ConnectionState
	Mechanism     string // that logged in, "" for none
	Proxied       bool   // Remote is a proxy
}

// Info describes the connection as it is now. The error is ErrDisconnected on a
// closed one.
func (c *Client) Info() (Info, error) {
	if !c.IsConnected() {
		return Info{}, c.failure(StageCommand, ErrDisconnected)
	}
	conn := c.link.conn
	return Info{Server: c.name, Local: conn.LocalAddr(), Remote: conn.RemoteAddr(), TLS: c.tlsState(),
		Mechanism: c.auth, Proxied: c.cfg.Proxy != ""}, nil
}

// Cipher is the TLS version and cipher suite, "" without TLS.
func (i Info) Cipher() string {
	if i.TLS == nil {
		return ""
	}
	return tls.VersionName(i.TLS.Version) + " " + tls.CipherSuiteName(i.TLS.CipherSuite)
}

// Relay is "name[address]:port", as mail logs name the server.
func (i Info) Relay() string {
	a, ok := i.Remote.(*net.TCPAddr)
	if !ok || i.Proxied {
		return i.Server
	}
	return i.Server + "[" + a.AddrPort().Addr().Unmap().String() + "]:" + strconv.Itoa(a.Port)
}
