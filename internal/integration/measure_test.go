//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// measureVar tells the test binary to run its arguments as a program and to
// write that program's peak memory to descriptor 3.
const measureVar = "POSTERN_INTEGRATION_MEASURE"

// measured runs a program, which has to end well and silently, and gives its peak
// resident memory in KiB. What it prints on standard output is not looked at.
//
// The kernel counts the memory of the process that starts a program as the
// program's own until it is loaded. Tests that read big mails are larger than
// what they measure, so a process that has done nothing yet comes between.
func measured(t *testing.T, stdin io.Reader, program ...string) int64 {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", program...)
	cmd.Env = append(os.Environ(), measureVar+"=1")
	cmd.Stdin = stdin
	cmd.ExtraFiles = []*os.File{write}
	var out bytes.Buffer
	cmd.Stderr = &out
	err = cmd.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, rerr := io.ReadAll(read)
	if err := cmd.Wait(); err != nil || rerr != nil || out.Len() > 0 {
		t.Fatalf("%v, %v: %s", err, rerr, out.String())
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// measure is the process between; it gives the program's exit status back.
func measure(program []string) int {
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Env = os.Environ()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.NewFile(3, "result"), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	return 0
}
