package spool

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys checks who the server is. A key that is not in the files is refused,
// whatever the reason that it is not there.
type hostKeys struct {
	files   []string
	address string
	check   ssh.HostKeyCallback
	// algorithms are those of the keys that are known, so that the server shows one
	// of these and not another that we could not compare. If none is known the order
	// is OpenSSH's, so that the key in the error is the one that ssh would show.
	algorithms []string
}

// HostKeyError is a server that cannot prove to be the one that is known.
type HostKeyError struct {
	Address string
	Reason  string
}

func (e *HostKeyError) Error() string { return e.Reason }

func newHostKeys(files []string, address string) (*hostKeys, error) {
	if len(files) == 0 {
		return nil, errors.New("there is no known_hosts file to check the server's key against; set known_hosts")
	}
	check, err := knownhosts.New(files...)
	if err != nil {
		return nil, err
	}
	h := &hostKeys{files: files, address: address, check: check}
	if h.algorithms, err = h.known(); len(h.algorithms) == 0 {
		h.algorithms = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
			ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return h, err
}

// known asks for the keys of the host with one that nobody has.
func (h *hostKeys) known() (algorithms []string, err error) {
	mismatch, ok := errors.AsType[*knownhosts.KeyError](h.check(h.address, &net.TCPAddr{}, noKey{}))
	if !ok {
		return nil, nil
	}
	for _, k := range mismatch.Want {
		add := []string{k.Key.Type()}
		if k.Key.Type() == ssh.KeyAlgoRSA {
			add = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		authority, err := isAuthority(k)
		if err != nil {
			return nil, err
		}
		if authority {
			add = certificates()
		}
		for _, a := range add {
			if !slices.Contains(algorithms, a) {
				algorithms = append(algorithms, a)
			}
		}
	}
	return algorithms, nil
}

func certificates() []string {
	return []string{ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
		ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01}
}

// isAuthority looks whether the line of a key has the mark of an authority, which
// the library does not tell.
func isAuthority(k knownhosts.KnownKey) (bool, error) {
	f, err := os.Open(k.Filename)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	scan := bufio.NewScanner(f)
	for range k.Line {
		scan.Scan()
	}
	return strings.HasPrefix(strings.TrimSpace(scan.Text()), "@cert-authority"), scan.Err()
}

// noKey is a key that no host has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

// callback is the check with a reason that tells what to do.
func (h *hostKeys) callback(address string, remote net.Addr, key ssh.PublicKey) error {
	err := h.check(address, remote, key)
	if err == nil {
		return nil
	}
	e := &HostKeyError{Address: address}
	mismatch, isMismatch := errors.AsType[*knownhosts.KeyError](err)
	revoked, isRevoked := errors.AsType[*knownhosts.RevokedError](err)
	switch {
	case isRevoked:
		e.Reason = fmt.Sprintf("its host key is revoked (%s line %d)", revoked.Revoked.Filename, revoked.Revoked.Line)
	case !isMismatch: // a certificate
		e.Reason = fmt.Sprintf("its host certificate is not accepted: %v", err)
	case len(mismatch.Want) > 0:
		k := mismatch.Want[0]
		e.Reason = fmt.Sprintf("its host key is not the known one: somebody may be in the middle, or the server was set up anew. "+
			"It shows %s, and %s line %d says otherwise. If that is right, put in place of that line:\n%s",
			ssh.FingerprintSHA256(key), k.Filename, k.Line, knownhosts.Line([]string{h.address}, key))
	default:
		e.Reason = fmt.Sprintf("its host key is not known. If the key of that server is %s, add to %s:\n%s",
			ssh.FingerprintSHA256(key), h.files[0], knownhosts.Line([]string{h.address}, key))
	}
	return e
}

// explain makes errors of the handshake readable.
func (o SFTPOptions) explain(err error) error {
	if e, ok := errors.AsType[*HostKeyError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err); ok && strings.Contains(e.Error(), "host key") {
		return &HostKeyError{o.address(), fmt.Sprintf("it has no host key of the type that is known for it (%v); "+
			"compare the output of \"ssh-keyscan -p %d %s\" with what its administrator names, and put the line into known_hosts", e, o.Port, o.Host)}
	}
	if strings.Contains(err.Error(), "unable to authenticate") { // the library has no type for it
		return fmt.Errorf("login as %q was refused: %w", o.User, err)
	}
	return err
}
