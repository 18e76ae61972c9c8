package smtp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"time"
)

// link is a connection with deadlines, bounds and a memory of its first
// failure. It knows lines and replies, nothing of SMTP's states.
type link struct {
	conn    net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	timeout time.Duration // per reply and per write
	trace   func(direction byte, line string)
	hidden  []string // secrets of a login under way: servers that do not understand a line quote it
	err     error    // the first failure; it stays
	handed  int64    // octets given to the connection
	ctx     context.Context
	start   time.Time // of the first wait
	copying []byte    // for content, once there is some
	last    said
}

// readBuffer and writeBuffer are in octets. What is written waits in the buffer
// until a reply is needed, so that a group of commands is one segment.
const (
	readBuffer  = 4 << 10
	writeBuffer = 32 << 10
)

func newLink(conn net.Conn, timeout time.Duration, trace func(byte, string)) *link {
	l := &link{timeout: timeout, trace: trace}
	l.attach(conn)
	return l
}

// attach makes conn the connection, at the start or after a TLS handshake.
func (l *link) attach(conn net.Conn) {
	l.conn = conn
	l.r = bufio.NewReaderSize(conn, readBuffer)
	l.w = bufio.NewWriterSize(deadlineWriter{l}, writeBuffer)
}

// begin binds the calls that follow to ctx: its end interrupts a wait at once.
// The result must be called when they are done.
func (l *link) begin(ctx context.Context) (end func()) {
	l.ctx = ctx
	conn := l.conn // a handshake may put TLS around it, but the deadlines are its
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		// The past interrupts reads and writes that are under way. An error
		// would mean that the connection is gone, which they then find out.
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-ended // the next call must not find its deadline overwritten
		}
	}
}

// arm gives the next wait its deadline: d from now, or the context's if sooner.
func (l *link) arm(d time.Duration) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	t := l.now().Add(d)
	if end, ok := l.ctx.Deadline(); ok && end.Before(t) {
		t = end
	}
	if err := l.conn.SetDeadline(t); err != nil {
		return err
	}
	return l.ctx.Err() // it may have ended between; then AfterFunc's deadline was overwritten
}

// copyBuffer is what content is copied through, the same for all messages.
func (l *link) copyBuffer() []byte {
	if l.copying == nil {
		l.copying = make([]byte, writeBuffer)
	}
	return l.copying
}

// now is the moment at which a context that ends at once was made, and what has
// passed since. A context for each write would cost as much as the message is long.
func (l *link) now() time.Time {
	if l.start.IsZero() {
		ctx, cancel := context.WithTimeout(context.Background(), 0)
		defer cancel()
		l.start, _ = ctx.Deadline()
	}
	return l.start.Add(time.Since(l.start))
}

// deadlineWriter arms the deadline anew for each write, so that a long message
// is bounded by progress and not by its size.
type deadlineWriter struct{ l *link }

func (d deadlineWriter) Write(p []byte) (int, error) {
	if err := d.l.arm(d.l.timeout); err != nil {
		return 0, err
	}
	n, err := d.l.conn.Write(p)
	d.l.handed += int64(n)
	return n, err
}

// written is how many octets there are so far, sent or in the buffer.
func (l *link) written() int64 { return l.handed + int64(l.w.Buffered()) }

// writeLine puts a command into the buffer. shown is what the trace sees.
func (l *link) writeLine(line, shown string) error {
	if l.err != nil {
		return l.err
	}
	l.say('>', shown)
	if _, err := l.w.WriteString(line); err != nil {
		return err
	}
	_, err := l.w.WriteString("\r\n")
	return err
}

// flush sends what is in the buffer. After an error of writing (which the buffer
// keeps) the connection can still be read: see lastReply.
func (l *link) flush() error {
	if l.err != nil {
		return l.err
	}
	return l.w.Flush()
}

// reply reads one reply within d.
func (l *link) reply(d time.Duration, maxLine int) (Reply, error) {
	if l.err != nil {
		return Reply{}, l.err
	}
	if l.r.Buffered() == 0 {
		if err := l.arm(d); err != nil {
			return Reply{}, l.fail(err)
		}
	}
	last := &l.last
	if len(l.hidden) > 0 { // these lines are changed below
		last = &said{}
	}
	r, err := readReply(l.r, maxLine, last, l.heard)
	if err != nil {
		if len(l.hidden) > 0 && errors.Is(err, errSyntax) {
			err = because(errSyntax, errors.New(l.hide(err.Error())))
		}
		return Reply{}, l.fail(err)
	}
	if len(l.hidden) > 0 && r.Code != CodeAuthContinue { // what goes on is for the mechanism
		for i := range r.Lines {
			r.Lines[i] = l.hide(r.Lines[i])
		}
	}
	return r, nil
}

// ready reports whether a reply is here as a whole, so that reading it takes no wait.
func (l *link) ready() bool {
	if l.err != nil {
		return false
	}
	here, _ := l.r.Peek(l.r.Buffered())
	for line := range bytes.Lines(here) {
		if line[len(line)-1] != '\n' {
			return false
		}
		if len(line) < 4 || line[3] != '-' { // the last one, or none of a reply
			return true
		}
	}
	return false
}

// idle reports a server that talked although it was not asked. A 421 that says
// goodbye comes so, and is returned as a reply.
func (l *link) idle() (farewell Reply, err error) {
	if l.err != nil || l.r.Buffered() == 0 {
		return Reply{}, l.err
	}
	r, err := readReply(l.r, maxReplyLine, &l.last, l.heard)
	if err != nil {
		return Reply{}, l.fail(err)
	}
	if r.Code == CodeServiceNotAvailable {
		return r, nil
	}
	return Reply{}, l.fail(errUnsolicited)
}

func (l *link) heard(line []byte) {
	if l.trace != nil {
		l.say('<', l.hide(string(line)))
	}
}

func (l *link) hide(text string) string {
	for _, secret := range l.hidden {
		text = strings.ReplaceAll(text, secret, "[secret]")
	}
	return text
}

func (l *link) say(direction byte, line string) {
	if l.trace != nil {
		l.trace(direction, printable(line))
	}
}

// fail keeps the first failure and closes the connection.
func (l *link) fail(err error) error {
	if l.err != nil {
		return l.err
	}
	if l.ctx != nil && l.ctx.Err() != nil {
		err = l.ctx.Err() // the deadline was set by it
	}
	l.err = ioKind(err)
	l.shut()
	return l.err
}

func (l *link) shut() {
	// The connection is given up; that closing it fails changes nothing.
	_ = l.conn.Close()
}

// close ends the connection without a word.
func (l *link) close() {
	if l.err == nil {
		l.err = because(ErrDisconnected, net.ErrClosed)
		l.shut()
	}
}

// lastWords is how long a server that takes nothing more is listened to.
const lastWords = time.Second

// lastReply reads what a server that stopped listening may have said before it
// hung up, such as "552 too large" in the middle of a message.
func (l *link) lastReply() (Reply, bool) {
	if l.err != nil || l.ctx == nil || l.ctx.Err() != nil {
		return Reply{}, false
	}
	if l.r.Buffered() == 0 && l.arm(lastWords) != nil {
		return Reply{}, false
	}
	r, err := readReply(l.r, maxReplyLine, &l.last, l.heard)
	return r, err == nil
}
