package smtp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// raceDelay is how long an address may take before the next one is tried beside
// it (RFC 8305 5).
const raceDelay = 250 * time.Millisecond

// dialer connects from the address that is set.
func (cfg Config) dialer() (*net.Dialer, error) {
	d := &net.Dialer{Timeout: cfg.connectTimeout(), KeepAlive: -1}
	source, err := cfg.source()
	if source != nil {
		d.LocalAddr = source
	}
	return d, err
}

// race connects to the first address that answers. Each next address starts
// after raceDelay, or as soon as all that were started have failed. It returns
// the addresses that it did not start, for a server that then proves useless.
func (cfg Config) race(ctx context.Context, addrs []netip.Addr, port int) (net.Conn, []netip.Addr, error) {
	d, err := cfg.dialer()
	if err != nil {
		return nil, nil, err
	}
	connect := func(to netip.Addr) dialled {
		conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(to, uint16(port)).String())
		return dialled{conn, err}
	}
	if len(addrs) == 1 {
		r := connect(addrs[0])
		return r.conn, nil, r.err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialled)
	started, running := 0, 0
	timer := time.NewTimer(raceDelay)
	defer timer.Stop()
	next := func() {
		if started == len(addrs) || ctx.Err() != nil && started > 0 {
			return
		}
		to := addrs[started]
		started, running = started+1, running+1
		timer.Reset(raceDelay)
		go func() { results <- connect(to) }()
	}
	var failures []error
	for next(); running > 0; {
		select {
		case r := <-results:
			running--
			if r.err == nil {
				go closeLate(results, running)
				return r.conn, addrs[started:], nil
			}
			failures = append(failures, r.err)
			if running == 0 {
				next()
			}
		case <-timer.C:
			next()
		}
	}
	return nil, nil, errors.Join(failures...)
}

// dialled is what became of one address.
type dialled struct {
	conn net.Conn
	err  error
}

// closeLate closes those that lost the race.
func closeLate(results <-chan dialled, running int) {
	for range running {
		if late := <-results; late.err == nil {
			late.conn.Close()
		}
	}
}
