package smtpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	bufferSize = 32 << 10
	// maxCommand is the longest command line: 512 octets in RFC 5321 4.5.3.1.4, and
	// more for each extension; addresses here may have 998 octets.
	maxCommand = 8 << 10
	// maxSkipped ends a connection whose line does not end.
	maxSkipped = 1 << 20
)

// wire is a caller's connection as go-smtp gets to see it. go-smtp reads only
// when it has done what the line before asked for, so at each read the state of
// the dialogue is known from that line and from the reply.
type wire struct {
	net.Conn
	peer    Peer
	domain  string // for bare local names
	timeout time.Duration
	now     func() time.Time
	span    span

	r       *bufio.Reader
	pending []byte // given to go-smtp, not read yet
	data    bool   // the line before was DATA
	lf      bool   // ... and ended with a bare LF
	bare    bool   // the path of MAIL or RCPT had no domain
	chunk   int64  // octets of a BDAT chunk still to come
	bdat    transfer
	hello   bool   // the line before was EHLO or HELO
	greeted bool   // ... and one was accepted
	held    []byte // MAIL that waits for a HELO of ours
	code    [3]byte
	inReply int // octets of the reply line so far

	mu      sync.Mutex
	waiting bool // for a command
	stopped bool
	closing sync.Once
	closed  chan struct{}
}

func newWire(c net.Conn, o *Options) *wire {
	return &wire{Conn: c, domain: o.Domain, timeout: o.Timeout, now: o.Now, span: newSpan(o), r: bufio.NewReaderSize(c, bufferSize), closed: make(chan struct{})}
}

// Read implements net.Conn: the rest of a line, the next line, or a piece of a
// chunk.
func (w *wire) Read(p []byte) (int, error) {
	if w.isClosed() { // after QUIT, also where closing does not end reading
		return 0, net.ErrClosed
	}
	switch {
	case len(w.pending) > 0:
	case w.chunk > 0:
		return w.readChunk(p)
	case w.data && string(w.code[:]) == "354":
		// The content is read and gone (see session.Data); go-smtp wants its end.
		w.data = false
		w.pending = []byte(".\r\n")
	case len(w.held) > 0: // the HELO is answered
		w.pending, w.held = w.held, nil
	default:
		line, err := w.next()
		if err != nil {
			return 0, err
		}
		w.pending = line
	}
	n := copy(p, w.pending)
	w.pending = w.pending[n:]
	return n, nil
}

// readChunk passes octets on as they are.
func (w *wire) readChunk(p []byte) (int, error) {
	if int64(len(p)) > w.chunk {
		p = p[:w.chunk]
	}
	w.arm()
	n, err := w.r.Read(p)
	w.span.came(n)
	w.chunk -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // go-smtp takes io.EOF for the end of the chunk
	}
	return n, err
}

// next reads a command, and gives it as go-smtp shall read it.
func (w *wire) next() ([]byte, error) {
	if !w.wait() {
		return nil, w.goodbye()
	}
	line, lf, err := w.line()
	if !w.arrived() && err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, w.goodbye()
	}
	if err != nil {
		return nil, err
	}
	if w.isClosed() { // by stop, while the line came
		return nil, net.ErrClosed
	}
	if !w.bdat.next(line, string(w.code[:])) {
		return nil, w.farewell("421 4.3.0 A message was broken off, try again")
	}
	w.data = isCommand(line, "DATA") && len(bytes.TrimSpace(line)) == len("DATA")
	w.lf = lf
	w.chunk = chunkSize(line)
	return w.introduced(line, append(w.rewrite(line), "\r\n"...)), nil
}

// introduced puts a HELO in front of a MAIL that comes without: Sendmail and
// Postfix do not insist on one, and go-smtp does. Its answer is not the caller's.
func (w *wire) introduced(line, text []byte) []byte {
	w.greeted = w.greeted || w.hello && string(w.code[:]) == "250"
	w.hello = isCommand(line, "EHLO") || isCommand(line, "HELO")
	if w.greeted || !isCommand(line, "MAIL") {
		return text
	}
	w.hello, w.held = true, text
	return []byte("HELO localhost\r\n")
}

// line reads up to an LF and takes the line end off. A line that is too long
// comes as an empty one, which is a syntax error.
func (w *wire) line() (line []byte, lf bool, err error) {
	var held []byte
	for skipped := 0; ; {
		p, err := w.r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, false, err // a command without its end is none
		}
		if len(held)+len(p) > maxCommand || skipped > 0 {
			skipped, held = skipped+len(p), nil
			if skipped > maxSkipped {
				return nil, false, errLongLine
			}
			p = nil
		}
		held = append(held, p...)
		if err == nil {
			break
		}
	}
	line, _ = bytes.CutSuffix(held, []byte("\n"))
	line, crlf := bytes.CutSuffix(line, []byte("\r"))
	return line, !crlf, nil
}

var errLongLine = errors.New("smtpd: a line without end")

// Write implements net.Conn and remembers the code of the reply.
func (w *wire) Write(p []byte) (int, error) {
	for _, c := range p {
		if w.inReply < len(w.code) {
			w.code[w.inReply] = c
		}
		if w.inReply++; c == '\n' {
			w.inReply = 0
		}
	}
	if len(w.held) > 0 {
		return len(p), nil // to a HELO that the caller has not said
	}
	if w.timeout > 0 {
		// A connection that takes no deadline has none to keep to.
		_ = w.Conn.SetWriteDeadline(w.span.write(w.now(), w.timeout))
	}
	return w.Conn.Write(p)
}

// arm sets the time for the next read.
func (w *wire) arm() {
	if w.timeout > 0 {
		_ = w.Conn.SetReadDeadline(w.span.read(w.now(), w.timeout)) // as in Write
	}
}

// wait announces that a command is waited for; it is false when the server stops.
func (w *wire) wait() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = true
	if !w.stopped || w.r.Buffered() > 0 { // what is here already is answered
		w.arm()
		return true
	}
	return false
}

// arrived is false if the server stopped meanwhile.
func (w *wire) arrived() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = false
	return !w.stopped
}

// stop ends the dialogue before the next command.
func (w *wire) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	switch {
	case w.waiting && w.timeout > 0:
		_ = w.Conn.SetReadDeadline(time.Unix(1, 0)) // as in Write
	case w.waiting: // nothing can end that read
		_ = w.goodbye()
		_ = w.Close()
	}
}

// goodbye tells a caller between two commands that the server stops (RFC 5321
// 3.8). Nothing of his is lost: what was not answered was not taken.
func (w *wire) goodbye() error { return w.farewell(stopping) }

const stopping = "421 4.3.2 Service is stopping, try again"

func (w *wire) farewell(line string) error {
	// Who does not read it sees the end of the connection.
	_, _ = w.Write([]byte(line + "\r\n"))
	return io.EOF
}

func (w *wire) isClosed() bool {
	select {
	case <-w.closed:
		return true
	default:
		return false
	}
}

// Close implements net.Conn; go-smtp calls it more than once.
func (w *wire) Close() error {
	var err error
	w.closing.Do(func() {
		err = w.Conn.Close()
		close(w.closed)
	})
	return err
}
