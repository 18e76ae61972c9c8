package digest

import (
	"regexp"
	"sync"
	"time"
)

// Options say what a digest is.
type Options struct {
	Every   time.Duration  // from the first line to the message
	Size    int            // octets of text in a message, at least MinSize
	Match   *regexp.Regexp // only lines that match; nil: all
	Context int            // lines around them
	Now     func() time.Time
}

// What a digest may be.
const (
	MinSize  = 16 << 10
	MaxSize  = 16 << 20
	MinEvery = time.Second
	MaxEvery = 7 * 24 * time.Hour
)

// collector gathers lines. Its methods may be called from several goroutines.
type collector struct {
	o     Options
	began chan struct{} // has a value when there is a first line

	mu    sync.Mutex
	lines *Lines
	pick  selector
	d     *Digest   // nil if there is no line
	note  string    // for the next digest
	now   time.Time // of the chunk
	ended bool
}

func newCollector(o Options) *collector {
	c := &collector{o: o, began: make(chan struct{}, 1), pick: selector{match: o.Match, context: o.Context}}
	c.lines = &Lines{Max: o.Size / 16, Emit: c.line}
	return c
}

// write takes a chunk of the stream.
func (c *collector) write(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.now = c.o.Now()
		c.lines.Write(p)
	}
}

// end takes the end of the stream. What comes later is not taken.
func (c *collector) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.lines.End()
		c.ended = true
	}
}

func (c *collector) line(line []byte) {
	matched := c.pick.take(line, c.keep)
	if matched {
		c.d.Matches++
		c.d.First = first(c.d.First, line)
	}
}

// keep takes a line that shall be in the mail.
func (c *collector) keep(line []byte) {
	if c.d == nil {
		c.d = &Digest{From: c.now}
		select {
		case c.began <- struct{}{}:
		default:
		}
	}
	c.d.To = c.now
	c.d.add(line, c.o.Size)
}

// since is when the first line came; false if there is none.
func (c *collector) since() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.d == nil {
		return time.Time{}, false
	}
	return c.d.From, true
}

// take gives what was gathered, nil if that is nothing. A line that is not
// finished stays for the next digest.
func (c *collector) take() *Digest {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.d
	if d != nil {
		d.note, c.note = c.note, ""
	}
	c.d = nil
	c.pick.pause()
	return d
}

// lost notes what could not be sent, for the next digest.
func (c *collector) lost(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note += text
}
