package smtpd

import (
	"io"
	"net"
	"time"
)

// Stdio is a connection made of two streams, as of standard input and output. It
// keeps no deadlines: like any filter it waits for whoever feeds it, and ends
// when he does.
func Stdio(in io.Reader, out io.Writer) net.Conn { return stdio{in, out} }

type stdio struct {
	io.Reader
	io.Writer
}

func (stdio) Close() error                     { return nil }
func (stdio) LocalAddr() net.Addr              { return stdioAddr{} }
func (stdio) RemoteAddr() net.Addr             { return stdioAddr{} }
func (stdio) SetDeadline(time.Time) error      { return nil }
func (stdio) SetReadDeadline(time.Time) error  { return nil }
func (stdio) SetWriteDeadline(time.Time) error { return nil }

type stdioAddr struct{}

func (stdioAddr) Network() string { return "stdio" }
func (stdioAddr) String() string  { return "standard input" }
