package relay

import (
	"io"
	"sync"

	"postern/internal/smtp"
)

// pen writes down, one after the other, what became of the messages of a
// connection whose spool is on another host, where that takes some round trips.
// The connection goes on meanwhile: the next message, which the server has agreed to
// take, is opened and read. But its last octet goes out only when all is durable
// that the server has answered. So nothing is weaker than without: whatever happens,
// only messages can go twice whose answer was not heard or not written down, which is
// one, or those of the window.
//
// What the server has taken stays taken, whatever comes of writing it down: the
// failures are those of settle, only later. If it could not be written in any way,
// the next message is not sent to its end, or it would fare like the one before.
//
// On this host a removal takes a fraction of a millisecond, and handing it over took
// more than it gained.
type pen struct {
	mu   sync.Mutex
	todo []func() error
	busy chan struct{} // closed when all is done; nil if there is nothing to do
	err  error
}

// write has something done. It does not wait for it.
func (p *pen) write(work func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.todo = append(p.todo, work)
	if p.busy == nil {
		p.busy = make(chan struct{})
		go p.work(p.busy)
	}
}

func (p *pen) work(busy chan struct{}) {
	defer close(busy)
	for {
		do := p.next()
		if do == nil {
			return
		}
		if err := do(); err != nil {
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
		}
	}
}

func (p *pen) next() (do func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.todo) == 0 {
		p.busy = nil
		return nil
	}
	do, p.todo = p.todo[0], p.todo[1:]
	return do
}

// wait returns when all is done that was to be written. The error is that something
// could not be.
func (p *pen) wait() error {
	p.mu.Lock()
	busy := p.busy
	p.mu.Unlock()
	if busy != nil {
		<-busy
	}
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
