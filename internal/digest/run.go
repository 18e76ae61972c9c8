package digest

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Fate is what became of a digest.
type Fate int

const (
	Accepted Fate = iota // sent, or kept on stable storage
	Later                // not now: it is tried again
	Refused              // not ever
)

// Runner makes digests of a stream and has them sent.
type Runner struct {
	Options
	In  io.Reader
	Tee io.Writer // gets the stream as it comes; may be nil
	// After is time.After.
	After func(time.Duration) <-chan time.Time
	// Grace is how long the end of the stream is waited for once ctx is done: a
	// program that ends with us may have a last word.
	Grace time.Duration
	// Send sends a digest; the text is why it was not accepted. last says that
	// there is no other try. The same digest comes again after Later.
	Send func(d *Digest, last bool) (Fate, string)
	// Tell is for people who look at what is going on.
	Tell func(text string)

	c       *collector
	pending *Digest // could not be sent yet
	tries   int
	result  Result
}

// Result is how it ended.
type Result struct {
	Lost int64 // lines that were not sent
	Read error // of the stream, nil at its end
	Tee  error // of passing it on
}

// Run reads the stream until it ends or ctx is done, and sends what is left.
func (r *Runner) Run(ctx context.Context) Result {
	r.c = newCollector(r.Options)
	ended := make(chan error, 1)
	go func() { ended <- r.read() }()
	var timer <-chan time.Time
	for {
		select {
		case <-r.c.began:
			if timer == nil {
				timer = r.next()
			}
		case <-timer:
			r.flush(false)
			timer = r.next()
		case err := <-ended:
			r.result.Read = err
			return r.finish()
		case <-ctx.Done():
			select {
			case r.result.Read = <-ended:
			case <-r.After(r.Grace):
			}
			return r.finish()
		}
	}
}

// read passes the stream on and gathers it, until its end.
func (r *Runner) read() error {
	chunk := make([]byte, 64<<10)
	tee := r.Tee
	for idle := 0; ; {
		n, err := r.In.Read(chunk)
		if n > 0 && tee != nil {
			if _, err := tee.Write(chunk[:n]); err != nil {
				r.c.mu.Lock()
				r.result.Tee = err
				r.c.mu.Unlock()
				r.Tell("--tee: " + err.Error() + "; the stream is not passed on any more")
				tee = nil
			}
		}
		r.c.write(chunk[:n])
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				return io.ErrNoProgress
			}
		}
	}
}

// next is a timer for what comes next: another try, or the next digest.
func (r *Runner) next() <-chan time.Time {
	if r.pending != nil {
		wait := time.Minute << min(r.tries-1, 5)
		return r.After(min(wait, r.Every, 15*time.Minute))
	}
	from, ok := r.c.since()
	if !ok {
		return nil
	}
	return r.After(max(0, r.Every-r.Now().Sub(from)))
}

// flush sends what waits and, if its time has come, what was gathered.
func (r *Runner) flush(last bool) {
	if r.pending != nil && !r.try(r.pending, last) {
		return
	}
	from, ok := r.c.since()
	if !ok || !last && r.Now().Sub(from) < r.Every {
		return
	}
	if d := r.c.take(); d != nil {
		r.try(d, last)
	}
}

// try sends a digest; it is false if nothing else should be tried now.
func (r *Runner) try(d *Digest, last bool) bool {
	again := r.pending != nil
	r.pending = nil
	fate, reason := r.Send(d, last)
	switch {
	case fate == Accepted:
		r.tries = 0
		return true
	case fate == Later && !last:
		r.pending = d
		r.tries++
		if !again {
			r.Tell(fmt.Sprintf("%s waits to be sent: %s", span(d), reason))
		}
		return false
	}
	r.tries = 0
	r.result.Lost += d.Lines
	text := span(d) + " could not be sent and is lost: " + reason
	r.Tell(text)
	r.c.lost("[... " + text + " ...]\n\n")
	return fate == Refused
}

// span names a digest.
func span(d *Digest) string {
	const form = "2006-01-02 15:04:05"
	return fmt.Sprintf("the digest from %s to %s (lines: %d)", d.From.Format(form), d.To.Format(form), d.Lines)
}

// finish sends what is left. If one digest cannot be sent the next is not tried:
// whoever ends us does not wait for long.
func (r *Runner) finish() Result {
	r.c.end()
	r.flush(true)
	if d := r.c.take(); d != nil {
		r.result.Lost += d.Lines
		r.Tell(span(d) + " could not be sent and is lost")
	}
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.result
}
