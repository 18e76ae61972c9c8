package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// keeper is a program with a queue.
type keeper struct {
	name  string
	add   []string // command line that queues one message
	empty string   // shell commands that empty its queue
	run   []string // command line that sends what is queued
	end   string   // shell commands that end what run has left
	list  []string
}

const spoolDir = "/var/spool/postern"

// keepers are all programs with a queue, pointed at a port.
func (b *bench) keepers(port int, more string) ([]keeper, error) {
	if err := configurePeers(b.root, port, false); err != nil {
		return nil, err
	}
	ours, err := b.ours(port, fmt.Sprintf("%s---[spool]\ndir = %q\n", more, spoolDir))
	dma := "grep -v DEFER /etc/dma/dma.conf >/etc/dma/dma.now || true; mv /etc/dma/dma.now /etc/dma/dma.conf"
	return []keeper{
		{name: "ours", add: append(ours, "-odq", recipient), empty: "rm -rf " + spoolDir,
			run: append(ours[:3:3], "-q"), list: append(ours[:3:3], "-bp")},
		{name: "dma", add: []string{"/usr/sbin/dma", "-D", "-i", "-f", "app@bench.test", recipient},
			empty: "rm -f /var/spool/dma/[A-Z]*; echo DEFER >>/etc/dma/dma.conf",
			run:   []string{"/bin/sh", "-c", dma + "; dma -q"}, list: []string{"/usr/sbin/dma", "-bp"}},
		{name: "nullmailer", add: []string{"/usr/bin/nullmailer-inject", "-f", "app@bench.test", recipient},
			empty: "rm -f /var/spool/nullmailer/queue/*",
			run:   []string{"/bin/sh", "-c", "nullmailer-send & echo $! >/run/bench.pid"}, end: "kill $(cat /run/bench.pid)",
			list: []string{"/usr/bin/nullmailer-mailq"}},
		{name: "Postfix", add: []string{"/usr/sbin/sendmail", "-i", "-f", "app@bench.test", recipient},
			empty: "find /var/spool/postfix -type f -path '*/*/*' ! -path '*/pid/*' -delete",
			run:   []string{"/usr/sbin/postfix", "start"}, end: "postfix stop"},
	}, err
}

// fill empties a queue and puts n messages into it, some at a time.
func (b *bench) fill(k keeper, input string, n, atOnce int) (time.Duration, error) {
	if err := shell("/", k.empty); err != nil {
		return 0, err
	}
	all, took, err := b.launch(n, atOnce, program{name: k.name, argv: k.add, input: input})
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		if c.status != 0 {
			return 0, b.explain(program{name: k.name, argv: k.add, input: input}, c.status)
		}
	}
	return took, nil
}

// enqueue measures what one caller after the other can put into a queue.
func (b *bench) enqueue() error {
	input, err := b.message("small.eml", "To: ops@bench.test\n", 1800)
	if err != nil {
		return err
	}
	all, err := b.keepers(portPlain, "")
	if err != nil {
		return err
	}
	floor := "/var/spool/floor"
	empty := "rm -rf " + floor + "; mkdir " + floor
	all = append(all,
		keeper{name: "Go floor", add: []string{filepath.Join(programs, "spool"), floor}, empty: empty},
		keeper{name: "C floor", add: []string{filepath.Join(programs, "client"), "spool", floor}, empty: empty})
	const each = 20
	rates := make(map[string][]float64)
	for range b.times(10) {
		for _, k := range all {
			took, err := b.fill(k, input, each, 1)
			if err != nil {
				return err
			}
			rates[k.name] = append(rates[k.name], each/took.Seconds())
		}
	}
	same := func(f float64) float64 { return f }
	for _, k := range all {
		b.report.figures(b.work, k.name, number(median(rates[k.name], same))+" messages/s")
	}
	b.report.ratio(b.work, "messages/s", median(rates["ours"], same), median(rates["dma"], same), "dma", 1.5, true)
	return nil
}

// drained is what a queue run did.
type drained struct {
	rate              float64
	connections, most int
}

