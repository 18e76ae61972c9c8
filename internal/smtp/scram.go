package smtp

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"hash"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
)

// SCRAM is written here because the libraries for it build the tables of
// SASLprep when the program starts: a third of a millisecond in each run, also
// in those that never log in. The tests hold it against such a library.

// Iterations of the password's hash: fewer are no protection, and a server that
// asks for more would keep us computing for minutes.
const (
	fewestIterations = 4096 // RFC 5802 5.1
	mostIterations   = 1_000_000
)

// scramClient is SCRAM (RFC 5802, RFC 7677) with or without channel binding.
type scramClient struct {
	name     string
	hash     func() hash.Hash
	username string
	password string
	header   string // GS2: which channel binding there is
	binding  []byte

	nonce     string
	first     string // client-first-message-bare
	step      int
	signature []byte // that the server has to show
	valid     bool
}

// scram makes a client. On TLS without an offer of channel binding it tells the
// server that we would have been able to, so that a man in the middle who hid
// the offer is found out (RFC 5802 6).
func (c *Client) scram(name string, cred credentials) (sasl.Client, error) {
	username, err := saslprep(cred.username)
	password, perr := saslprep(cred.password)
	if err != nil || perr != nil {
		return nil, errors.New("the user name or password has characters that SCRAM forbids")
	}
	s := &scramClient{name: name, hash: sha256.New, username: username, password: password, header: "n,,"}
	if strings.HasPrefix(name, "SCRAM-SHA-1") {
		s.hash = sha1.New
	}
	state := c.tlsState()
	switch {
	case strings.HasSuffix(name, "-PLUS"):
		kind, data, err := channelBinding(state)
		if err != nil {
			return nil, err
		}
		s.header, s.binding = "p="+kind+",,", data
	case state != nil && !c.offersPlus():
		s.header = "y,,"
	}
	s.nonce = rand.Text()
	return s, nil
}

func (c *Client) offersPlus() bool {
	for _, m := range c.ext.authMechanisms() {
		if strings.HasSuffix(m, "-PLUS") {
			return true
		}
	}
	return false
}

// channelBinding is tls-exporter (RFC 9266) on TLS 1.3, and
// tls-server-end-point (RFC 5929) before.
func channelBinding(s *tls.ConnectionState) (kind string, data []byte, err error) {
	if s == nil {
		return "", nil, errors.New("channel binding needs TLS")
	}
	if s.Version >= tls.VersionTLS13 {
		data, err = s.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		return "tls-exporter", data, err
	}
	if len(s.PeerCertificates) == 0 {
		return "", nil, errors.New("channel binding needs a certificate")
	}
	cert := s.PeerCertificates[0]
	h := sha256.New() // also for MD5 and SHA-1 (RFC 5929 4.1)
	switch cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = sha512.New384()
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = sha512.New()
	case x509.PureEd25519:
		return "", nil, errors.New("the certificate's signature has no hash to bind the channel to")
	}
	h.Write(cert.Raw)
	return "tls-server-end-point", h.Sum(nil), nil
}

// Start gives the client's first message.
func (s *scramClient) Start() (string, []byte, error) {
	s.first = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s.username) + ",r=" + s.nonce
	return s.name, []byte(s.header + s.first), nil
}

// Next answers the server's first message with the proof, and its last one with
// nothing. A server that does not know the password cannot make that last one.
func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	s.step++
	switch {
	case s.step == 1:
		return s.prove(string(challenge))
	case s.step == 2 && strings.HasPrefix(string(challenge), "e="):
		return []byte{}, nil // a refusal (RFC 5802 5.1), so that the server can say its 535
	case s.step == 2 && s.verify(string(challenge)):
		s.valid = true
		return []byte{}, nil
	}
	return nil, because(ErrProtocol, errors.New("the server's proof is wrong"))
}

// prove makes the client's final message (RFC 5802 3).
func (s *scramClient) prove(challenge string) ([]byte, error) {
	nonce, salt, iterations, err := s.parse(challenge)
	if err != nil {
		return nil, err
	}
	salted, err := pbkdf2.Key(s.hash, s.password, salt, iterations, s.hash().Size())
	if err != nil {
		return nil, err
	}
	bare := "c=" + base64.StdEncoding.EncodeToString(append([]byte(s.header), s.binding...)) + ",r=" + nonce
	message := s.first + "," + challenge + "," + bare
	clientKey := s.mac(salted, "Client Key")
	stored := s.hash()
	stored.Write(clientKey)
	proof := s.mac(stored.Sum(nil), message)
	subtle.XORBytes(proof, proof, clientKey)
	s.signature = s.mac(s.mac(salted, "Server Key"), message)
	return []byte(bare + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// parse reads the server's first message.
func (s *scramClient) parse(challenge string) (nonce string, salt []byte, iterations int, err error) {
	field := strings.Split(challenge, ",")
	if len(field) < 3 || !strings.HasPrefix(field[0], "r=") || !strings.HasPrefix(field[1], "s=") || !strings.HasPrefix(field[2], "i=") {
		return "", nil, 0, errors.New("a SCRAM message that is none") // m= too: an extension that must be understood
	}
	nonce = field[0][2:]
	if !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce) {
		return "", nil, 0, errors.New("the server's SCRAM nonce does not go on from ours")
	}
	if salt, err = base64.StdEncoding.DecodeString(field[1][2:]); err != nil {
		return "", nil, 0, errors.New("a SCRAM salt that is not base64")
	}
	iterations, err = strconv.Atoi(field[2][2:])
	switch {
	case err != nil || iterations < fewestIterations:
		return "", nil, 0, errors.New("the server wants too few SCRAM iterations")
	case iterations > mostIterations:
		return "", nil, 0, errors.New("the server wants too many SCRAM iterations")
	}
	return nonce, salt, iterations, nil
}

// verify checks the server's last message.
func (s *scramClient) verify(challenge string) bool {
	verifier, _, _ := strings.Cut(challenge, ",")
	text, ok := strings.CutPrefix(verifier, "v=")
	signature, err := base64.StdEncoding.DecodeString(text)
	return ok && err == nil && hmac.Equal(signature, s.signature)
}

func (s *scramClient) mac(key []byte, text string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func (s *scramClient) proven() bool { return s.valid }
