package main

import "time"

// trip is the round-trip time to a smarthost that is far away.
const trip = 50 * time.Millisecond

// runFar is a run through a line that takes its time.
func (b *bench) runFar() error {
	port, err := b.sinks.far(portPlain, trip)
	if err != nil {
		return err
	}
	all, err := b.keepers(port, "")
	if err != nil {
		return err
	}
	got, err := b.runs(all, b.times(3), func(k keeper) int {
		if k.name == "nullmailer" { // two a second
			return b.messages(100) / 5
		}
		return b.messages(100)
	})
	if err != nil {
		return err
	}
	b.report.ratio(b.work, "messages/s", got["ours"].rate, got["nullmailer"].rate, "nullmailer", 30, true)
	// Postfix opens twenty connections.
	if err := b.runFarWith("max_connections = 20", portPlain, 20, got["Postfix"].rate, "Postfix", 5); err != nil {
		return err
	}
	return b.runFarWith("window = 10", portChunking, 4, got["dma"].rate, "dma", 1.5)
}

// runFarWith is a run of ours with a setting, over at most so many connections, and
// the rate that another has reached.
func (b *bench) runFarWith(setting string, sink, connections int, other float64, of string, wanted float64) error {
	port, err := b.sinks.far(sink, trip)
	if err != nil {
		return err
	}
	all, err := b.keepers(port, setting+"\n")
	if err != nil {
		return err
	}
	input, err := b.message("small.eml", "To: ops@bench.test\n", 1800)
	if err != nil {
		return err
	}
	var got []drained
	for range b.times(3) {
		d, err := b.drain(all[0], input, sink, b.messages(100))
		if err != nil {
			return err
		}
		got = append(got, d)
	}
	ours := middle(got)
	b.figureOf("ours, "+setting, ours)
	b.report.ratio(b.work, "messages/s, "+setting, ours.rate, other, of, wanted, true)
	b.report.bound(b.work, "connections, "+setting, float64(ours.most), float64(connections))
	return nil
}