// run sends a queue of n messages to a port, perhaps through a line, and says
// how fast they came.
func (b *bench) drain(k keeper, input string, sink, n int) (d drained, err error) {
	if _, err := b.fill(k, input, n, 10); err != nil {
		return d, err
	}
	if err := b.sinks.reset(sink); err != nil {
		return d, err
	}
	cmd := exec.Command(k.run[0], k.run[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return d, err
	}
	err = b.sinks.await(sink, n, 2*time.Minute)
	took := time.Since(begin)
	if err != nil {
		return d, fmt.Errorf("%s: %w", k.name, err)
	}
	if err := cmd.Wait(); err != nil {
		return d, fmt.Errorf("%s: %w", k.name, err)
	}
	if k.end != "" {
		if err := shell("/", k.end); err != nil {
			return d, err
		}
	}
	a, err := b.sinks.count(sink)
	return drained{rate: float64(n) / took.Seconds(), connections: a.Connections, most: a.Peak}, err
}

func (b *bench) figureOf(name string, d drained) {
	b.report.figures(b.work, name, fmt.Sprintf("%s messages/s over %d connections, %d at a time", number(d.rate), d.connections, d.most))
}

// middle is the run with the median rate.
func middle(all []drained) drained {
	rate := median(all, func(d drained) float64 { return d.rate })
	best := all[0]
	for _, d := range all {
		if d.rate <= rate && d.rate > best.rate || best.rate > rate {
			best = d
		}
	}
	return best
}

// runs measures every keeper several times, in turns.
func (b *bench) runs(all []keeper, n int, of func(keeper) int) (map[string]drained, error) {
	input, err := b.message("small.eml", "To: ops@bench.test\n", 1800)
	if err != nil {
		return nil, err
	}
	got := make(map[string][]drained)
	for range n {
		for _, k := range all {
			d, err := b.drain(k, input, portPlain, of(k))
			if err != nil {
				return nil, err
			}
			got[k.name] = append(got[k.name], d)
		}
	}
	out := make(map[string]drained)
	for _, k := range all {
		out[k.name] = middle(got[k.name])
		b.figureOf(k.name, out[k.name])
	}
	return out, nil
}

func (b *bench) runNear() error {
	all, err := b.keepers(portPlain, "")
	if err != nil {
		return err
	}
	got, err := b.runs(all, b.times(3), func(keeper) int { return b.messages(1000) })
	if err != nil {
		return err
	}
	b.report.ratio(b.work, "messages/s", got["ours"].rate, got["dma"].rate, "dma", 4, true)
	b.report.bound(b.work, "connections", float64(got["ours"].connections), 4)
	return nil
}

// storm starts all programs' callers at once, at a server that serves a few.
func (b *bench) storm() error {
	input, err := b.message("small.eml", "To: ops@bench.test\n", 1800)
	if err != nil {
		return err
	}
	all, err := b.senders(portNarrow, input, false)
	if err != nil {
		return err
	}
	const callers = 200
	took := make(map[string][]float64)
	lost := make(map[string]int)
	for range b.times(5) {
		for _, p := range all {
			if err := b.sinks.reset(portNarrow); err != nil {
				return err
			}
			costs, total, err := b.launch(callers, callers, p)
			if err != nil {
				return err
			}
			a, err := b.sinks.count(portNarrow)
			if err != nil {
				return err
			}
			for _, c := range costs {
				if c.status != 0 {
					lost[p.name]++
				}
			}
			lost[p.name] += max(0, callers-lost[p.name]-a.Messages)
			took[p.name] = append(took[p.name], total.Seconds())
		}
	}
	same := func(f float64) float64 { return f }
	for _, p := range all {
		b.report.figures(b.work, p.name, fmt.Sprintf("%s s, %d not sent", number(median(took[p.name], same)), lost[p.name]))
	}
	b.report.ratio(b.work, "wall, s", median(took["ours"], same), median(took["msmtp"], same), "msmtp", 0.6, false)
	b.report.bound(b.work, "not sent", float64(lost["ours"]), 0)
	return nil
}

// list measures mailq. Messages are copied, save ours, which have their id in
// them and so are made by the spool itself.
func (b *bench) list() error {
	input, err := b.message("small.eml", "To: ops@bench.test\n", 1800)
	if err != nil {
		return err
	}
	all, err := b.keepers(portPlain, "")
	if err != nil {
		return err
	}
	n := b.messages(10000)
	var listed []program
	for _, k := range all {
		if k.list == nil { // Postfix's needs its daemons, and its files cannot be copied
			continue
		}
		if _, err := b.fill(k, input, 1, 1); err != nil {
			return err
		}
		if k.name == "ours" {
			err = fillSpool(spoolDir, input, n)
		} else {
			err = shell("/", copies[k.name], fmt.Sprint(n))
		}
		if err != nil {
			return err
		}
		listed = append(listed, program{name: k.name, argv: k.list})
	}
	got, err := b.turns(b.times(11), listed)
	if err != nil {
		return err
	}
	b.note(listed, got)
	b.report.ratio(b.work, "wall, ms", median(got["ours"], wall), median(got["dma"], wall), "dma", 1, false)
	b.report.bound(b.work, "memory, MB", median(got["ours"], memory), 48)
	return nil
}

// copies are scripts that copy a queued message.
var copies = map[string]string{
	"dma": `cd /var/spool/dma; m=$(ls M*); q=$(ls Q*)
		for i in $(seq "$1"); do
			id=$(printf 'be%x.56%010x' "$i" "$i")
			sed "s/^ID: .*/ID: $id/" "$q" >"Q$id"; ln "$m" "M$id"
		done; rm "$m" "$q"; chown mail:mail ./*; chmod 660 ./*`,
	"nullmailer": `cd /var/spool/nullmailer/queue; m=$(ls)
		for i in $(seq "$1"); do cp -a "$m" "1795000000.$i"; done; rm "$m"`,
}

// ids makes names for messages.
func ids() func() string {
	n := 0
	return func() string {
		n++
		s := fmt.Sprint(n)
		return strings.Repeat("0", 12-len(s)) + s
	}
}
