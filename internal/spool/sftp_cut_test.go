package spool_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"postern/internal/spool"
	"postern/internal/spooltest"
)

// cutter cuts the connection at one packet.
type cutter struct {
	server *spooltest.SFTPServer
	on     atomic.Bool
	away   bool // and nobody can connect again
	at     int32
	n      atomic.Int32
}

func (c *cutter) packet(bool, []byte) bool {
	if !c.on.Load() || c.n.Add(1)-1 != c.at {
		return true
	}
	c.server.Away.Store(c.away)
	return false
}

// TestSFTPCut cuts the connection at each packet of each operation, before the
// server has it and before the client has the answer. When the server can be
// reached again at once, the operation is done, and says so. When it is away for
// good nothing is half done.
func TestSFTPCut(t *testing.T) {
	var claiming int32 // packets that the others begin with
	synctest.Test(t, func(t *testing.T) { claiming = named("claim").packets(t) })
	for name, from := range map[string]int32{"publish": 0, "claim": 0, "recover": 0, "note an answer": claiming,
		"save and release": claiming, "hold": claiming, "finish": claiming} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s away=%v", name, away), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					for n := from; named(name).survives(t, away, n); n++ {
					}
				})
			})
		}
	}
}

func named(name string) scenario {
	all := append(scenarios(), recovering())
	return all[slices.IndexFunc(all, func(sc scenario) bool { return sc.name == name })]
}

// packets is how many the operation takes.
func (sc scenario) packets(t *testing.T) int32 {
	c := &cutter{at: -1}
	err := sc.under(t, c)
	c.server.Stop()
	if err != nil {
		t.Fatal(err)
	}
	return c.n.Load()
}

// under does the operation while c counts the packets.
func (sc scenario) under(t *testing.T, c *cutter) error {
	c.server = spooltest.NewSFTPServer(t)
	c.server.Fsync, c.server.Packet = true, c.packet
	f := c.server.Open(t)
	defer f.Close()
	u := mustOpen(t, f, "worker")
	if err := sc.before(u); err != nil {
		t.Fatal(err)
	}
	c.on.Store(true)
	err := sc.act(u)
	c.on.Store(false)
	c.server.Away.Store(false)
	return err
}

// survives cuts at packet n; false if there are fewer.
func (sc scenario) survives(t *testing.T, away bool, n int32) bool {
	c := &cutter{away: away, at: n}
	err := sc.under(t, c)
	defer c.server.Stop()
	why := fmt.Sprintf("cut at packet %d (%v)", n, err)
	allowed := sc.done
	switch {
	case err == nil:
	case away || errors.Is(err, spool.ErrInDoubt):
		allowed = sc.cut
	default:
		allowed = sc.failed
	}
	if err != nil && !away && sc.name != "publish" { // a draft has to be written anew
		t.Errorf("%s: the server was there again at once", why)
	}
	g := c.server.Open(t)
	defer g.Close()
	if got, err := recovered(g); err != nil || !slices.Contains(allowed, got) {
		t.Errorf("%s: found %q %v, not one of %q", why, got, err, allowed)
	}
	return c.n.Load() > n
}

// A publication whose answer was lost, and whose message somebody has sent since,
// has taken place.
func TestSFTPLostAnswerMovedOn(t *testing.T) {
	server := spooltest.NewSFTPServer(t)
	other := mustOpen(t, server.Open(t), "other")
	var rename atomic.Value // the id of the request
	rename.Store("")
	cuts := 0
	server.Packet = func(request bool, data []byte) bool {
		id, text := string(data[5:9]), string(data[9:])
		if request && strings.Contains(text, "mail/tmp/") && strings.Contains(text, "mail/queue/") {
			rename.Store(id)
		}
		if request || rename.Load() != id || cuts > 0 {
			return true
		}
		rename.Store("")
		c, err := other.claim()
		if err == nil {
			err = c.Finish()
		}
		if err != nil {
			t.Error(err)
		}
		cuts++
		return false
	}
	if err := published(mustOpen(t, server.Open(t), "worker")); err != nil || cuts != 1 {
		t.Errorf("%v, %d cuts", err, cuts)
	}
}
