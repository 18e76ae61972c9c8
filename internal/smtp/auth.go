package smtp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
)

// mechanismOrder is how mechanisms are tried: the strongest first. A password
// leaves the machine only with the last two.
func mechanismOrder() []string {
	return []string{
		"EXTERNAL", "OAUTHBEARER", "XOAUTH2",
		"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1",
		"CRAM-MD5", "PLAIN", "LOGIN",
	}
}

func knownMechanism(name string) bool {
	return slices.Contains(mechanismOrder(), strings.ToUpper(name))
}

// maxAuthSteps bounds an exchange; the longest mechanism has three.
const maxAuthSteps = 8

// AuthMechanisms are the mechanisms that the server offers and this package
// knows, in the order in which Login tries them.
func (c *Client) AuthMechanisms() []string {
	offered := c.ext.authMechanisms()
	return slices.DeleteFunc(mechanismOrder(), func(m string) bool { return !slices.Contains(offered, m) })
}

// Login logs in with what Config gives, sending EHLO first if needed. Servers
// advertise mechanisms that they do not support, so after a refusal the next
// one is tried, unless the account itself is refused or the connection is lost.
//
// The error is ErrAuth if the credentials were refused, ErrAuthUnavailable if no
// mechanism fits, ErrPlaintextAuth if the connection is not safe.
func (c *Client) Login(ctx context.Context) (Reply, error) {
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return Reply{}, err
	}
	return c.login(ctx)
}

func (c *Client) login(ctx context.Context) (Reply, error) {
	if err := c.mayLogin(); err != nil {
		return Reply{}, err
	}
	names := c.usable()
	if len(names) == 0 {
		return Reply{}, c.failure(StageAuth, because(ErrAuthUnavailable, errors.New(c.whyNoMechanism())))
	}
	cred, err := c.credentials(ctx)
	if err != nil {
		return Reply{}, c.failure(StageAuth, err)
	}
	var worst error
	for _, name := range names {
		r, err := c.authenticate(name, cred)
		if err == nil || c.broken != nil {
			return r, err
		}
		if worst == nil || authRank(err) >= authRank(worst) {
			worst = err
		}
		if hopeless(name, err) {
			break
		}
	}
	return Reply{}, worst
}

// mayLogin refuses to show a secret to whoever listens.
func (c *Client) mayLogin() error {
	if c.tlsState() != nil || c.local || c.cfg.AllowPlaintextAuth {
		return nil
	}
	return c.failure(StageAuth, because(ErrPlaintextAuth, errors.New("the connection is not encrypted, so the login is not sent")))
}

// usable are the offered mechanisms that we have something for.
func (c *Client) usable() []string {
	return slices.DeleteFunc(c.AuthMechanisms(), func(name string) bool {
		allowed := len(c.cfg.Auth) == 0 || slices.ContainsFunc(c.cfg.Auth, func(a string) bool { return strings.EqualFold(a, name) })
		return !allowed || !c.hasFor(name)
	})
}

func (c *Client) hasFor(name string) bool {
	switch name {
	case "EXTERNAL":
		return c.cfg.Secret == nil && c.cfg.Token == nil
	case "OAUTHBEARER", "XOAUTH2":
		return c.cfg.Token != nil
	case "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS":
		return c.passwordLogin() && c.tlsState() != nil
	}
	return c.passwordLogin()
}

// passwordLogin reports a login by name; a name alone has an empty password.
func (c *Client) passwordLogin() bool {
	return c.cfg.Token == nil && (c.cfg.Secret != nil || c.cfg.Username != "" && c.cfg.ClientCert == "")
}

func (c *Client) whyNoMechanism() string {
	offered := c.ext.authMechanisms()
	if len(offered) == 0 && c.tlsState() == nil {
		return "the server offers no login on a connection without TLS"
	}
	if len(offered) == 0 {
		return "the server offers no login"
	}
	return "the server offers only " + printable(strings.Join(offered, " "))
}

// credentials is what mechanisms are made of. It has no String method and is
// never printed.
type credentials struct{ username, password, token string }

func (c *Client) credentials(ctx context.Context) (cred credentials, err error) {
	cred.username = c.cfg.Username
	if c.cfg.Secret != nil {
		cred.password, err = c.cfg.Secret(ctx)
	}
	if c.cfg.Token != nil && err == nil {
		cred.token, err = c.cfg.Token(ctx)
	}
	return cred, err
}

// AuthPlain logs in with PLAIN (RFC 4616).
func (c *Client) AuthPlain(ctx context.Context, username, password string) (Reply, error) {
	return c.authWith(ctx, "PLAIN", credentials{username: username, password: password})
}

// AuthLogin logs in with LOGIN, the user name as initial response.
func (c *Client) AuthLogin(ctx context.Context, username, password string) (Reply, error) {
	return c.authWith(ctx, "LOGIN", credentials{username: username, password: password})
}

// AuthCRAMMD5 logs in with CRAM-MD5 (RFC 2195).
func (c *Client) AuthCRAMMD5(ctx context.Context, username, password string) (Reply, error) {
	return c.authWith(ctx, "CRAM-MD5", credentials{username: username, password: password})
}

