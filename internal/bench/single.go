package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// work is a row of the table.
type work struct {
	name    string
	measure func(*bench) error
}

func works() []work {
	return []work{
		{"one message", (*bench).oneMessage},
		{"one message, TLS", (*bench).oneSecure},
		{"round trips", (*bench).roundTrips},
		{"25 MB", (*bench).large},
		{"1,000 recipients", (*bench).manyRecipients},
		{"enqueue", (*bench).enqueue},
		{"queue run at 0 ms", (*bench).runNear},
		{"queue run at 50 ms", (*bench).runFar},
		{"1,000 at 50 ms", (*bench).runLong},
		{"200 at once", (*bench).storm},
		{"mailq of 10,000", (*bench).list},
	}
}

const recipient = "ops@bench.test"

// message writes a message with a body of so many octets and returns its name.
func (b *bench) message(name, to string, octets int) (string, error) {
	name = filepath.Join(b.root, name)
	const text = "The quick brown fox jumps over the lazy dog, and the backup took 17 s\n"
	var m strings.Builder
	fmt.Fprintf(&m, "From: app@bench.test\n%sSubject: report\nDate: Tue, 24 Nov 2026 12:00:00 +0000\nMessage-ID: <1@bench.test>\n\n", to)
	for n := 0; n < octets; n += len(text) {
		m.WriteString(text)
	}
	return name, os.WriteFile(name, []byte(m.String()), 0o644)
}

// ours writes a configuration and returns the command line up to the
// recipients.
func (b *bench) ours(port int, more string) ([]string, error) {
	name := filepath.Join(b.root, fmt.Sprintf("ours.%d.toml", port))
	top, smart, _ := strings.Cut(more, "---")
	err := put(name, true, "domain = \"bench.test\"\n\n[smarthost]\nhost = \"%s\"\nport = %d\n%s\n%s", smarthost, port, top, smart)
	return []string{filepath.Join(programs, "sendmail"), "--config", name, "-i", "-f", "app@bench.test"}, err
}

// senders are all that send one message from input to a port.
func (b *bench) senders(port int, input string, secure bool) ([]program, error) {
	if err := configurePeers(b.root, port, secure); err != nil {
		return nil, err
	}
	more, floor := "", []string{filepath.Join(programs, "floor")}
	if secure {
		more = "tls = \"starttls\"\nusername = \"user\"\npassword = \"password\"\n"
		floor = append(floor, "-ca", b.sinks.ca)
	}
	ours, err := b.ours(port, more)
	all := []program{
		{name: "ours", argv: append(ours, recipient)},
		{name: "msmtp", argv: []string{"/usr/bin/msmtp", "-C", filepath.Join(b.root, fmt.Sprint("msmtp.", port)), recipient}},
		{name: "dma", argv: []string{"/usr/sbin/dma", "-D", "-i", "-f", "app@bench.test", recipient}},
		{name: "Go floor", argv: append(floor, smarthost, fmt.Sprint(port), recipient)},
	}
	if !secure {
		all = append(all,
			program{name: "esmtp", argv: []string{"/usr/bin/esmtp", "-C", filepath.Join(b.root, fmt.Sprint("esmtp.", port)), "-f", "app@bench.test", recipient}},
			program{name: "C floor", argv: []string{filepath.Join(programs, "client"), fmt.Sprint(port), recipient}})
	}
	for i := range all {
		all[i].input = input
	}
	return all, err
}

// note reports the costs of all programs in order.
func (b *bench) note(all []program, got map[string][]cost) {
	for _, p := range all {
		b.report.costs(b.work, p.name, got[p.name])
	}
}

func (b *bench) oneMessage() error {
	input, err := b.message("small.eml", "To: ops@bench.test\n", 1800)
	if err != nil {
		return err
	}
	all, err := b.senders(portPlain, input, false)
	if err != nil {
		return err
	}
	got, err := b.turns(b.times(60), all)
	if err != nil {
		return err
	}
	b.note(all, got)
	ours := median(got["ours"], cpu)
	b.report.ratio(b.work, "CPU, ms", ours, median(got["msmtp"], cpu), "msmtp", 0.6, false)
	b.report.ratio(b.work, "CPU, ms", ours, median(got["Go floor"], cpu), "Go floor", 1.4, false)
	b.report.ratio(b.work, "wall, ms", median(got["ours"], wall), median(got["msmtp"], wall), "msmtp", 0.2, false)
	return nil
}

func (b *bench) oneSecure() error {
	input, err := b.message("small.eml", "To: ops@bench.test\n", 1800)
	if err != nil {
		return err
	}
	all, err := b.senders(portSTARTTLS, input, true)
	if err != nil {
		return err
	}
	got, err := b.turns(b.times(60), all)
	if err != nil {
		return err
	}
	b.note(all, got)
	ours := median(got["ours"], cpu)
	b.report.ratio(b.work, "CPU, ms", ours, median(got["msmtp"], cpu), "msmtp", 0.5, false)
	b.report.ratio(b.work, "CPU, ms", ours, median(got["Go floor"], cpu), "Go floor", 1.5, false)
	return nil
}

