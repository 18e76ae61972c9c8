package relay

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// BenchmarkPut keeps messages on stable storage, one after another.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			q := party(b, filepath.Join(b.TempDir(), "spool"), 1, "benches")
			msg := newMessage(b, lines(size))
			env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x")}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := q.Put(context.Background(), "", env, msg, nil, 0, q.now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func lines(octets int) string {
	const line = "0123456789012345678901234567890123456789012345678901234567890123\n"
	text := make([]byte, 0, octets+len(line))
	for len(text) < octets {
		text = append(text, line...)
	}
	return string(text)
}

// BenchmarkRun sends a queue of a thousand messages over a link without and with
// delay.
func BenchmarkRun(b *testing.B) {
	const messages = 1000
	for _, trip := range []time.Duration{0, 50 * time.Millisecond} {
		b.Run(trip.String(), func(b *testing.B) {
			s := smtptest.New(b, smtptest.Options{Script: smtptest.Polite("PIPELINING", "CHUNKING"), Timeout: time.Hour})
			port := s.Port()
			if trip > 0 {
				port = smtptest.NewProxy(b, s.Addr(), smtptest.ProxyOptions{RoundTrip: trip}).Port()
			}
			q := party(b, filepath.Join(b.TempDir(), "spool"), port, "benches")
			q.Relay.Config.Smarthosts[0].MaxConnections, q.Relay.Config.Smarthosts[0].Window = 4, 1
			for b.Loop() {
				b.StopTimer()
				fill(b, q, messages)
				b.StartTimer()
				if p, err := q.Run(context.Background(), RunOptions{}); err != nil || p.Sent != messages {
					b.Fatalf("%+v %v", p, err)
				}
			}
			b.ReportMetric(float64(b.N*messages)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

func fill(b *testing.B, q *Queue, messages int) {
	b.Helper()
	msg := newMessage(b, lines(1<<10))
	for i := range messages {
		env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(fmt.Sprintf("r%d@x", i))}
		if _, err := q.Put(context.Background(), "", env, msg, nil, 0, q.now()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList reads the states of ten thousand messages, as mailq does.
func BenchmarkList(b *testing.B) {
	const messages = 10_000
	dir, err := os.MkdirTemp("/dev/shm", "postern-bench-") // syncing so many takes its time
	if err != nil {
		dir = b.TempDir()
	}
	defer os.RemoveAll(dir)
	q := party(b, filepath.Join(dir, "spool"), 1, "benches")
	fill(b, q, messages)
	b.ReportAllocs()
	for b.Loop() {
		all, _, err := q.Spool.All()
		if err != nil || len(all) != messages {
			b.Fatalf("%d %v", len(all), err)
		}
		for _, e := range all {
			if _, err := q.Spool.Read(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}
