package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/smtpd"
)

const (
	// callTime is how long a caller of the service may keep it waiting for a command,
	// a line of content, or to read an answer (RFC 5321 4.5.3.2.7).
	callTime = 5 * time.Minute
	// wholeTime is how long a caller may go on without a message that is taken, beside
	// the time for content that comes.
	wholeTime = 15 * time.Minute
	// drainTime is how long messages may take that are under way when the service is
	// told to stop.
	drainTime = 20 * time.Second
	// serviceInterval is how often the queue is run at least.
	serviceInterval = 15 * time.Minute
)

// service takes messages from every user of the host, keeps them, and runs the
// queue.
type service struct {
	a       *app
	o       *options
	current inForce
	arrived chan struct{}                      // something is in the queue
	endRun  atomic.Pointer[context.CancelFunc] // of the run of the queue that is under way
	rates   *rates
	first   *config.Config // [service] and [log] of it stay while it runs
}

// service is -bD, and -bd, which has another process do it.
func (a *app) service(ctx context.Context, o *options) int {
	if a.privileged {
		return a.fail(exNoPerm, errors.New("the service cannot be started with more rights than the caller's"))
	}
	if o.detach {
		return a.detachService(ctx, o)
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	signal.Ignore(syscall.SIGPIPE) // whoever started us may be gone
	cfg, status := a.load(o)
	if cfg == nil {
		return status
	}
	v := &service{a: a, o: o, current: inForce{close: a.closeQueue}, arrived: make(chan struct{}, 1), first: cfg,
		rates: &rates{now: a.now, users: make(map[int]*allowance)}}
	if err := v.use(cfg); err != nil {
		return a.fail(statusOfService(err), err)
	}
	list, err := a.listen(&cfg.Service, os.Getpid())
	if err != nil {
		return a.fail(exOSErr, fmt.Errorf("the service cannot listen: %w", err))
	}
	return v.serve(ctx, list, again)
}

// errNoSpool is a configuration that the service cannot work with.
var errNoSpool = errors.New(`the service keeps what it takes: add [spool] with dir = "/var/spool/postern" to the configuration`)

func statusOfService(err error) int {
	if errors.Is(err, errNoSpool) {
		return exConfig
	}
	return exCantCreate
}

// use puts a configuration into force.
func (v *service) use(cfg *config.Config) error {
	if cfg.HandOver || cfg.Spool.Dir == "" {
		return errNoSpool
	}
	r := v.a.relay(cfg, nil)
	q, err := v.a.queue(cfg, r)
	if err != nil {
		return err
	}
	w := &outlet{a: v.a, cfg: cfg, mode: 'q', relay: r, queue: q}
	w.put = w.keepIn
	v.current.set(w)
	return nil
}

// serve works until ctx ends, then finishes what is under way.
func (v *service) serve(ctx context.Context, list []net.Listener, again <-chan os.Signal) int {
	// Dialogues outlive ctx by drainTime.
	open, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	s := smtpd.New(open, smtpd.Options{Host: v.a.host(), Domain: mailDomain(v.first, v.a.host()), Now: v.a.now,
		Timeout: callTime, Whole: wholeTime, MaxRecipients: maxRecipients, MaxSize: v.first.Service.MaxSize, MaxConnections: v.first.Service.MaxConnections,
		MaxPerUser: v.first.Service.UserConnections, Open: v.open, Warn: v.a.log.Warning})
	var work sync.WaitGroup
	work.Go(func() { v.runQueue(ctx) })
	for _, l := range list {
		work.Go(func() { s.Serve(ctx, l) })
	}
	n := v.a.notifier(os.Getpid())
	n.tell("READY=1")
	v.wait(ctx, n, again)
	n.tell("STOPPING=1")
	closeAll(list)
	stopping, cancel := context.WithTimeout(open, drainTime)
	defer cancel()
	if !s.Stop(stopping) {
		v.a.log.Warning("some callers had to be cut off; what they were not told of was not taken")
	}
	_ = s.Close() // all there is to close is being left
	work.Wait()
	return exOK
}

// wait looks after the service until ctx ends.
func (v *service) wait(ctx context.Context, n *notifier, again <-chan os.Signal) {
	tick, stop := n.alive()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
			n.reloading()
			v.reload()
			n.tell("READY=1")
		case <-tick:
			n.tell("WATCHDOG=1")
		}
	}
}

// reload takes a new configuration, or stays with the old one and says why.
func (v *service) reload() {
	cfg, err := config.Load(config.Source{Explicit: v.o.config, Getenv: v.a.getenv})
	if err == nil {
		err = v.use(cfg)
	}
	if err != nil {
		v.a.log.Warning("the old configuration stays in force: " + err.Error())
		return
	}
	for _, w := range cfg.Warnings {
		v.a.log.Warning(w)
	}
	if was, is := v.first.Service, cfg.Service; was.Socket != is.Socket || was.Listen != is.Listen || was.MaxSize != is.MaxSize ||
		was.MaxConnections != is.MaxConnections || was.UserConnections != is.UserConnections {
		v.a.log.Warning("[service]: what has changed there but user_rate comes into force when the service is restarted")
	}
	if v.first.Log != cfg.Log {
		v.a.log.Warning("[log]: what has changed there comes into force when the service is restarted")
	}
	// What arrives from now on is not for a run by the old one.
	if end := v.endRun.Load(); end != nil {
		(*end)()
	}
	v.wake()
}

// wake has the queue run now.
func (v *service) wake() {
	select {
	case v.arrived <- struct{}{}:
	default: // it will, and sees all that was kept before
	}
}

// runQueue runs the queue when something arrived and when something is due.
func (v *service) runQueue(ctx context.Context) {
	said := ""
	for {
		var wait time.Duration
		if wait, said = v.runOnce(ctx, said); ctx.Err() != nil {
			return
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-v.arrived:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// runOnce gives the time to the next run, and what is wrong, which is not said
// again and again.
func (v *service) runOnce(ctx context.Context, said string) (wait time.Duration, wrong string) {
	one, end := context.WithCancel(ctx)
	defer end()
	v.endRun.Store(&end) // before the configuration is looked at, which may change now
	out := v.current.use()
	defer v.current.done(out)
	_, err := out.queue.Run(one, relay.RunOptions{DueOnly: true})
	if ctx.Err() != nil {
		return 0, said
	}
	v.a.noteSpool(out.queue, false)
	if err == nil && !out.asked {
		out.asked = v.a.logWeaker(out.queue)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		wrong = "queue run: " + err.Error()
	}
	if wrong != said && wrong != "" {
		v.a.log.Warning(wrong)
	}
	return v.a.untilNext(out.queue, cmp.Or(v.o.interval, serviceInterval)), wrong
}
