package smtp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// tlsConfig makes the configuration for a server of that name. Files are read
// here, when they are needed.
func (c *Config) tlsConfig(name string) (*tls.Config, error) {
	if c.ServerName != "" {
		name = c.ServerName
	}
	if c.TLSConfig != nil {
		t := c.TLSConfig.Clone()
		if t.ServerName == "" {
			t.ServerName = name
		}
		return t, nil
	}
	t := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in PEM form", c.CAFile)
		}
	}
	if c.ClientCert != "" {
		key := c.ClientKey
		if key == "" {
			key = c.ClientCert
		}
		cert, err := tls.LoadX509KeyPair(c.ClientCert, key)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{cert}
	}
	if t.RootCAs == nil && !c.Insecure {
		authorities{bundle: c.SystemCAs, name: t.ServerName}.use(t)
	}
	return t, c.pin(t)
}

// pin replaces the check of authority and name by one of fingerprints.
func (c *Config) pin(t *tls.Config) error {
	if len(c.Fingerprints) == 0 {
		return nil
	}
	var pins [][sha256.Size]byte
	for _, f := range c.Fingerprints {
		p, err := parseFingerprint(f)
		if err != nil {
			return err
		}
		pins = append(pins, p)
	}
	t.InsecureSkipVerify = true // VerifyConnection decides
	t.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server sent no certificate")
		}
		sum := sha256.Sum256(s.PeerCertificates[0].Raw)
		for _, p := range pins {
			if p == sum {
				return nil
			}
		}
		return because(ErrCertificate, fmt.Errorf("the certificate's fingerprint is %s, which is not one of those expected", hex.EncodeToString(sum[:])))
	}
	return nil
}

// parseFingerprint reads 64 hexadecimal digits, colons between them allowed.
func parseFingerprint(s string) (sum [sha256.Size]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != len(sum) {
		return sum, errors.New("not 64 hexadecimal digits")
	}
	return [sha256.Size]byte(b), nil
}

// handshake secures conn within the connect timeout.
func (c *Client) handshake(ctx context.Context, conn net.Conn) (net.Conn, error) {
	t, err := c.cfg.tlsConfig(c.name)
	if err != nil {
		return nil, c.failure(StageTLS, because(ErrTLS, err))
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.connectTimeout())
	defer cancel()
	secure := tls.Client(conn, t)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, c.failure(StageTLS, because(ErrTLS, tlsCause(err, t.ServerName)))
	}
	return secure, nil
}

// tlsCause makes the commonest failures say what can be done.
func tlsCause(err error, name string) error {
	var unknown x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case isTimeout(err):
		return because(ErrTimeout, errors.New("the TLS handshake took too long"))
	case errors.As(err, &unknown):
		return because(ErrCertificate, fmt.Errorf("certificate of %s: %w", name, err))
	case errors.As(err, &certificate):
		return because(ErrCertificate, err)
	case errors.As(err, &record):
		return fmt.Errorf("the server does not speak TLS there (a port for STARTTLS?): %w", err)
	case errors.Is(err, io.EOF), errors.As(err, &op) && (op.Op == "read" || op.Op == "write"):
		return because(ErrDisconnected, fmt.Errorf("the connection was lost in the handshake: %w", err))
	}
	return err
}

// StartTLS secures the connection (RFC 3207) and sends EHLO again, since
// nothing that was said before counts any more.
func (c *Client) StartTLS(ctx context.Context) (Reply, error) {
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return Reply{}, err
	}
	if c.tlsState() != nil {
		return Reply{}, c.failure(StageTLS, because(ErrTLS, errors.New("the connection is secured already")))
	}
	if !c.ext.Has("STARTTLS") {
		return Reply{}, c.failure(StageTLS, kindError{ErrTLS, because(ErrNotOffered, errors.New("the server does not offer STARTTLS"))})
	}
	return c.startTLS(ctx)
}

func (c *Client) startTLS(ctx context.Context) (Reply, error) {
	r, err := c.command(StageTLS, "STARTTLS", "")
	if err != nil {
		return r, err
	}
	if r.Code != CodeReady {
		return r, c.refusal(StageTLS, r)
	}
	if c.link.r.Buffered() > 0 { // someone speaks ahead of the handshake
		return r, c.end(c.failure(StageTLS, kindError{ErrTLS, errUnsolicited}))
	}
	secure, err := c.handshake(ctx, c.link.conn)
	if err != nil {
		return r, c.end(err)
	}
	c.link.attach(secure)
	c.traceTLS()
	c.forget()
	_, err = c.sendHello("EHLO", "")
	return r, err
}

func (c *Client) traceTLS() {
	if s := c.tlsState(); s != nil {
		what := tls.VersionName(s.Version) + " " + tls.CipherSuiteName(s.CipherSuite)
		c.link.say('*', what)
		c.cfg.progress(StageTLS, what)
	}
}

// unverified reports that nobody checked who the server is.
func (c *Client) unverified() bool {
	return c.cfg.Insecure || c.cfg.TLSConfig != nil && c.cfg.TLSConfig.InsecureSkipVerify
}

// tlsState is nil without TLS.
func (c *Client) tlsState() *tls.ConnectionState {
	t, ok := c.link.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	s := t.ConnectionState()
	return &s
}
