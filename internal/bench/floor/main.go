// Floor is the least that a client in Go can do: it speaks the protocol, one
// write for each flight, and nothing else. "make bench" measures against it.
//
//	floor [-ca file] host port recipient … <message
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"strings"
)

func main() {
	ca := flag.String("ca", "", "STARTTLS, verified by the one authority in this file, and AUTH PLAIN")
	flag.Parse()
	if err := send(*ca, flag.Arg(0), flag.Arg(1), flag.Args()[2:]); err != nil {
		os.Stderr.WriteString("floor: " + err.Error() + "\n")
		os.Exit(75)
	}
}

type session struct {
	conn net.Conn
	r    *bufio.Reader
}

// say writes a flight and reads so many replies.
func (s *session) say(text string, replies int) error {
	if text != "" {
		if _, err := io.WriteString(s.conn, text); err != nil {
			return err
		}
	}
	for replies > 0 {
		line, err := s.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) < 4 || line[0] > '3' {
			return errors.New(string(line))
		}
		if line[3] == ' ' {
			replies--
		}
	}
	return nil
}

func (s *session) use(conn net.Conn) { s.conn, s.r = conn, bufio.NewReader(conn) }

func (s *session) secure(host, ca string) error {
	if err := s.say("STARTTLS\r\n", 1); err != nil {
		return err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	s.use(tls.Client(s.conn, &tls.Config{ServerName: host, RootCAs: pool}))
	if err := s.say("EHLO floor.test\r\n", 1); err != nil {
		return err
	}
	return s.say("AUTH PLAIN AHVzZXIAcGFzc3dvcmQ=\r\n", 1)
}

func send(ca, host, port string, to []string) error {
	conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	s := &session{}
	s.use(conn)
	if err := s.say("", 1); err != nil {
		return err
	}
	if err := s.say("EHLO floor.test\r\n", 1); err != nil {
		return err
	}
	if ca != "" {
		if err := s.secure(host, ca); err != nil {
			return err
		}
	}
	var envelope strings.Builder
	envelope.WriteString("MAIL FROM:<floor@floor.test>\r\n")
	for _, one := range to {
		envelope.WriteString("RCPT TO:<" + one + ">\r\n")
	}
	envelope.WriteString("DATA\r\n")
	if err := s.say(envelope.String(), len(to)+2); err != nil {
		return err
	}
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	body = bytes.ReplaceAll(body, []byte("\n"), []byte("\r\n"))
	body = bytes.ReplaceAll(body, []byte("\n."), []byte("\n.."))
	return s.say(string(append(body, ".\r\nQUIT\r\n"...)), 2)
}
