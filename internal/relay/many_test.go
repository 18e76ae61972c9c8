package relay

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/smtp"
	"postern/internal/smtptest"
	"postern/internal/spool"
)

// party is one of several processes that use a spool.
func party(t testing.TB, dir string, port int, owner string) *Queue {
	t.Helper()
	files, err := spool.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	r, _ := relayTo(t, port)
	r.TempDir = t.TempDir()
	r.Config.Smarthosts[0].MaxConnections = 2
	r.Config.Spool = config.Spool{RetryMin: time.Minute, RetryMax: time.Hour, Expire: 24 * time.Hour, Warn: 4 * time.Hour}
	var mu sync.Mutex
	n := 0
	newID := func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprintf("%s%05d", owner, n)
	}
	s, err := spool.Open(files, spool.Options{Owner: spool.Owner(owner), Now: r.Now, NewID: newID,
		Alive: func(spool.Owner) (bool, bool) { return true, true }})
	if err != nil {
		t.Fatal(err)
	}
	return &Queue{Relay: r, Spool: s, Random: func() float64 { return 0.5 }, NewID: newID, Domain: "client.example"}
}

// Eight runners and fifty writers at once, of which each wakes a run as a
// delivery in the background does: each message arrives once, and none is left
// when the last of them has ended.
func TestManyAtOnce(t *testing.T) {
	const runners, writers, each = 8, 50, 4
	sink := smtptest.NewSink(t, smtptest.SinkOptions{})
	dir := filepath.Join(t.TempDir(), "spool")
	writing, stop := context.WithCancel(context.Background())
	var all, writes sync.WaitGroup
	var parties []*Queue
	run := func(q *Queue, o RunOptions) {
		if _, err := q.Run(context.Background(), o); err != nil {
			t.Error(err)
		}
	}
	for i := range runners {
		q := party(t, dir, sink.Port(), fmt.Sprintf("runner%d", i))
		q.aside = i%4 > 1
		parties = append(parties, q)
		all.Go(func() {
			for writing.Err() == nil {
				run(q, RunOptions{DueOnly: i%2 == 0})
			}
		})
	}
	for i := range writers {
		q := party(t, dir, sink.Port(), fmt.Sprintf("write%02d", i))
		parties = append(parties, q)
		body := newMessage(t, "body\n")
		writes.Go(func() {
			for n := range each {
				env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(fmt.Sprintf("r%d-%d@x", i, n))}
				if _, err := q.Put(context.Background(), "", env, body, nil, 0, q.now()); err != nil {
					t.Error(err)
				}
				all.Go(func() { run(q, RunOptions{DueOnly: true}) })
			}
		})
	}
	writes.Wait()
	stop()
	all.Wait()
	for _, q := range parties {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
	got := map[string]int{}
	for _, d := range sink.Deliveries() {
		for _, to := range d.To {
			got[to]++
		}
	}
	for to, n := range got {
		if n != 1 {
			t.Errorf("%s got it %d times", to, n)
		}
	}
	left, err := filepath.Glob(dir + "/*/*")
	if err != nil || len(left) > 0 || len(got) != writers*each {
		t.Errorf("%d of %d arrived, left in the spool: %v %v", len(got), writers*each, left, err)
	}
}
