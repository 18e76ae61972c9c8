package cli

import (
	"os"
	"testing"

	"postern/internal/config"
	"postern/internal/smtpd"
)

// The spool of a configuration that another took the place of is closed when its
// last dialogue has ended, and that of the one in force never.
func TestReloadClosesSpools(t *testing.T) {
	st := newStation(t, "")
	st.stop()
	a := st.app(nil)
	cfg, err := config.Load(config.Source{Explicit: st.path("c.toml")})
	if err != nil {
		t.Fatal(err)
	}
	v := &service{a: a, current: inForce{close: a.closeQueue}}
	use := func(want int) {
		t.Helper()
		if err := v.use(cfg); err != nil {
			t.Fatal(err)
		}
		if len(a.queues) != want {
			t.Errorf("%d spools are open, want %d", len(a.queues), want)
		}
	}
	use(1)
	use(1)
	h, err := v.open(smtpd.Peer{UID: os.Getuid()})
	if err != nil {
		t.Fatal(err)
	}
	other, err := v.open(smtpd.Peer{UID: os.Getuid()})
	if err != nil {
		t.Fatal(err)
	}
	use(2)
	use(2)
	h.Close()
	h.Close() // go-smtp may say it twice
	if len(a.queues) != 2 {
		t.Error("closed while in use")
	}
	other.Close()
	if len(a.queues) != 1 || a.queues[0] != v.current.out.queue {
		t.Errorf("%d spools are open", len(a.queues))
	}
	h, err = v.open(smtpd.Peer{UID: os.Getuid()})
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	if len(a.queues) != 1 {
		t.Error("the one in force was closed")
	}
	use(1)
}
