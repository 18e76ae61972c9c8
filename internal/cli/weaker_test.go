package cli

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/maillog"
	"postern/internal/relay"
	"postern/internal/spool"
	"postern/internal/spooltest"
)

// What a spool's host does not let us promise is logged when it is first reached,
// which may be long after the start, and once.
func TestWeakerIsLoggedLater(t *testing.T) {
	server := spooltest.NewSFTPServer(t)
	server.Away.Store(true)
	path := t.TempDir() + "/log"
	a := &app{now: time.Now, getenv: func(string) string { return "" }, host: func() string { return "h" }, log: maillog.Open(maillog.Options{To: path, Now: time.Now})}
	defer a.log.Close()
	cfg, err := config.Parse("[smarthost]\nhost = \"h.example\"\n")
	if err != nil {
		t.Fatal(err)
	}
	var later time.Duration // a host that was away is not asked again at once
	now := func() time.Time { return time.Now().Add(later) }
	s, err := spool.Open(spool.NewSFTP(context.Background(), server.Options(), now), spool.Options{Owner: self(), Now: time.Now, NewID: newID, Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v := &service{a: a, o: &options{}}
	v.current.set(&outlet{a: a, cfg: cfg, queue: &relay.Queue{Spool: s, Relay: a.relay(cfg, nil), NewID: newID, Random: func() float64 { return 0 }}})
	logged := func() int {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "the spool's host")
	}
	_, said := v.runOnce(t.Context(), "")
	if said == "" || logged() != 0 {
		t.Errorf("%q, %d lines", said, logged())
	}
	server.Away.Store(false)
	later = time.Hour
	_, said = v.runOnce(t.Context(), said)
	n := logged()
	if v.runOnce(t.Context(), ""); said != "" || n == 0 || logged() != n {
		t.Errorf("%q, %d lines, then %d", said, n, logged())
	}
}