func (c *Client) authWith(ctx context.Context, name string, cred credentials) (Reply, error) {
	defer c.begin(ctx)()
	if err := c.introduce(); err != nil {
		return Reply{}, err
	}
	if err := c.mayLogin(); err != nil {
		return Reply{}, err
	}
	return c.authenticate(name, cred)
}

// authenticate runs one mechanism. LOGIN is tried again without an initial
// response at servers that call that a syntax error.
func (c *Client) authenticate(name string, cred credentials) (Reply, error) {
	defer func() { c.link.hidden = nil }()
	c.hide(cred.password)
	c.hide(cred.token)
	m, err := c.mechanism(name, cred, true)
	if err != nil {
		return Reply{}, c.failure(StageAuth, because(ErrAuthUnavailable, err))
	}
	r, err := c.exchange(m)
	var e *Error
	if name == "LOGIN" && errors.As(err, &e) && e.Code >= 500 && e.Code <= 504 && c.broken == nil {
		if m, err = c.mechanism(name, cred, false); err == nil {
			r, err = c.exchange(m)
		}
	}
	if err == nil {
		c.auth = name
	}
	return r, err
}

// hide keeps text that the server may quote out of traces and errors.
func (c *Client) hide(text string) {
	if text != "" {
		c.link.hidden = append(c.link.hidden, text)
	}
}

// prover is a mechanism in which the server has to prove itself too.
type prover interface{ proven() bool }

// exchange runs the dialogue of RFC 4954 4. What we say is not traced.
func (c *Client) exchange(m sasl.Client) (Reply, error) {
	name, first, err := m.Start()
	if err != nil {
		return Reply{}, c.failure(StageAuth, because(ErrAuthUnavailable, err))
	}
	line, shown, held := authCommand(name, first)
	c.hide(base64.StdEncoding.EncodeToString(first))
	r, err := c.command(StageAuth, line, shown)
	for range maxAuthSteps {
		switch {
		case err != nil:
			return r, err
		case r.Code == CodeAuthSuccessful:
			if p, ok := m.(prover); ok && !p.proven() {
				return r, c.end(c.failure(StageAuth, because(ErrProtocol, errors.New("the server did not prove that it knows the password"))))
			}
			return r, nil
		case r.Code != CodeAuthContinue:
			return r, c.refusal(StageAuth, r)
		}
		answer := first
		if !held {
			if answer, err = nextAnswer(m, r); err != nil {
				return c.cancelAuth(err)
			}
		}
		held = false
		line := base64.StdEncoding.EncodeToString(answer)
		c.hide(line)
		r, err = c.command(StageAuth, line, "[secret]")
	}
	return c.cancelAuth(errors.New("the server never came to an end"))
}

// authCommand is the AUTH line. An initial response that would make it too long
// for a command (RFC 4954 4, RFC 5321 4.5.3.1.4) is held back for the first
// challenge.
func authCommand(name string, first []byte) (line, shown string, held bool) {
	const maxCommand = 512 - len("\r\n")
	line = "AUTH " + name
	if first == nil {
		return line, line, false
	}
	word := "="
	if len(first) > 0 {
		word = base64.StdEncoding.EncodeToString(first)
	}
	if len(line)+1+len(word) > maxCommand {
		return line, line, true
	}
	return line + " " + word, line + " [secret]", false
}

func nextAnswer(m sasl.Client, r Reply) ([]byte, error) {
	challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Text()))
	if err != nil {
		return nil, fmt.Errorf("a challenge that is not base64")
	}
	return m.Next(challenge)
}

// cancelAuth ends an exchange that we cannot go on with (RFC 4954 4: "*").
func (c *Client) cancelAuth(why error) (Reply, error) {
	failed := c.failure(StageAuth, because(ErrAuthUnavailable, why))
	if r, err := c.command(StageAuth, "*", ""); err != nil {
		return r, err
	}
	if errors.Is(why, ErrProtocol) {
		return Reply{}, c.end(c.failure(StageAuth, why))
	}
	return Reply{}, failed
}

// authRank orders failures by how much they say: wrong credentials, then a
// trouble of the server, then a mechanism that does not work.
func authRank(err error) int {
	var e *Error
	switch {
	case !errors.As(err, &e) || e.Code <= 0:
		return 0
	case e.Code == CodeAuthFailed || e.Code == CodeAccountDisabled:
		return 3
	case e.Code/100 == 4:
		return 2
	}
	return 1
}

// hopeless reports a refusal of the account itself (RFC 5248: 525, x.7.13), or
// of a password that the server has seen in full (RFC 4954 6: 535 5.7.8). More
// attempts would only help to lock the account.
func hopeless(name string, err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	seen := name == "PLAIN" || name == "LOGIN"
	return e.Code == CodeAccountDisabled || e.Enhanced == Enhanced{5, 7, 13} ||
		seen && e.Code == CodeAuthFailed && e.Enhanced == Enhanced{5, 7, 8}
}
