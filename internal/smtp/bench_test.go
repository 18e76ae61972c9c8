package smtp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// BenchmarkMessages is what one message, and a drain of a thousand, cost: time
// and counted turnarounds for each message, at 0 and at 50 ms to the server.
func BenchmarkMessages(b *testing.B) {
	text := "Subject: x\r\n\r\n" + strings.Repeat("seventy octets of text, more or less, as in most of the mail there is.\r\n", 27) // 2 kB
	for _, mode := range []struct {
		name   string
		offer  []string
		window int
	}{
		{"neither", []string{"SIZE"}, 1},
		{"pipelining", []string{"PIPELINING"}, 1},
		{"chunking", []string{"PIPELINING", "CHUNKING"}, 1},
		{"window=10", []string{"PIPELINING", "CHUNKING"}, 10},
	} {
		for _, trip := range []time.Duration{0, 50 * time.Millisecond} {
			for _, n := range []int{1, 1000} {
				if n == 1 && mode.window > 1 || n > 1 && trip > 0 && mode.name == "neither" {
					continue // the same as without; and minutes, for what is known: four trips each
				}
				b.Run(fmt.Sprintf("%s/trip=%v/n=%d", mode.name, trip, n), func(b *testing.B) {
					benchMessages(b, smtptest.Polite(mode.offer...), trip, n, mode.window, text)
				})
			}
		}
	}
}

func benchMessages(b *testing.B, script smtptest.Script, trip time.Duration, n, window int, text string) {
	s := smtptest.New(b, smtptest.Options{Script: script, Timeout: time.Hour})
	p := smtptest.NewProxy(b, s.Addr(), smtptest.ProxyOptions{RoundTrip: trip})
	cfg := smtp.Config{Hosts: []string{"127.0.0.1"}, Port: p.Port(), TLS: smtp.None, LocalName: "bench.test"}
	if trip == 0 { // the proxy's own work is no part of it
		cfg.Port = s.Port()
	}
	b.ReportAllocs()
	for b.Loop() {
		c, err := smtp.Dial(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		if n == 1 {
			_, err = c.SendAndQuit(b.Context(), smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x")}, smtp.Bytes([]byte(text)))
		} else {
			err = c.Drain(b.Context(), smtp.DrainOptions{Window: window}, stream(n, text), func(_ *smtp.Transaction, r smtp.Result) {
				if err := r.Err(); err != nil {
					b.Error(err)
				}
			})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	messages := float64(b.N * n)
	b.ReportMetric(messages/b.Elapsed().Seconds(), "messages/s")
	if trip > 0 {
		b.ReportMetric(float64(p.Turnarounds())/messages, "turnarounds/message")
	}
}

// BenchmarkContent is a large message over a connection that costs nothing.
func BenchmarkContent(b *testing.B) {
	for _, size := range []int64{1 << 20, 50 << 20} {
		b.Run(fmt.Sprintf("%dMiB", size>>20), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				c, err := smtp.NewClient(b.Context(), &blackHole{offer: "X"}, smtp.Config{TLS: smtp.None, LocalName: "bench.test"})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := c.Send(b.Context(), smtp.Envelope{Sender: "a@x", Recipients: smtp.RecipientsOf("b@x")}, pattern{size}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
