package smtpd

import (
	"context"
	"io"
	"strings"
	"testing"
)

// late answers a message that broke off only when the next one has begun, or the
// dialogue is over.
type late struct {
	recorder
	next, over chan struct{}
}

func (l *late) Message(ctx context.Context, t *Transaction, content io.Reader) error {
	if t.Sender.Local == "second" {
		close(l.next)
		<-l.over // until the first is answered, or nothing more comes
		return l.recorder.Message(ctx, t, content)
	}
	_, err := io.ReadAll(content)
	select {
	case <-l.next:
	case <-ctx.Done():
	}
	defer close(l.over)
	return err
}

// The answer to a message that was broken off is never that of the next: who is
// told 451 sends again what was taken.
func TestBrokenOff(t *testing.T) {
	l := &late{next: make(chan struct{}), over: make(chan struct{})}
	out := talk(t, testOptions(t, l), strings.NewReader("EHLO x\r\n"+
		"MAIL FROM:<first@x>\r\nRCPT TO:<a@x>\r\nBDAT 3\r\nabcRSET\r\n"+
		"MAIL FROM:<second@x>\r\nRCPT TO:<a@x>\r\nBDAT 3 LAST\r\nabcNOOP\r\n"))
	if good := strings.Count(out, "250 2.0.0 Ok: "); good != len(l.got) {
		t.Errorf("%d messages taken, %d good answers\n%s", len(l.got), good, out)
	}
}

// What may follow a message that was broken off: all but chunks.
func TestTransfer(t *testing.T) {
	for _, c := range []struct {
		name   string
		dialog [][2]string // a command and its reply
		last   string      // the command that is asked about
		want   bool
	}{
		{"chunks of one message", [][2]string{{"BDAT 1", "250"}, {"BDAT 1", "250"}}, "BDAT 0 LAST", true},
		{"two messages", [][2]string{{"BDAT 1", "250"}, {"bdat 1 last", "250"}}, "BDAT 1", true},
		// The handler has answered, it is not under way any more.
		{"refused at its end", [][2]string{{"BDAT 1", "250"}, {"BDAT 1 LAST", "451"}}, "BDAT 1", true},
		{"refused at once", [][2]string{{"BDAT 1", "554"}}, "BDAT 1", true},
		{"without recipients", [][2]string{{"BDAT 1", "502"}, {"RSET", "250"}}, "BDAT 1", true},
		{"RSET", [][2]string{{"BDAT 1", "250"}, {"rset", "250"}}, "BDAT 1", false},
		{"RSET right behind", [][2]string{{"BDAT 1", "250"}}, "RSET", true},
		{"EHLO", [][2]string{{"BDAT 1", "250"}, {"EHLO x", "250"}, {"MAIL FROM:<>", "250"}}, "BDAT 1 LAST", false},
		{"a chunk too large", [][2]string{{"BDAT 1", "250"}, {"BDAT 99", "552"}}, "BDAT 1", false},
		{"the last chunk too large", [][2]string{{"BDAT 1", "250"}, {"BDAT 99 LAST", "552"}}, "BDAT 1", false},
		{"DATA next", [][2]string{{"BDAT 1", "250"}, {"RSET", "250"}}, "DATA", true},
	} {
		var tr transfer
		code := "220"
		for _, step := range c.dialog {
			if !tr.next([]byte(step[0]), code) {
				t.Errorf("%s: %s is kept back", c.name, step[0])
			}
			code = step[1]
		}
		if got := tr.next([]byte(c.last), code); got != c.want {
			t.Errorf("%s: %v for %s", c.name, got, c.last)
		}
	}
}
