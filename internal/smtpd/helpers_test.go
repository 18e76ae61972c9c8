package smtpd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// recorder takes every message and remembers it.
type recorder struct {
	mu     sync.Mutex
	got    []string // "sender→recipient NOTIFY ORCPT,…|text", CRLF shown as LF
	refuse map[string]error
	answer error         // instead of 250
	unread bool          // answers without having read
	hold   chan struct{} // Message waits for it
	begun  chan struct{} // told when Message begins
}

func (r *recorder) Mail(_ context.Context, t *Transaction) error { return r.refuse[t.Sender.String()] }
func (r *recorder) Rcpt(_ context.Context, _ *Transaction, to Recipient) error {
	return r.refuse[to.Address.String()]
}
func (r *recorder) Reset() {}
func (r *recorder) Close() {}

func (r *recorder) Message(_ context.Context, t *Transaction, content io.Reader) error {
	if r.begun != nil {
		r.begun <- struct{}{}
		<-r.hold
	}
	if r.unread {
		return r.answer
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if r.answer != nil {
		return r.answer
	}
	var to []string
	for _, one := range t.Recipients {
		to = append(to, strings.TrimSpace(one.Address.String()+" "+one.Notify+" "+one.Original))
	}
	sender := t.Sender.String()
	if t.Null {
		sender = "<>"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, strings.TrimSpace(sender+" "+t.Return+" "+t.EnvelopeID)+"→"+strings.Join(to, ",")+"|"+string(text))
	return Replyf(250, [3]int{2, 0, 0}, "Ok: %d", len(r.got))
}

func testOptions(t testing.TB, h Handler) Options {
	return Options{Host: "client.example", Domain: "client.example", Now: time.Now, MaxRecipients: 100,
		Open: func(Peer) (Handler, error) { return h, nil }, Warn: func(text string) { t.Log(text) }}
}

// talk feeds a whole script to a server, in reads of the size that in gives, and
// returns the replies.
func talk(t testing.TB, o Options, in io.Reader) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s := New(ctx, o)
	defer s.Close()
	var out bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Handle(Stdio(in, &out), Peer{UID: 1})
	}()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("the dialogue does not end")
	}
	return out.String()
}

// codes are the first digits of each reply.
func codes(replies string) string {
	var list []string
	for line := range strings.Lines(replies) {
		if len(line) > 3 && line[3] == ' ' {
			list = append(list, line[:3])
		}
	}
	return strings.Join(list, " ")
}

// splits runs a test with the input whole, octet by octet, and cut in two.
func splits(input string, run func(name string, in io.Reader)) {
	run("whole", strings.NewReader(input))
	run("octets", iotest.OneByteReader(strings.NewReader(input)))
	for i := 1; i < len(input); i++ {
		run(fmt.Sprintf("cut at %d", i), io.MultiReader(strings.NewReader(input[:i]), strings.NewReader(input[i:])))
	}
}

// listen makes a unix socket and a server on it.
func listen(t *testing.T, o Options) (*Server, func() *net.UnixConn) {
	t.Helper()
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(t.Context(), o)
	go s.Serve(t.Context(), l)
	t.Cleanup(func() { l.Close(); s.Close() })
	return s, func() *net.UnixConn {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.(*net.UnixConn)
	}
}
