package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bench is one run of the benchmark.
type bench struct {
	*settings
	root   string
	report *report
	sinks  *sinks
	work   string
}

func (b *bench) start() error {
	if err := preparePeers(b.keep); err != nil {
		return err
	}
	if err := put("/etc/hosts", false, "127.0.0.1 localhost %s\n127.0.0.2 %s web1\n", smarthost, hostName); err != nil {
		return err
	}
	if err := configurePostfix(portPlain); err != nil {
		return err
	}
	if err := shell("/", "postconf -F '*/*/chroot = n'; postfix check 2>/dev/null"); err != nil { // makes its spool
		return err
	}
	var err error
	b.sinks, err = startSinks(b.root)
	return err
}

func (b *bench) stop() { b.sinks.stop() }

// times is how often to measure.
func (b *bench) times(usual int) int {
	switch {
	case b.n > 0:
		return b.n
	case b.quick:
		return max(3, usual/10)
	}
	return usual
}

// messages is how many to send.
func (b *bench) messages(usual int) int {
	if b.quick {
		return max(20, usual/10)
	}
	return usual
}

// program is one to measure.
type program struct {
	name  string
	argv  []string
	input string
	ready func() error // called before each measurement; may be nil
}

// cost is what one process took.
type cost struct {
	wall, cpu time.Duration
	memory    int // KiB
	status    int
}

// launch runs a program count times, so many at a time.
func (b *bench) launch(count, parallel int, p program) ([]cost, time.Duration, error) {
	input := p.input
	if input == "" {
		input = "/dev/null"
	}
	args := append([]string{strconv.Itoa(count), strconv.Itoa(parallel), input}, p.argv...)
	cmd := exec.Command(filepath.Join(programs, "launch"), args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + b.root, "LOGNAME=root", "USER=root"}
	out, err := cmd.Output()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", p.name, err)
	}
	var all []cost
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, line := range lines[:len(lines)-1] {
		var wall, cpu int64
		var c cost
		if _, err := fmt.Sscan(line, &wall, &cpu, &c.memory, &c.status); err != nil {
			return nil, 0, err
		}
		c.wall, c.cpu = time.Duration(wall)*time.Microsecond, time.Duration(cpu)*time.Microsecond
		all = append(all, c)
	}
	total, err := strconv.ParseInt(lines[len(lines)-1], 10, 64)
	return all, time.Duration(total) * time.Microsecond, err
}

// turns measures all programs n times, one after the other.
func (b *bench) turns(n int, all []program) (map[string][]cost, error) {
	got := make(map[string][]cost)
	for i := range n + 1 {
		for k := range all {
			p := all[(i+k)%len(all)]
			if p.ready != nil {
				if err := p.ready(); err != nil {
					return nil, fmt.Errorf("%s: %w", p.name, err)
				}
			}
			c, _, err := b.launch(1, 1, p)
			if err != nil {
				return nil, err
			}
			if c[0].status != 0 {
				return nil, b.explain(p, c[0].status)
			}
			if i > 0 { // the first one warms the caches
				got[p.name] = append(got[p.name], c[0])
			}
		}
	}
	return got, nil
}

// explain runs a program that failed once more, to hear what it says.
func (b *bench) explain(p program, status int) error {
	in, err := os.ReadFile(p.input)
	if p.input != "" && err != nil {
		return err
	}
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	return errors.Join(fmt.Errorf("%s ended with status %d; once more it says %q", p.name, status, out), err)
}

// median of some figure of the costs.
func median[T any](all []T, figure func(T) float64) float64 {
	if len(all) == 0 {
		return 0
	}
	list := make([]float64, len(all))
	for i, c := range all {
		list[i] = figure(c)
	}
	slices.Sort(list)
	if n := len(list); n%2 == 0 {
		return (list[n/2-1] + list[n/2]) / 2
	}
	return list[len(list)/2]
}

func cpu(c cost) float64    { return c.cpu.Seconds() * 1000 }
func wall(c cost) float64   { return c.wall.Seconds() * 1000 }
func memory(c cost) float64 { return float64(c.memory) / 1024 }
