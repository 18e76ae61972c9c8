package smtptest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// link is one connection through a Proxy, done is closed at its end.
type link struct {
	p              *Proxy
	client, server net.Conn
	done           chan struct{}
	once           sync.Once

	mu    sync.Mutex
	heard bool // the server spoke last
	asked bool // the client spoke last
}

func (l *link) cut() {
	l.once.Do(func() {
		close(l.done)
		l.client.Close()
		l.server.Close()
	})
}

// turn counts a change of direction, as the client sees it.
func (l *link) turn(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p.mu.Lock()
	if up && l.heard {
		l.p.turnarounds++
	}
	if !up && l.asked {
		l.p.answers++
	}
	l.p.mu.Unlock()
	l.heard, l.asked = !up, up
}

// parcel is what was read at a time, and when it arrives. The last one has none.
type parcel struct {
	data []byte
	due  time.Time
}

// lane is one direction of a link. Reading and writing are apart, so that the
// delay does not limit the throughput.
type lane struct {
	link     *link
	from, to net.Conn
	up       bool
	queue    chan parcel

	passed int64
	tail   []byte // the end of what passed, for a text in several segments
}

// read queues what comes in, until there is no more.
func (l *lane) read() {
	defer close(l.queue)
	buf := make([]byte, 64<<10)
	for {
		n, err := l.from.Read(buf)
		if n > 0 {
			if l.up { // the client's end of the line: it sends now
				l.link.turn(true)
			}
			select {
			case l.queue <- parcel{bytes.Clone(buf[:n]), l.due()}:
			case <-l.link.done:
				return
			}
		}
		if errors.Is(err, io.EOF) {
			select {
			case l.queue <- parcel{due: l.due()}:
			case <-l.link.done:
			}
			return
		}
		if err != nil {
			l.link.cut()
			return
		}
	}
}

func (l *lane) due() time.Time { return time.Now().Add(l.link.p.o.RoundTrip / 2) }

// write delivers parcels when they are due. That it waits is the length of the
// line, the very thing that this models; nothing else here sleeps.
func (l *lane) write() {
	for parcel := range l.queue {
		select {
		case <-time.After(time.Until(parcel.due)):
		case <-l.link.done:
			return
		}
		if l.link.p.isStalled() {
			<-l.link.done
			return
		}
		if parcel.data == nil {
			if to, ok := l.to.(interface{ CloseWrite() error }); ok {
				to.CloseWrite()
			}
			return
		}
		if !l.deliver(parcel.data) {
			l.link.cut()
			return
		}
	}
}

// deliver reports whether the link goes on.
func (l *lane) deliver(data []byte) bool {
	data, last := l.limit(data)
	if len(data) == 0 {
		return !last
	}
	if !l.up {
		l.link.turn(false) // before the client can react to it
	}
	_, err := l.to.Write(data)
	return err == nil && !last
}

// limit is what of data may pass, and whether the cut comes then.
func (l *lane) limit(data []byte) (pass []byte, last bool) {
	o := l.link.p.o
	if !l.up {
		begin, _, found := l.find(data, o.CutBefore)
		return data[:begin], found
	}
	_, end, last := l.find(data, o.CutAfter)
	if rest := o.CutAfterClientBytes - l.passed; o.CutAfterClientBytes > 0 && int64(end) >= rest {
		end, last = int(rest), true
	}
	l.passed += int64(end)
	return data[:end], last
}

// find is where in data a text begins and ends that may have begun earlier; the
// end of data, if it is not there.
func (l *lane) find(data []byte, text string) (begin, end int, found bool) {
	if text == "" {
		return len(data), len(data), false
	}
	before := len(l.tail)
	all := append(l.tail, data...)
	if i := bytes.Index(all, []byte(text)); i >= 0 {
		return max(0, i-before), i + len(text) - before, true
	}
	l.tail = bytes.Clone(all[max(0, len(all)-len(text)+1):])
	return len(data), len(data), false
}

func (p *Proxy) isStalled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stalled
}
