package smtptest

import (
	"crypto/tls"
	"net"
	"net/smtp"
	"strings"
	"testing"
)

// swift starts one with a certificate.
func swift(t *testing.T, o SwiftOptions) (*Swift, *tls.Config) {
	t.Helper()
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Server("swift.test")
	if err != nil {
		t.Fatal(err)
	}
	o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s, err := StartSwift(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, &tls.Config{ServerName: "swift.test", RootCAs: a.Pool()}
}

// A genuine client gets a message through, secured and logged in, and all of it
// is counted.
func TestSwiftCounts(t *testing.T) {
	s, trust := swift(t, SwiftOptions{Auth: true})
	c, err := smtp.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.StartTLS(trust); err != nil {
		t.Fatal(err)
	}
	must(t, c.Auth(smtp.PlainAuth("", "user", "password", "127.0.0.1")))
	const text = ".a line with a dot\r\n\r\n.\r\nnot the end\r\n"
	for range 2 {
		must(t, c.Mail("a@x.test"), c.Rcpt("b@x.test"), c.Rcpt("c@x.test"))
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		must(t, w.Close())
	}
	must(t, c.Quit())
	doubled := len(text) + 2 // its dots travel doubled
	if got, want := s.Count(), (SwiftCount{Connections: 1, Messages: 2, Recipients: 4, Octets: 2 * doubled, Peak: 1}); got != want {
		t.Errorf("counted %+v, not %+v", got, want)
	}
	s.Reset()
	if got := s.Count().Messages; got != 0 {
		t.Errorf("%d messages after Reset", got)
	}
}

// A whole session in one flight gets its answers in order, in one segment.
func TestSwiftFlight(t *testing.T) {
	s, _ := swift(t, SwiftOptions{Chunking: true, Auth: true})
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const flight = "EHLO x\r\nAUTH PLAIN AHUAcA==\r\nAUTH LOGIN\r\ndQ==\r\ncA==\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nRSET\r\n" +
		"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 3\r\na\r\nBDAT 4 LAST\r\nQUIT" +
		"QUIT\r\n"
	if _, err := c.Write([]byte(flight)); err != nil {
		t.Fatal(err)
	}
	var codes []string
	for {
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		for line := range strings.Lines(string(buf[:n])) {
			if line[3] == ' ' {
				codes = append(codes, line[:3])
			}
		}
		if err != nil {
			break
		}
	}
	if got, want := strings.Join(codes, " "), "220 250 235 334 334 235 250 250 250 250 250 250 250 221"; got != want {
		t.Errorf("answers %s, not %s", got, want)
	}
	if got := s.Count(); got.Messages != 1 || got.Recipients != 1 || got.Octets != 7 {
		t.Errorf("counted %+v", got)
	}
}

// With AtOnce the next session begins when one ends.
func TestSwiftAtOnce(t *testing.T) {
	s, _ := swift(t, SwiftOptions{AtOnce: 1})
	first, err := smtp.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	greeted := make(chan error)
	go func() {
		second, err := smtp.Dial(s.Addr())
		if err == nil {
			err = second.Quit()
		}
		greeted <- err
	}()
	select {
	case <-greeted:
		t.Error("two sessions at once")
	default:
	}
	must(t, first.Quit())
	must(t, <-greeted)
	if got := s.Count(); got.Connections != 2 || got.Peak != 1 {
		t.Errorf("counted %+v", got)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
