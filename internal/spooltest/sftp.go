package spooltest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"postern/internal/spool"
)

// SFTPServer is an SSH server in this process, with the server of pkg/sftp behind
// it. Its connections are made of memory.
type SFTPServer struct {
	Config *ssh.ServerConfig
	Host   ssh.Signer
	Dir    string // of the disk, where the spool is "mail"
	Delay  time.Duration
	Packet func(request bool, data []byte) (pass bool) // false cuts the connection
	Away   atomic.Bool                                 // nobody can connect
	Fsync  bool                                        // offer fsync@openssh.com, and do nothing for it

	t        testing.TB
	memory   *sftp.Handlers
	key      string // file of the user's
	mu       sync.Mutex
	conns    []net.Conn
	accepted int
	wg       sync.WaitGroup
}

// Address is what the server has for its name.
const Address = "sftp.example:2222"

// NewKey makes a key.
func NewKey(t testing.TB) (ssh.Signer, ed25519.PrivateKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// WriteKey writes a key to a file of its own.
func WriteKey(t testing.TB, key ed25519.PrivateKey, passphrase string) string {
	t.Helper()
	var block *pem.Block
	var err error
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return WriteFile(t, "id", string(pem.EncodeToMemory(block)))
}

// WriteFile writes a file into a directory of its own.
func WriteFile(t testing.TB, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// NewSFTPServer makes a server that ends with the test.
func NewSFTPServer(t testing.TB) *SFTPServer {
	host, _ := NewKey(t)
	user, key := NewKey(t)
	s := &SFTPServer{t: t, Dir: t.TempDir(), Host: host, key: WriteKey(t, key, "")}
	s.Config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(user.PublicKey().Marshal()) {
			return nil, fmt.Errorf("another key")
		}
		return nil, nil
	}}
	s.Config.KeyExchanges = []string{ssh.KeyExchangeCurve25519} // the cheapest
	s.Config.AddHostKey(host)
	t.Cleanup(s.Stop)
	return s
}

// Stop cuts all connections and waits for what served them.
func (s *SFTPServer) Stop() {
	s.Cut()
	s.wg.Wait()
}

// Cut ends all connections.
func (s *SFTPServer) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// Connections is how many there were.
func (s *SFTPServer) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Options are for a client of the server, whose connections are made of memory.
func (s *SFTPServer) Options() spool.SFTPOptions {
	return spool.SFTPOptions{User: "spool", Host: "sftp.example", Port: 2222, Dir: "mail",
		KnownHosts: []string{WriteFile(s.t, "known_hosts", knownhosts.Line([]string{Address}, s.Host.PublicKey())+"\n")},
		Identity:   s.key, LockDir: s.t.TempDir(), Dial: s.dial}
}

// Open gives a client that ends with the test.
func (s *SFTPServer) Open(t testing.TB) *spool.SFTP {
	t.Helper()
	return s.OpenIn(t, "mail")
}

// OpenIn is Open for a spool of another name.
func (s *SFTPServer) OpenIn(t testing.TB, name string) *spool.SFTP {
	t.Helper()
	o := s.Options()
	o.Dir = name
	if s.memory != nil {
		o.Dir = "/" + name
	}
	f := spool.NewSFTP(context.Background(), o, time.Now)
	t.Cleanup(func() { f.Close() })
	return f
}

// InMemory has the library's server in memory behind it, which knows no modes of
// directories.
func (s *SFTPServer) InMemory() *SFTPServer {
	h := sftp.InMemHandler()
	s.memory = &h
	return s
}

func (s *SFTPServer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.Away.Load() {
		return nil, errors.New("connection refused")
	}
	ours, theirs := NewPipe(s.Delay)
	s.mu.Lock()
	s.conns = append(s.conns, theirs)
	s.accepted++
	s.mu.Unlock()
	s.wg.Go(func() { s.serve(theirs) })
	return ours, nil
}

// serve is one connection.
func (s *SFTPServer) serve(conn net.Conn) {
	defer conn.Close()
	c, channels, requests, err := ssh.NewServerConn(conn, s.Config)
	if err != nil {
		return
	}
	defer c.Close()
	go ssh.DiscardRequests(requests)
	for n := range channels {
		channel, requests, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				r.Reply(r.Type == "subsystem", nil)
			}
		}()
		s.sftp(&tap{under: channel, s: s, conn: conn})
		channel.Close()
	}
}

func (s *SFTPServer) sftp(rw io.ReadWriteCloser) {
	if s.memory != nil {
		sftp.NewRequestServer(rw, *s.memory).Serve()
		return
	}
	server, err := sftp.NewServer(rw, sftp.WithServerWorkingDirectory(s.Dir))
	if err != nil {
		s.t.Error(err)
		return
	}
	server.Serve()
}
