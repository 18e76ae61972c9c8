// Bench measures sendmail side by side with the other small mail senders of
// Debian, and with minimal clients that only speak the protocol: "make bench",
// or "go run ./internal/bench" at the top of the module, as root on Debian with
// gcc. Nothing is installed. The peers are unpacked from their packages and run,
// as ours, in private namespaces with copies of /etc and /var/spool.
//
// Programs take turns, so that a noisy machine is noisy for all of them; each
// figure is a median. CPU is user and system time of the process with those it
// waited for (getrusage(2)), memory is its greatest resident set.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
)

// insideVar tells the second run of this program that it is in the namespaces.
const insideVar = "POSTERN_BENCH_INSIDE"

// settings are the command line.
type settings struct {
	quick bool
	only  *regexp.Regexp // which works
	n     int            // measurements of each program; 0: each work's own
	keep  string         // where peers are unpacked
}

func main() {
	var s settings
	pattern := flag.String("run", "", "only works whose name matches this `regexp`")
	flag.BoolVar(&s.quick, "quick", false, "a tenth of the messages and measurements")
	flag.IntVar(&s.n, "n", 0, "measurements of each program")
	flag.Parse()
	if err := s.run(*pattern); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (s *settings) run(pattern string) error {
	if flag.Arg(0) == "sink" {
		return serveSinks(os.Stdin, os.Stdout, flag.Arg(1))
	}
	var err error
	if s.only, err = regexp.Compile(pattern); err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	s.keep = filepath.Join(cache, "postern-bench")
	if root := os.Getenv(insideVar); root != "" {
		return s.inside(root)
	}
	return s.outside()
}

// outside builds, unpacks, and runs this program once more in namespaces.
func (s *settings) outside() error {
	root, err := os.MkdirTemp("/var/tmp", "postern-bench-") // on a disk, which /tmp may not be
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := build(root); err != nil {
		return err
	}
	if err := fetchPeers(s.keep); err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVar+"="+root)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // the end of the other one ends us
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		return errors.New("ended early")
	} else if err != nil {
		return fmt.Errorf("needs root to make namespaces: %w", err)
	}
	return nil
}

// inside measures and prints.
func (s *settings) inside(root string) error {
	if err := furnish(root, s.keep); err != nil {
		return err
	}
	b := &bench{settings: s, root: root, report: &report{}}
	if err := b.start(); err != nil {
		return err
	}
	defer b.stop()
	for _, w := range works() {
		if !s.only.MatchString(w.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring:", w.name)
		b.work = w.name
		if err := w.measure(b); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	b.report.size(filepath.Join(programs, "sendmail"))
	return b.report.print(os.Stdout, fmt.Sprintf("%s, %d cores, %s", cpuModel(), runtime.NumCPU(), runtime.Version()))
}
