package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"postern/internal/smtptest"
)

// Ports of the smarthosts, which run in a process of their own.
const (
	portPlain    = 2501
	portChunking = 2502
	portSTARTTLS = 2503 // and AUTH
	portImplicit = 2504 // and AUTH
	portNarrow   = 2505 // serves narrowAtOnce sessions at a time
)

const narrowAtOnce = 20

// sinks is the process of the smarthosts, asked by lines and answering in JSON.
type sinks struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
	ca  string // file of the authority that certified them
}

// answer is what the process says.
type answer struct {
	smtptest.SwiftCount
	Answers int
	Port    int
	Error   string
}

func startSinks(dir string) (*sinks, error) {
	s := &sinks{cmd: exec.Command("/proc/self/exe", "sink", dir), ca: filepath.Join(dir, "ca.pem")}
	s.cmd.Stderr = os.Stderr
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = json.NewDecoder(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := s.ask("hello"); err != nil {
		return nil, err
	}
	// Now the authority is one of the system's.
	return s, shell("/", `cat "$1" >>/etc/ssl/certs/ca-certificates.crt; cp "$1" /etc/ssl/certs/bench.pem`, s.ca)
}

func (s *sinks) stop() {
	s.in.Close()
	s.cmd.Wait() //nolint:errcheck // its work is done
}

func (s *sinks) ask(format string, args ...any) (a answer, err error) {
	if _, err := fmt.Fprintf(s.in, format+"\n", args...); err != nil {
		return a, err
	}
	if err = s.out.Decode(&a); err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	return a, err
}

// reset begins to count anew at a port.
func (s *sinks) reset(port int) error {
	_, err := s.ask("reset %d", port)
	return err
}

// count is what was seen at a port.
func (s *sinks) count(port int) (answer, error) { return s.ask("count %d", port) }

// far is the port of a line with that round-trip time to a port.
func (s *sinks) far(port int, trip time.Duration) (int, error) {
	a, err := s.ask("proxy %d %s", port, trip)
	return a.Port, err
}

// await waits until n messages came to a port.
func (s *sinks) await(port, n int, limit time.Duration) error {
	_, err := s.ask("await %d %d %s", port, n, limit)
	return err
}

// house is the process of the smarthosts.
type house struct {
	swifts  map[string]*smtptest.Swift // by port
	proxies map[string]*smtptest.Proxy
}

// serveSinks obeys until its input ends.
func serveSinks(in io.Reader, out io.Writer, dir string) error {
	h := &house{swifts: make(map[string]*smtptest.Swift), proxies: make(map[string]*smtptest.Proxy)}
	if err := h.open(dir); err != nil {
		return err
	}
	say := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		a, err := h.obey(strings.Fields(lines.Text()))
		if err != nil {
			a.Error = err.Error()
		}
		if err := say.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// listen is a syslog daemon that throws away what it hears.
func listen() error {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/dev/log", Net: "unixgram"})
	if err != nil {
		return err
	}
	go func() {
		for buf := make([]byte, 64<<10); ; {
			if _, err := conn.Read(buf); err != nil {
				return
			}
		}
	}()
	return nil
}

func (h *house) open(dir string) error {
	if err := listen(); err != nil {
		return err
	}
	authority, err := smtptest.NewAuthority()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), authority.PEM(), 0o644); err != nil {
		return err
	}
	cert, err := authority.Server(smarthost)
	if err != nil {
		return err
	}
	secure := &tls.Config{Certificates: []tls.Certificate{cert}}
	for port, o := range map[int]smtptest.SwiftOptions{
		portPlain:    {},
		portChunking: {Chunking: true},
		portSTARTTLS: {TLS: secure, Auth: true},
		portImplicit: {TLS: secure, Implicit: true, Auth: true},
		portNarrow:   {AtOnce: narrowAtOnce},
	} {
		o.Addr = fmt.Sprint("127.0.0.1:", port)
		if h.swifts[fmt.Sprint(port)], err = smtptest.StartSwift(o); err != nil {
			return err
		}
	}
	return nil
}

func (h *house) obey(words []string) (a answer, err error) {
	if words[0] == "hello" {
		return a, nil
	}
	s, proxy := h.swifts[words[1]], h.proxies[words[1]]
	switch {
	case s == nil && proxy == nil:
		return a, fmt.Errorf("no such port: %s", words[1])
	case words[0] == "proxy":
		return h.proxy(words[1], words[2])
	case words[0] == "reset":
		s.Reset()
	case words[0] == "count" && proxy != nil:
		a.Answers = proxy.Answers()
	case words[0] == "count":
		a.SwiftCount = s.Count()
	case words[0] == "await":
		return h.await(s, words[2], words[3])
	}
	return a, nil
}

func (h *house) proxy(port, trip string) (a answer, err error) {
	d, err := time.ParseDuration(trip)
	if err != nil {
		return a, err
	}
	p, err := smtptest.StartProxy("127.0.0.1:"+port, smtptest.ProxyOptions{RoundTrip: d, Far: true})
	if err != nil {
		return a, err
	}
	a.Port = p.Port()
	h.proxies[fmt.Sprint(a.Port)] = p
	return a, nil
}

// await polls, since a count of a thousand need not be exact to a millisecond.
func (h *house) await(s *smtptest.Swift, want, limit string) (a answer, err error) {
	var n int
	if _, err := fmt.Sscan(want, &n); err != nil {
		return a, err
	}
	d, err := time.ParseDuration(limit)
	if err != nil {
		return a, err
	}
	for end := time.Now().Add(d); s.Count().Messages < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return a, fmt.Errorf("%d of %d messages came within %s", s.Count().Messages, n, d)
		}
	}
	return a, nil
}
