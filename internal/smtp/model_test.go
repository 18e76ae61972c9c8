package smtp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/smtp"
)

// model is a server without a network: what is written to it is answered at
// once, so that a whole session can be run again for each octet at which it could
// end. It is a net.Conn. It obeys the letter: BDAT and DATA, groups of commands,
// a transaction that a MAIL without RSET does not begin anew.
type model struct {
	extensions []string
	answer     func(command string) string // other than the good one, "" for that

	cutAnswers  int                              // answers end after so many octets, -1 for never; what came is still acted on
	cutCommands int                              // writes fail after so many octets, -1 for never
	deaf        bool                             // what was answered is lost when writes fail
	change      func(n int, reply string) string // of the n-th reply
	step        int                              // octets per read, 0 for all

	in      []byte
	out     []byte
	said    int // octets answered
	got     int // octets taken
	replies int
	dead    bool // nothing more is taken

	from     string
	to       []string
	inData   bool
	commands []string
	taken    []taken
}

// taken is a message that the model is responsible for.
type taken struct {
	from    string
	to      []string
	content string
}

func newModel(extensions ...string) *model {
	m := &model{extensions: extensions, cutAnswers: -1, cutCommands: -1}
	m.reply("220 model.test")
	return m
}

func (m *model) reply(line string) {
	m.replies++
	text := line + "\r\n"
	if m.change != nil {
		text = m.change(m.replies, text)
	}
	if m.cutAnswers >= 0 {
		text = text[:min(len(text), max(0, m.cutAnswers-m.said))]
	}
	m.said += len(text)
	m.out = append(m.out, text...)
}

// Write implements net.Conn.
func (m *model) Write(p []byte) (int, error) {
	n := len(p)
	if m.cutCommands >= 0 {
		n = min(n, m.cutCommands-m.got)
	}
	m.got += n
	m.in = append(m.in, p[:n]...)
	for !m.dead && m.act() {
	}
	if n < len(p) {
		if m.deaf {
			m.out = nil
		}
		m.cutAnswers = m.said
		return n, syscall.EPIPE
	}
	return n, nil
}

// Read implements net.Conn.
func (m *model) Read(p []byte) (int, error) {
	switch {
	case len(m.out) > 0:
		if m.step > 0 {
			p = p[:min(len(p), m.step)]
		}
		n := copy(p, m.out)
		m.out = m.out[n:]
		return n, nil
	case m.dead || m.cutAnswers >= 0 && m.said >= m.cutAnswers:
		return 0, io.EOF
	}
	return 0, os.ErrDeadlineExceeded // it would wait for ever
}

// act does what the next whole command in the input says, if there is one.
func (m *model) act() bool {
	if m.inData {
		i := bytes.Index(append([]byte("\r\n"), m.in...), []byte("\r\n.\r\n"))
		if i < 0 {
			return false
		}
		content := string(m.in[:i])
		m.in, m.inData = m.in[i+3:], false
		m.content(strings.TrimPrefix(strings.ReplaceAll("\r\n"+content, "\r\n.", "\r\n"), "\r\n"))
		return true
	}
	line, rest, ok := bytes.Cut(m.in, []byte("\r\n"))
	if !ok {
		return false
	}
	command := string(line)
	if strings.HasPrefix(command, "BDAT ") {
		return m.bdat(command, rest)
	}
	m.in = rest
	m.commands = append(m.commands, command)
	m.command(command)
	return true
}

func (m *model) bdat(command string, rest []byte) bool {
	fields := strings.Fields(command)
	n, err := strconv.Atoi(fields[1])
	if err != nil {
		panic(command)
	}
	if len(rest) < n {
		return false
	}
	m.commands = append(m.commands, command)
	content := string(rest[:n])
	m.in = rest[n:]
	if len(m.to) == 0 {
		m.reply("554 no valid recipients") // the state is undetermined now (RFC 3030 2)
		m.from = "undetermined"
		return true
	}
	m.content(content)
	return true
}

