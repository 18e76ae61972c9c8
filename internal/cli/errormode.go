package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"postern/internal/message"
	"postern/internal/relay"
)

// giveBack returns what was refused for good to its sender by mail, as -oem asks.
// It comes on top of what the caller is told: many callers that ask for it look
// at neither status nor standard error.
func (w *outlet) giveBack(s *submission, outcomes []relay.Outcome) {
	told, err := w.queue.Return(s.id, s.env, s.msg, outcomes)
	if err != nil {
		w.a.log.Warning(fmt.Sprintf("%s: %v", s.id, err))
		w.a.say("the sender could not be told by mail: %v", err)
		return
	}
	if told && w.mode != 'q' {
		w.a.wake(w.cfg)
	}
}

// bury appends a message that could be neither sent nor kept to a mailbox file,
// as DeadLetterDrop asks.
func (a *app) bury(path string, s *submission) {
	if a.privileged {
		a.say("DeadLetterDrop is not allowed with more rights than the caller's")
		return
	}
	if err := appendMbox(path, s.env.Sender, a.now().UTC().Format("Mon Jan _2 15:04:05 2006"), s.msg); err != nil {
		a.say("the message could not be saved: %v", err)
		return
	}
	a.say("the message is saved in %s", escape(path))
}

// appendMbox adds a message to a mailbox file (RFC 4155, with lines that begin
// with From quoted so that this can be undone). After an error the file is as it
// was.
func appendMbox(path, sender, date string, msg *message.Message) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", path)
	}
	if sender == "" {
		sender = "MAILER-DAEMON"
	}
	err = writeMbox(f, "From "+strings.ReplaceAll(sender, " ", "_")+" "+date, msg)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(info.Size()))
	}
	return nil
}

func writeMbox(f io.Writer, from string, msg *message.Message) error {
	m, err := msg.For(message.Wire{EightBitMIME: true, UTF8: true})
	if err != nil {
		return err
	}
	text, err := m.Open()
	if err != nil {
		return errors.Join(err, m.Close())
	}
	w := bufio.NewWriter(f)
	_, err = w.WriteString(from + "\n")
	for r := bufio.NewReader(text); err == nil; {
		var line []byte
		if line, err = r.ReadBytes('\n'); len(line) == 0 {
			break
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			line = append([]byte(">"), line...)
		}
		// An error of writing is that of Flush.
		_, _ = w.Write(append(line, '\n'))
	}
	if err == io.EOF {
		err = nil
	}
	// A blank line ends the message.
	_, werr := w.WriteString("\n")
	return errors.Join(err, werr, w.Flush(), text.Close(), m.Close())
}
