package cli

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/smtp"
)

// A list with an owner is two messages; if the second cannot be kept, the first is
// not either, and a run of the queue meanwhile has not sent it.
func TestKeepAllOrNothing(t *testing.T) {
	st := newStation(t, "")
	st.stop()
	a := st.app(nil)
	cfg, err := config.Load(config.Source{Explicit: st.path("c.toml")})
	if err != nil {
		t.Fatal(err)
	}
	w := a.outlet(&options{delivery: 'q'}, cfg, nil)
	in := inbound{a: a, cfg: cfg, domain: "service.example"}
	block, body, err := a.read(strings.NewReader("\nx\n"), t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	s := a.complete(&given{null: true, recipients: smtp.RecipientsOf("a@x")}, in.domain, block, body)
	s.lists = append(s.lists, s.env)
	s.lists[0].Sender = "owner@x"
	kept := 0
	put := w.put
	run := func() {
		if _, err := w.queue.Run(t.Context(), relay.RunOptions{DueOnly: true}); err != nil {
			t.Error(err)
		}
	}
	w.put = func(ctx context.Context, s *submission, due time.Time) (string, error) {
		if kept++; kept == 2 {
			run()
			return "", syscall.ENOSPC
		}
		return put(ctx, s, due)
	}
	if err := w.keep(t.Context(), s); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
	if got := st.queued(); len(got) > 0 {
		t.Errorf("still there: %v", got)
	}
	if got := st.sink.Deliveries(); len(got) > 0 {
		t.Errorf("sent: %v", got)
	}
	// All that was kept goes at once.
	if err := w.keep(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if run(); len(st.sink.Deliveries()) != 2 {
		t.Errorf("sent %v, waiting %v", st.sink.Deliveries(), st.queued())
	}
}
