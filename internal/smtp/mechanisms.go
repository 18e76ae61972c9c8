package smtp

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
)

// mechanism makes the SASL client of that name. LOGIN sends the user name at
// once if initial is set.
func (c *Client) mechanism(name string, cred credentials, initial bool) (sasl.Client, error) {
	switch name {
	case "EXTERNAL":
		return sasl.NewExternalClient(cred.username), nil
	case "OAUTHBEARER":
		return bearer{c.oauthBearer(cred)}, nil
	case "XOAUTH2":
		return &xoauth2{cred}, nil
	case "CRAM-MD5":
		return cramMD5{cred}, nil
	case "PLAIN":
		if strings.ContainsRune(cred.username+cred.password, 0) { // it separates the two (RFC 4616 2)
			return nil, errors.New("the user name or password has characters that PLAIN forbids")
		}
		return sasl.NewPlainClient("", cred.username, cred.password), nil
	case "LOGIN":
		return &login{cred: cred, initial: initial}, nil
	}
	return c.scram(name, cred)
}

func (c *Client) oauthBearer(cred credentials) sasl.Client {
	o := &sasl.OAuthBearerOptions{Username: cred.username, Token: cred.token}
	host, port, err := net.SplitHostPort(c.link.conn.RemoteAddr().String())
	if n, perr := strconv.Atoi(port); err == nil && perr == nil {
		o.Host, o.Port = host, n
	}
	return sasl.NewOAuthBearerClient(o)
}

// bearer answers the error challenge of OAUTHBEARER with the octet that RFC
// 7628 3.2.3 wants, so that the server can say its 535.
type bearer struct{ sasl.Client }

func (bearer) Next([]byte) ([]byte, error) { return []byte{1}, nil }

// xoauth2 is Google's and Microsoft's mechanism. A challenge is an error in
// JSON; an empty answer makes the server say its 535.
type xoauth2 struct{ cred credentials }

func (x *xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.cred.username + "\x01auth=Bearer " + x.cred.token + "\x01\x01"), nil
}

func (*xoauth2) Next([]byte) ([]byte, error) { return nil, nil }

// cramMD5 is RFC 2195.
type cramMD5 struct{ cred credentials }

func (cramMD5) Start() (string, []byte, error) { return "CRAM-MD5", nil, nil }

func (m cramMD5) Next(challenge []byte) ([]byte, error) {
	mac := hmac.New(md5.New, []byte(m.cred.password))
	mac.Write(challenge)
	return []byte(m.cred.username + " " + hex.EncodeToString(mac.Sum(nil))), nil
}

// login is the LOGIN mechanism (draft-murchison-sasl-login). It answers by
// position, since prompts differ; only a server that asks for the user name
// although it has it is told it again.
type login struct {
	cred    credentials
	initial bool
	step    int
}

func (l *login) Start() (string, []byte, error) {
	if l.initial {
		l.step = 1
		return "LOGIN", []byte(l.cred.username), nil
	}
	return "LOGIN", nil, nil
}

func (l *login) Next(challenge []byte) ([]byte, error) {
	again := l.initial && l.step == 1 && strings.HasPrefix(strings.ToLower(string(challenge)), "user")
	if again {
		l.initial, l.step = false, 0
	}
	l.step++
	switch l.step {
	case 1:
		return []byte(l.cred.username), nil
	case 2:
		return []byte(l.cred.password), nil
	}
	return nil, errors.New("the server asks for more than name and password")
}
