package smtpd

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
)

// reads is a reader that does something first.
type reads func(p []byte) (int, error)

func (r reads) Read(p []byte) (int, error) { return r(p) }

// A command that comes when its caller was told goodbye is not obeyed: its answer
// could not be that of a message that was taken.
func TestStopWhileCommandComes(t *testing.T) {
	var w *wire
	var out bytes.Buffer
	in := reads(func(p []byte) (int, error) {
		w.stop()
		return copy(p, "DATA\r\n"), nil
	})
	w = newWire(Stdio(in, &out), &Options{})
	if n, err := w.Read(make([]byte, 100)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d octets, %v", n, err)
	}
	if !strings.HasPrefix(out.String(), "421 4.3.2 ") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%q", &out)
	}
}

// After a stop nobody is served, and it is told.
func TestHandleAfterStop(t *testing.T) {
	s := New(t.Context(), testOptions(t, &recorder{}))
	defer s.Close()
	if !s.Stop(t.Context()) {
		t.Fatal("there was nothing to wait for")
	}
	var out bytes.Buffer
	s.Handle(Stdio(strings.NewReader("EHLO x\r\n"), &out), Peer{})
	if !strings.HasPrefix(out.String(), "421 4.3.2 ") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%q", &out)
	}
}
