package relay

import (
	"io"
	"sync"

	"postern/internal/smtp"
)

// pen writes down what became of the messages of a connection whose spool is on
// another host, where that takes some round trips: side by side what is known at the
// same time. The connection goes on meanwhile: the next message, which the server has
// agreed to take, is opened and read. But its last octet goes out only when all is
// durable that the server has answered. So nothing is weaker than without: whatever
// happens, only messages can go twice whose answer was not heard or not written down,
// which is one, or those of the window.
//
// What the server has taken stays taken, whatever comes of writing it down: the
// failures are those of settle, only later. If it could not be written in any way,
// the next message is not sent to its end, or it would fare like the one before.
//
// On this host a removal takes a fraction of a millisecond, and handing it over took
// more than it gained.
//
// It is used by the goroutine of the connection.
type pen struct {
	busy sync.WaitGroup
	mu   sync.Mutex
	err  error
}

// write has something done. It does not wait for it.
func (p *pen) write(work func() error) {
	p.busy.Go(func() {
		if err := work(); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.err = err
		}
	})
}

// wait returns when all is done that was to be written. The error is that something
// could not be.
func (p *pen) wait() error {
	p.busy.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// orderly is a message whose last octet waits for the pen.
type orderly struct {
	smtp.Message
	pen *pen
}

func (o orderly) Open() (io.ReadCloser, error) {
	r, err := o.Message.Open()
	if err != nil {
		return nil, err
	}
	return &orderlyReader{ReadCloser: r, left: o.Size(), pen: o.pen}, nil
}

type orderlyReader struct {
	io.ReadCloser
	left int64
	pen  *pen
}

func (r *orderlyReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.left -= int64(n); r.left > 0 {
		return n, err
	}
	if failed := r.pen.wait(); failed != nil {
		return 0, failed
	}
	return n, err
}
