package cli

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The manager hears from a service that lives, as often as it wants to.
func TestWatchdog(t *testing.T) {
	st := newStation(t, "")
	st.stop()
	st.start(map[string]string{"WATCHDOG_USEC": "40000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())})
	for range 3 {
		st.told("WATCHDOG=1")
	}
}

// A manager that is not there, one that watches somebody else, and nonsense stop
// nothing.
func TestNotifier(t *testing.T) {
	for _, env := range []map[string]string{
		{}, {"NOTIFY_SOCKET": "/nowhere/n", "WATCHDOG_USEC": "1000"}, {"NOTIFY_SOCKET": "@postern-test-nobody"},
	} {
		a := &app{getenv: func(name string) string { return env[name] }}
		n := a.notifier(1)
		n.tell("READY=1")
		n.reloading()
		if tick, stop := n.alive(); tick != nil {
			stop()
			t.Errorf("%v: a watchdog", env)
		}
	}
	st := newStation(t, "")
	for usec, pid := range map[string]string{"40000": "1", "-1": "", "x": ""} {
		a := st.app(nil)
		a.getenv = func(name string) string {
			return map[string]string{"NOTIFY_SOCKET": st.path("n"), "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}[name]
		}
		if n := a.notifier(os.Getpid()); n.watchdog != 0 {
			t.Errorf("%s %s: %s", usec, pid, n.watchdog)
		}
	}
}

// -bd returns when the service is there, and says why if it does not come.
func TestReadyLine(t *testing.T) {
	st := newStation(t, "")
	done := make(chan bool, 1)
	go func() { done <- isReady(st.notify) }()
	a := st.app(nil)
	a.getenv = func(string) string { return st.path("n") }
	n := a.notifier(os.Getpid())
	n.tell("STATUS=READY=1 soon")
	n.tell("RELOADING=1\nREADY=1")
	select {
	case ok := <-done:
		if !ok {
			t.Error("not ready")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("not heard")
	}
	st.notify.Close()
	if isReady(st.notify) {
		t.Error("ready, from nobody")
	}
}

func TestServiceCommand(t *testing.T) {
	cmd, err := serviceCommand(&options{config: "/c.toml", logTag: "x", interval: 90 * time.Second}, "/n")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(cmd.Args, " "); got != "sendmail -bD --config /c.toml -L x -q90s" {
		t.Error(got)
	}
	if last := cmd.Env[len(cmd.Env)-1]; last != "NOTIFY_SOCKET=/n" {
		t.Error(last)
	}
}
