package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"
	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/spool"
)

// openQueue is queue for the commands that look at it or run it. Without any
// configuration there is no spool, and so nothing in it.
func (a *app) openQueue(o *options, trace func(byte, string)) (*config.Config, *relay.Queue, int) {
	cfg, err := a.configure(o)
	usual := errors.Is(err, fs.ErrPermission) && o.mode != modeQueueRun
	if usual {
		cfg, err = a.usualSpool(err)
	}
	if theirs, _ := a.handOver(o, err); theirs != nil {
		a.fail(exNoPerm, err)
		return nil, nil, a.fail(exNoPerm, errors.New("the queue is the submission service's: ask root, or a member of its group, to look at it"))
	}
	if errors.Is(err, config.ErrNoConfig) {
		return &config.Config{}, nil, exOK
	}
	if err != nil {
		return nil, nil, a.fail(exConfig, err)
	}
	if _, err := os.Stat(cfg.Spool.Dir); filepath.IsAbs(cfg.Spool.Dir) && errors.Is(err, fs.ErrNotExist) {
		return cfg, nil, exOK // the first message makes it
	}
	q, err := a.queue(cfg, a.relay(cfg, trace))
	if err != nil {
		return nil, nil, a.fail(exCantCreate, err)
	}
	return cfg, q, exOK
}

// usualSpool stands in for a configuration that the user may not read, since it
// has a password, when he only wants to see or order the queue. It needs a spool
// at the usual place, or where he says.
func (a *app) usualSpool(err error) (*config.Config, error) {
	dir := "/var/spool/postern"
	if given := a.getenv("POSTERN_SPOOL"); !a.privileged && filepath.IsAbs(given) {
		dir = given
	}
	d, serr := os.Open(dir)
	if serr != nil {
		return nil, fmt.Errorf("%w\nso it is not known where the spool is, and in %s there is none to be read; name it with POSTERN_SPOOL", err, dir)
	}
	_ = d.Close() // it was only looked at
	return &config.Config{Spool: config.Spool{Dir: dir}}, nil
}

// runQueue is -q: once, or again and again until it is told to stop.
func (a *app) runQueue(ctx context.Context, o *options) int {
	trace, done, err := a.tracer(o)
	if err != nil {
		return a.fail(exIOErr, err)
	}
	defer done()
	cfg, q, status := a.openQueue(o, trace)
	if q == nil {
		return status // without a spool there is nothing to do
	}
	told := a.logWeaker(q)
	finish := a.showProgress(q)
	for {
		p, err := q.Run(ctx, relay.RunOptions{DueOnly: o.dueOnly || o.interval > 0, Match: matcher(o.filters)})
		finish(p)
		a.noteSpool(q, o.interval == 0)
		if o.interval == 0 || ctx.Err() != nil {
			return a.runEnded(cfg, o, err)
		}
		if err != nil {
			a.log.Warning("queue run: " + err.Error())
		} else if !told { // it was away before
			told = a.logWeaker(q)
		}
		if !pause(ctx, a.untilNext(q, o.interval)) {
			return exOK
		}
	}
}

// runEnded is the status of a run. Mail that waits is no failure: it is kept,
// and mailq has the reason. A spool that cannot be used is one.
func (a *app) runEnded(cfg *config.Config, o *options, err error) int {
	var away *relay.AwayError
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return exOK
	case !errors.As(err, &away):
		a.log.Warning("queue run: " + err.Error())
		return a.fail(exOSErr, err)
	case o.dueOnly: // nobody is there to read it
		a.log.Warning("queue run: " + err.Error())
		return exOK
	}
	a.say("the queue waits: %s", strings.TrimPrefix(err.Error(), "smtp: "))
	if h := hint(cfg, err); h != "" {
		a.say("%s", h)
	}
	return exOK
}

// lookAgain is how long a runner sleeps at most: what others put into the queue
// meanwhile may be due before the interval has passed.
const lookAgain = time.Minute

// untilNext is how long a runner may sleep: until the next message is due, and no
// longer than the interval. What is due and still there could not be tried now.
func (a *app) untilNext(q *relay.Queue, interval time.Duration) time.Duration {
	wait := min(interval, lookAgain)
	entries, _, err := q.Spool.List("queue")
	if err != nil {
		return wait
	}
	for _, e := range entries { // sorted by time
		if left := e.Due.Sub(a.now()); left > 0 {
			return max(min(wait, left), time.Second)
		}
	}
	return wait
}

// pause waits; it is false if ctx ended it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// showProgress draws a line at a terminal while a run goes on.
func (a *app) showProgress(q *relay.Queue) (finish func(relay.Progress)) {
	f, ok := a.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(relay.Progress) {}
	}
	line := func(p relay.Progress, end string) {
		// A terminal that is gone has nobody to tell.
		_, _ = fmt.Fprintf(f, "\r%d sent, %d waiting, %d failed, %d to go%s", p.Sent, p.Deferred, p.Failed, p.Left, end)
	}
	q.Progress = func(p relay.Progress) { line(p, "\x1b[K") }
	return func(p relay.Progress) { line(p, "\x1b[K\n") }
}

// matcher selects messages as -qI, -qR and -qS say; nil selects all.
func matcher(filters []filter) func(id string, s *spool.State) bool {
	if len(filters) == 0 {
		return nil
	}
	return func(id string, s *spool.State) bool {
		for _, f := range filters {
			if f.matches(id, s) == f.not {
				return false
			}
		}
		return true
	}
}

// filter is one of -q[!]I, -q[!]R, -q[!]S: a piece of the id, of a recipient, or
// of the sender.
type filter struct {
	not  bool
	kind byte
	text string
}

func (f filter) matches(id string, s *spool.State) bool {
	switch f.kind {
	case 'I':
		return strings.Contains(id, f.text)
	case 'S':
		return strings.Contains(s.Sender, f.text)
	}
	for _, r := range s.Recipients {
		if strings.Contains(r.Address, f.text) {
			return true
		}
	}
	return false
}
