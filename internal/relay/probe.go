package relay

import (
	"context"
	"sync"

	"postern/internal/smtp"
)

// sideBySide drains over n connections. The first is the probe: what it meets all
// would meet, a host that is away, one that sends everybody off, an account that is
// refused. So the others are opened only when it has come past that. They need not
// wait for all of it: a server that has greeted is there, and if nothing is to be
// proved to it they connect then, and hear their greeting while the probe says
// hello. Nothing is said on them before the probe is ready.
func (l *lane) sideBySide(ctx, hard context.Context, n int) {
	dialling, cancel := context.WithCancel(hard)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	ready := make(chan struct{})
	others := sync.OnceFunc(func() {
		l.count(n-1, false)
		for range n - 1 {
			wg.Go(func() {
				defer l.count(-1, false)
				if c := l.another(dialling, ready); c != nil {
					l.connection(ctx, hard, c)
				}
			})
		}
	})
	l.count(1, false)
	defer l.count(-1, false)
	cfg := l.r.q.Relay.SMTP(l.host)
	if !cfg.WantsLogin() && cfg.TLS != smtp.Required {
		cfg.Greeted = func(context.Context) { others() }
	}
	probe, err := smtp.Dial(hard, cfg)
	if err != nil {
		l.fail(err)
		cancel()
		return
	}
	close(ready)
	others()
	l.connection(ctx, hard, probe)
}

// another is a connection beside the probe, nil if it does not come about: then the
// others do its work, or the probe has told why not.
func (l *lane) another(ctx context.Context, probe <-chan struct{}) *smtp.Client {
	if l.empty() {
		return nil
	}
	cfg := l.r.q.Relay.SMTP(l.host)
	cfg.Greeted = func(ctx context.Context) {
		select {
		case <-probe:
		case <-ctx.Done():
		}
	}
	c, err := smtp.Dial(ctx, cfg)
	if err != nil {
		return nil
	}
	return c
}
