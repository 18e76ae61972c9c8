package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxKeyFile bounds the files of a key and its certificate.
const maxKeyFile = 64 << 10

// clientConfig is how to log in. end gives the agent up.
func (o SFTPOptions) clientConfig(ctx context.Context) (config *ssh.ClientConfig, end func(), err error) {
	hosts, err := newHostKeys(o.KnownHosts, o.address())
	if err != nil {
		return nil, nil, err
	}
	methods, end, err := o.methods(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &ssh.ClientConfig{User: o.User, Auth: methods, HostKeyCallback: hosts.callback,
		HostKeyAlgorithms: hosts.algorithms, ClientVersion: "SSH-2.0-postern"}, end, nil
}

// methods are the ways to log in: the key, else those of the agent, and the
// password.
func (o SFTPOptions) methods(ctx context.Context) (list []ssh.AuthMethod, end func(), err error) {
	end = func() {}
	switch {
	case o.Identity != "":
		signers, err := o.signers(ctx)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, ssh.PublicKeys(signers...))
	case o.Agent != "":
		conn, err := new(net.Dialer).DialContext(ctx, "unix", o.Agent)
		if err != nil {
			if o.Password == nil {
				return nil, nil, fmt.Errorf("the SSH agent: %w", err)
			}
			break
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		end = func() { stop(); _ = conn.Close() }
		list = append(list, ssh.PublicKeysCallback(agent.NewClient(conn).Signers))
	}
	if o.Password != nil {
		password := func() (string, error) { return o.Password(ctx) }
		list = append(list, ssh.PasswordCallback(password), ssh.KeyboardInteractive(answerWith(password)))
	}
	if len(list) == 0 {
		return nil, nil, errors.New("there is nothing to log in with; set identity_file or password_file, or start an SSH agent")
	}
	return list, end, nil
}

// answerWith answers the one question whose answer is not shown, as servers ask
// for a password through PAM.
func answerWith(password func() (string, error)) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range questions {
			if echos[i] || len(questions) > 1 {
				return nil, errors.New("the server asks for more than a password")
			}
			text, err := password()
			if err != nil {
				return nil, err
			}
			answers[i] = text
		}
		return answers, nil
	}
}

// signers read the key: with its certificate, if there is one, and without.
func (o SFTPOptions) signers(ctx context.Context) ([]ssh.Signer, error) {
	text, err := readKeyFile(o.Identity)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		if o.Passphrase == nil {
			return nil, fmt.Errorf("%s needs a passphrase; set passphrase_file", o.Identity)
		}
		var phrase string
		if phrase, err = o.Passphrase(ctx); err != nil {
			return nil, err
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(phrase)); err != nil {
			err = fmt.Errorf("the passphrase does not fit: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Identity, err)
	}
	return o.certified(signer)
}

// certified puts the key with its certificate in front of the bare one.
func (o SFTPOptions) certified(signer ssh.Signer) ([]ssh.Signer, error) {
	name := o.Certificate
	if name == "" {
		name = o.Identity + "-cert.pub"
	}
	text, err := readKeyFile(name)
	if errors.Is(err, fs.ErrNotExist) && o.Certificate == "" {
		return []ssh.Signer{signer}, nil
	}
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("%s: not a certificate", name)
	}
	withCert, err := ssh.NewCertSigner(cert, signer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return []ssh.Signer{withCert, signer}, nil
}

// readKeyFile refuses what anyone could have put there.
func readKeyFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("anyone can write %s; run: chmod o-w %s", name, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(text) > maxKeyFile {
		err = fmt.Errorf("%s is longer than 64 KiB", name)
	}
	return text, errors.Join(err, f.Close())
}
