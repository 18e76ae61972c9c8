package smtptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// dialogue is a session under way. raw is conn without TLS.
type dialogue struct {
	s         *Server
	conn, raw net.Conn
	r         *bufio.Reader
	session   *Session
	chunks    []byte
}

// errDone ends a session as the script or QUIT wants it, errReset with a reset.
var (
	errDone  = errors.New("done")
	errReset = errors.New("reset")
)

const maxChunk = 64 << 20

func (d *dialogue) run() error {
	d.raw.SetDeadline(time.Now().Add(d.s.o.Timeout))
	if d.s.o.Implicit {
		if err := d.secure(); err != nil {
			return err
		}
	}
	d.r = bufio.NewReader(d.conn)
	err := d.answer(d.made(d.s.next("_banner"), ""))
	for err == nil {
		err = d.command()
	}
	return err
}

// end closes the connection. A close with unread input would become a reset and
// could take the last answer with it, so the client may finish first.
func (d *dialogue) end(err error) {
	switch {
	case errors.Is(err, errReset):
		if c, ok := d.raw.(*net.TCPConn); ok {
			c.SetLinger(0)
		}
	case errors.Is(err, errDone):
		if c, ok := d.conn.(*tls.Conn); ok {
			c.CloseWrite()
		}
		if c, ok := d.raw.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
			io.Copy(io.Discard, d.raw)
		}
	default:
		d.s.mu.Lock()
		d.session.Err = err
		d.s.mu.Unlock()
	}
}

// line is what the client says next; half a line is io.ErrUnexpectedEOF.
func (d *dialogue) line() (string, error) {
	line, err := d.r.ReadString('\n')
	if err == io.EOF && line != "" {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimRight(line, "\r\n"), err
}

func (d *dialogue) note(command string) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.session.Commands = append(d.session.Commands, command)
}

func (d *dialogue) command() error {
	line, err := d.line()
	if err != nil {
		return err
	}
	d.note(line)
	upper := strings.ToUpper(line)
	verb, _, _ := strings.Cut(upper, " ")
	switch verb {
	case "BDAT":
		return d.chunk(upper)
	case "EHLO", "HELO", "MAIL", "RSET":
		d.chunks = nil
	}
	a := d.made(d.s.next(d.s.o.Script.find(line)), line)
	if err := d.answer(a); err != nil {
		return err
	}
	switch {
	case upper == "DATA" && strings.HasPrefix(a.Text, "354"):
		return d.data()
	case strings.HasPrefix(a.Text, "334"):
		return d.challenge()
	case upper == "QUIT":
		return errDone
	}
	return nil
}

// made is a, or what it makes of what was said.
func (d *dialogue) made(a Answer, said string) Answer {
	if a.Make == nil {
		return a
	}
	c, ok := d.conn.(*tls.Conn)
	if !ok {
		return a.Make(said, nil)
	}
	state := c.ConnectionState()
	return a.Make(said, &state)
}

// challenge reads answers to 334 until something else is said.
func (d *dialogue) challenge() error {
	for {
		line, err := d.line()
		if err != nil {
			return err
		}
		d.note("_line " + line)
		a := d.made(d.s.next("_line"), line)
		if err := d.answer(a); err != nil || !strings.HasPrefix(a.Text, "334") {
			return err
		}
	}
}

func (d *dialogue) data() error {
	var content bytes.Buffer
	for {
		line, err := d.r.ReadString('\n')
		if err == io.EOF {
			return fmt.Errorf("content without its end: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			return err
		}
		if line == ".\r\n" {
			break
		}
		content.WriteString(strings.TrimPrefix(line, "."))
	}
	d.keep(content.Bytes())
	return d.answer(d.s.next("_content"))
}

func (d *dialogue) chunk(upper string) error {
	fields := strings.Fields(upper)
	last := len(fields) == 3 && fields[2] == "LAST"
	if len(fields) != 2 && !last {
		return fmt.Errorf("no chunk: %q", upper)
	}
	n, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil || n > maxChunk {
		return fmt.Errorf("no chunk: %q", upper)
	}
	buf := make([]byte, n)
	if _, err := io.ReadFull(d.r, buf); err != nil {
		return fmt.Errorf("chunk: %w", err)
	}
	d.chunks = append(d.chunks, buf...)
	if !last {
		return d.answer(d.s.next("_chunk"))
	}
	d.keep(d.chunks)
	d.chunks = nil
	return d.answer(d.s.next("_content"))
}

func (d *dialogue) keep(content []byte) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.session.Messages = append(d.session.Messages, content)
}

func (d *dialogue) answer(a Answer) error {
	step := len(a.Text)
	if a.EveryByte {
		step = 1 // a net.TCPConn has TCP_NODELAY, so that each is a segment
	}
	for text := a.Text; text != ""; text = text[min(step, len(text)):] {
		if _, err := io.WriteString(d.conn, text[:min(step, len(text))]); err != nil {
			return err
		}
	}
	switch a.Then {
	case Close:
		return errDone
	case Reset:
		return errReset
	case Silence:
		io.Copy(io.Discard, d.raw)
		return errDone
	case StartTLS:
		return d.startTLS()
	}
	return nil
}

// startTLS does the handshake and notes what came ahead of it.
func (d *dialogue) startTLS() error {
	early, _ := d.r.Peek(d.r.Buffered())
	d.s.mu.Lock()
	d.session.Early = string(early)
	d.s.mu.Unlock()
	if err := d.secure(); err != nil {
		return err
	}
	d.r = bufio.NewReader(d.conn)
	return nil
}

func (d *dialogue) secure() error {
	if d.s.o.TLS == nil {
		return errors.New("handshake: the server has no TLS configuration")
	}
	secure := tls.Server(d.raw, d.s.o.TLS)
	if err := secure.Handshake(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.conn, d.session.TLS = secure, true
	return nil
}
