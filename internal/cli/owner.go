package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"postern/internal/spool"
)

// A spool owner is "machine-boot-space-pid-start": hashes of the host, of its
// boot and process space, the process and the time it started. With it a dead
// owner on the same host is known without a clock, and one on another host, or
// in another container that shares the spool, is not mistaken for dead.

// self is the owner that this process is.
func self() spool.Owner {
	pid := os.Getpid()
	return spool.Owner(strings.Join([]string{machine(), boot(), space(), strconv.Itoa(pid), started(pid)}, "-"))
}

// alive tells whether an owner still runs, if that can be known from here.
func alive(o spool.Owner) (alive, known bool) {
	part := strings.Split(string(o), "-")
	if len(part) != 5 || part[0] != machine() {
		return false, false
	}
	unknown := hashed("")
	if part[1] == unknown || boot() == unknown || part[4] == "0" {
		return false, false // /proc is hidden from one of us
	}
	if part[1] != boot() {
		return false, true // the host was started anew
	}
	if part[2] != space() {
		return false, false
	}
	pid, err := strconv.Atoi(part[3])
	if err != nil || pid < 1 {
		return false, true
	}
	start := started(pid)
	if start == "0" && unix.Kill(pid, 0) != unix.ESRCH {
		return false, false // it is there, but /proc hides it (hidepid)
	}
	return start == part[4], true
}

func machine() string {
	name, _ := os.Hostname() // without one the rest has to tell hosts apart
	id, _ := contents("/etc/machine-id", 1000)
	return hashed(name + "\n" + string(id))
}

func boot() string {
	id, _ := contents("/proc/sys/kernel/random/boot_id", 100) // not on every system
	return hashed(string(id))
}

// space is the namespace that process numbers belong to.
func space() string {
	ns, _ := os.Readlink("/proc/self/ns/pid") // not on every system
	return hashed(ns)
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.HexEncoding.EncodeToString(sum[:5]))
}

// started is when a process started, in ticks since boot; "0" if there is none.
func started(pid int) string {
	stat, err := contents("/proc/"+strconv.Itoa(pid)+"/stat", 4096)
	if err != nil {
		return "0"
	}
	// The name in parentheses may hold anything; the start is the twentieth field
	// behind it (proc_pid_stat(5), field 22).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "0"
	}
	return string(fields[19])
}