// content takes a message, and says so.
func (m *model) content(text string) {
	say := "250 2.0.0 queued as " + strconv.Itoa(len(m.taken)+1)
	if m.answer != nil {
		if other := m.answer("content of " + m.from); other != "" {
			say = other
		}
	}
	if strings.HasPrefix(say, "2") {
		m.taken = append(m.taken, taken{m.from, slices.Clone(m.to), text})
	}
	m.from, m.to = "", nil
	m.reply(say)
	m.dead = strings.HasPrefix(say, "421")
}

func (m *model) command(command string) {
	say := ""
	if m.answer != nil {
		say = m.answer(command)
	}
	verb := strings.ToUpper(command[:min(4, len(command))])
	if say == "" {
		say = m.good(verb, command)
	}
	if strings.HasPrefix(say, "2") {
		switch verb {
		case "MAIL":
			m.from, m.to = command[len("MAIL FROM:<"):strings.IndexByte(command, '>')], nil
		case "RCPT":
			m.to = append(m.to, command[len("RCPT TO:<"):strings.IndexByte(command, '>')])
		case "RSET":
			m.from, m.to = "", nil
		}
	}
	m.inData = strings.HasPrefix(say, "354")
	m.reply(say)
	m.dead = verb == "QUIT" || strings.HasPrefix(say, "421")
}

func (m *model) good(verb, command string) string {
	switch verb {
	case "EHLO":
		lines := append([]string{"model.test"}, m.extensions...)
		return "250-" + strings.Join(lines[:len(lines)-1], "\r\n250-") + "\r\n250 " + lines[len(lines)-1]
	case "MAIL":
		if m.from != "" {
			return "503 5.5.1 sender already given"
		}
		return "250 2.1.0 sender ok"
	case "RCPT":
		if m.from == "" {
			return "503 5.5.1 need MAIL"
		}
		return "250 2.1.5 recipient ok"
	case "DATA":
		if len(m.to) == 0 {
			return "554 5.5.1 no valid recipients"
		}
		return "354 go on"
	case "RSET":
		return "250 2.0.0 reset"
	case "QUIT":
		return "221 2.0.0 bye"
	}
	return "500 5.5.2 what is " + command
}

func (m *model) Close() error                     { return nil }
func (m *model) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (m *model) RemoteAddr() net.Addr             { return m.LocalAddr() }
func (m *model) SetDeadline(time.Time) error      { return nil }
func (m *model) SetReadDeadline(time.Time) error  { return nil }
func (m *model) SetWriteDeadline(time.Time) error { return nil }

// delivery is a message of a drain and its outcome.
type delivery struct {
	tx     *smtp.Transaction
	result smtp.Result
	told   int // how often
}

// load is n messages from m1@x, m2@x …, each to a good and, every third, a bad
// recipient.
func load(n int) []*delivery {
	var out []*delivery
	for i := range n {
		to := []string{fmt.Sprintf("to%d@x", i+1)}
		if i%3 == 1 {
			to = append(to, fmt.Sprintf("bad%d@x", i+1))
		}
		out = append(out, &delivery{tx: &smtp.Transaction{
			Envelope: smtp.Envelope{Sender: fmt.Sprintf("m%d@x", i+1), Recipients: smtp.RecipientsOf(to...)},
			Message:  smtp.Bytes(fmt.Appendf(nil, "Subject: %d\n\n.body\n", i+1)),
		}})
	}
	return out
}

// drainInto sends them over a model.
func drainInto(t testing.TB, m net.Conn, o smtp.DrainOptions, all []*delivery) error {
	t.Helper()
	c, err := smtp.NewClient(t.Context(), m, smtp.Config{TLS: smtp.None, LocalName: "client.test"})
	if err != nil {
		return err
	}
	defer c.Close()
	next, byTx := 0, map[*smtp.Transaction]*delivery{}
	return c.Drain(t.Context(), o, func(context.Context) (*smtp.Transaction, error) {
		if next == len(all) {
			return nil, io.EOF
		}
		d := all[next]
		next++
		byTx[d.tx] = d
		d.told = -1 // asked for
		return d.tx, nil
	}, func(tx *smtp.Transaction, r smtp.Result) {
		d := byTx[tx]
		d.told = max(d.told, 0) + 1
		d.result = r
	})
}