// roundTrips counts how often a client waits for the server: to connect, for the
// greeting of a server that speaks first, and for each answer.
func (b *bench) roundTrips() error {
	input, err := b.message("small.eml", "To: ops@bench.test\n", 1800)
	if err != nil {
		return err
	}
	for _, way := range []struct {
		name  string
		port  int
		floor float64
		tls   string
	}{
		{"plain", portPlain, 5, "none"},
		{"plain, CHUNKING", portChunking, 4, "none"},
		{"implicit TLS, AUTH", portImplicit, 7, "implicit"},
		{"STARTTLS, AUTH", portSTARTTLS, 9, "starttls"},
	} {
		port, err := b.sinks.far(way.port, 20*time.Millisecond)
		if err != nil {
			return err
		}
		all, err := b.senders(port, input, way.tls == "starttls")
		if err != nil {
			return err
		}
		if way.tls == "implicit" {
			if all, err = b.implicit(port, input); err != nil {
				return err
			}
		}
		for _, p := range all {
			trips, took, err := b.trips(port, p, way.tls == "implicit")
			if err != nil {
				return err
			}
			b.report.figures(b.work, p.name, fmt.Sprintf("%s: %d, wall at 20 ms %s ms", way.name, trips, number(took)))
			if p.name == "ours" {
				b.report.bound(b.work, way.name, float64(trips), way.floor)
			}
		}
	}
	return nil
}

// implicit are those that are told to use TLS at once and to log in.
func (b *bench) implicit(port int, input string) ([]program, error) {
	ours, err := b.ours(port, "tls = \"implicit\"\nusername = \"user\"\npassword = \"password\"\n")
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(b.root, fmt.Sprint("msmtp.", port))
	err = put(conf, true, "defaults\naccount default\nhost %s\nport %d\nfrom app@bench.test\ndomain %s\ntls on\ntls_starttls off\n"+
		"tls_trust_file /etc/ssl/certs/ca-certificates.crt\nauth plain\nuser user\npassword password\n", smarthost, port, hostName)
	return []program{
		{name: "ours", argv: append(ours, recipient), input: input},
		{name: "msmtp", argv: []string{"/usr/bin/msmtp", "-C", conf, recipient}, input: input},
	}, err
}

func (b *bench) trips(port int, p program, speaksFirst bool) (trips int, took float64, err error) {
	before, err := b.sinks.count(port)
	if err != nil {
		return 0, 0, err
	}
	c, _, err := b.launch(1, 1, p)
	if err != nil {
		return 0, 0, err
	}
	if c[0].status != 0 {
		return 0, 0, b.explain(p, c[0].status)
	}
	after, err := b.sinks.count(port)
	trips = after.Answers - before.Answers + 2
	if speaksFirst {
		trips--
	}
	return trips, wall(c[0]), err
}

func (b *bench) large() error {
	input, err := b.message("large.eml", "To: ops@bench.test\n", 25<<20)
	if err != nil {
		return err
	}
	all, err := b.senders(portPlain, input, false)
	if err != nil {
		return err
	}
	got, err := b.turns(b.times(11), all)
	if err != nil {
		return err
	}
	b.note(all, got)
	b.report.ratio(b.work, "wall, ms", median(got["ours"], wall), median(got["esmtp"], wall), "esmtp", 1, false)
	b.report.bound(b.work, "memory, MB", median(got["ours"], memory), 16)
	return nil
}

// manyRecipients takes a thousand addresses from the header.
func (b *bench) manyRecipients() error {
	var to strings.Builder
	to.WriteString("To: user0@bench.test")
	args := []string{"user0@bench.test"}
	for i := 1; i < 1000; i++ {
		fmt.Fprintf(&to, ",\n user%d@bench.test", i)
		args = append(args, fmt.Sprintf("user%d@bench.test", i))
	}
	input, err := b.message("many.eml", to.String()+"\n", 1800)
	if err != nil {
		return err
	}
	all, err := b.senders(portPlain, input, false)
	if err != nil {
		return err
	}
	var some []program
	for _, p := range all {
		last := len(p.argv) - 1
		switch p.name {
		case "ours", "esmtp", "msmtp":
			p.argv[last] = "-t"
		case "Go floor":
			p.argv = append(p.argv[:last], args...)
		default:
			continue
		}
		some = append(some, p)
	}
	got, err := b.turns(b.times(40), some)
	if err != nil {
		return err
	}
	b.note(some, got)
	b.report.ratio(b.work, "CPU, ms", median(got["ours"], cpu), median(got["msmtp"], cpu), "msmtp", 0.6, false)
	return nil
}
