package main

import (
	"slices"
	"strings"
	"time"
)

// trip is the round-trip time to a smarthost that is far away.
const trip = 50 * time.Millisecond

// farKeepers are all that keep messages, with a line to a sink that takes its time.
func (b *bench) farKeepers(sink int, settings string) ([]keeper, error) {
	port, err := b.sinks.far(sink, trip)
	if err != nil {
		return nil, err
	}
	return b.keepers(port, settings)
}

// runFar is a run of a hundred messages through that line.
func (b *bench) runFar() error {
	all, err := b.farKeepers(portPlain, "")
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
	return b.runFarWith(far{setting: "window = 10", sink: portChunking, messages: 100, connections: 4}, got["dma"].rate, "dma", 1.5)
}

// runLong is a run of a thousand. Postfix opens twenty connections.
func (b *bench) runLong() error {
	all, err := b.farKeepers(portPlain, "")
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(k keeper) bool { return k.name == "dma" || k.name == "nullmailer" })
	got, err := b.runs(all, b.times(3), func(keeper) int { return b.messages(1000) })
	if err != nil {
		return err
	}
	other := got["Postfix"].rate
	b.report.ratio(b.work, "messages/s", got["ours"].rate, other, "Postfix", 5, true)
	for _, f := range []far{
		{setting: "max_connections = 20", sink: portPlain, messages: 1000, connections: 20},
		{setting: "window = 10", sink: portChunking, messages: 1000, connections: 4},
		{setting: "max_connections = 20, window = 10", sink: portChunking, messages: 1000, connections: 20},
	} {
		if err := b.runFarWith(f, other, "Postfix", 5); err != nil {
			return err
		}
	}
	return nil
}

// far is a run of ours with a setting.
type far struct {
	setting     string // of the smarthost; several have ", " between them
	sink        int
	messages    int
	connections int // at most
}

// runFarWith holds one against the rate that another program has reached.
func (b *bench) runFarWith(f far, other float64, of string, wanted float64) error {
	all, err := b.farKeepers(f.sink, strings.ReplaceAll(f.setting, ", ", "\n")+"\n")
	if err != nil {
		return err
	}
	input, err := b.message("small.eml", "To: ops@bench.test\n", 1800)
	if err != nil {
		return err
	}
	var got []drained
	for range b.times(3) {
		d, err := b.drain(all[0], input, f.sink, b.messages(f.messages))
		if err != nil {
			return err
		}
		got = append(got, d)
	}
	ours := middle(got)
	b.figureOf("ours, "+f.setting, ours)
	b.report.ratio(b.work, "messages/s, "+f.setting, ours.rate, other, of, wanted, true)
	b.report.bound(b.work, "connections, "+f.setting, float64(ours.most), float64(f.connections))
	return nil
}
