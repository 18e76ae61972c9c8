package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/spool"
)

const (
	// lease is how long a claim counts that its owner does not renew. It bounds how
	// long the messages of a host that died wait for another.
	lease = 5 * time.Minute
	// lasting is how long a spool on another host stays in reach when we are told
	// to end: a message that was taken is to be kept, a claim given back.
	lasting = 30 * time.Second
)

// queue opens the spool, nil if none is configured. One on another host is
// connected to when it is needed.
func (a *app) queue(cfg *config.Config, r *relay.Relay) (*relay.Queue, error) {
	if cfg.Spool.Dir == "" {
		return nil, nil
	}
	domain := mailDomain(cfg, a.host())
	q := &relay.Queue{Relay: r, Random: rand.Float64, NewID: newID, Domain: domain, Readdress: a.readdress(cfg, domain)}
	var err error
	if cfg.Spool.SFTP.Host == "" {
		q.Spool, err = a.openLocal(cfg, cfg.Spool.Dir)
	} else {
		q.Spool, err = spool.Open(a.remote(cfg), a.spoolOptions(cfg, aliveThere))
	}
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	a.opened.Lock()
	a.queues = append(a.queues, q)
	a.opened.Unlock()
	if dir := cfg.Spool.FallbackDir; dir != "" {
		if q.Fallback, err = a.openLocal(cfg, dir); err != nil {
			a.log.Warning("fallback_dir: " + err.Error())
			a.say("warning: fallback_dir: %v", err)
		}
	}
	return q, nil
}

func newID() string { return random(60) }

func (a *app) openLocal(cfg *config.Config, dir string) (*spool.Spool, error) {
	files, err := spool.OpenLocal(dir)
	if err != nil {
		return nil, err
	}
	return spool.Open(files, a.spoolOptions(cfg, alive))
}

func (a *app) spoolOptions(cfg *config.Config, alive func(spool.Owner) (bool, bool)) spool.Options {
	return spool.Options{Owner: self(), Now: a.now, NewID: newID, Alive: alive,
		Lease: lease, Horizon: cfg.Spool.RetryMax + 24*time.Hour}
}

// remote is the spool on another host.
func (a *app) remote(cfg *config.Config) *spool.SFTP {
	c := &cfg.Spool.SFTP
	o := spool.SFTPOptions{User: c.User, Host: c.Host, Port: c.Port, Dir: c.Path, KnownHosts: c.KnownHosts,
		Identity: c.Identity, Certificate: c.Certificate, ConnectTimeout: c.ConnectTimeout, CommandTimeout: c.CommandTimeout,
		LockDir: a.lockDir(cfg)}
	if c.Passphrase.IsSet() {
		o.Passphrase = c.Passphrase.Read
	}
	if c.Password.IsSet() {
		o.Password = c.Password.Read
	}
	if !a.privileged { // else the caller would choose what we log in with
		o.Agent = a.getenv("SSH_AUTH_SOCK")
	}
	return spool.NewSFTP(a.spools, o, a.now)
}

// lockDir is where the processes of a user find each other.
func (a *app) lockDir(cfg *config.Config) string {
	if dir := a.getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && !a.privileged {
		return filepath.Join(dir, "postern")
	}
	return filepath.Join(a.tempDir(cfg), "postern-"+strconv.Itoa(os.Geteuid()))
}

// spoolContext is how long spools may be used. A person who lists the queue and
// gives up is obeyed at once.
func spoolContext(ctx context.Context, m mode) (context.Context, context.CancelFunc) {
	if m == modeQueueList || m == modeQueueCount {
		return context.WithCancel(ctx)
	}
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lasting, cancel) })
	return hard, func() { stop(); cancel() }
}

// closeQueues gives up what queue has opened.
func (a *app) closeQueues() {
	a.opened.Lock()
	list := slices.Clone(a.queues)
	a.opened.Unlock()
	for _, q := range list {
		a.closeQueue(q)
	}
}

// closeQueue gives one up that nobody uses any more.
func (a *app) closeQueue(q *relay.Queue) {
	a.opened.Lock()
	a.queues = slices.DeleteFunc(a.queues, func(other *relay.Queue) bool { return other == q })
	a.opened.Unlock()
	if err := q.Close(); err != nil {
		a.log.Warning("spool: " + err.Error())
	}
}

// aliveThere is alive for a spool that hosts share. A host that was started anew
// is not told from another one with the same name and machine-id, such as its
// copy, so only a process of the same boot is known.
func aliveThere(o spool.Owner) (isAlive, known bool) {
	if part := strings.Split(string(o), "-"); len(part) != 5 || part[1] != boot() {
		return false, false
	}
	return alive(o)
}

// sayWeaker tells what the host of the spool does not let us promise. If it
// cannot be asked, those who need it more have told.
func (a *app) sayWeaker(q *relay.Queue) {
	list, _ := q.Spool.Weaker()
	for _, w := range list {
		a.say("the spool's host: %s", w)
	}
}

// logWeaker is sayWeaker for the log; it is false if the host cannot be asked now.
func (a *app) logWeaker(q *relay.Queue) bool {
	list, err := q.Spool.Weaker()
	for _, w := range list {
		a.log.Warning("the spool's host: " + w)
	}
	return err == nil
}
