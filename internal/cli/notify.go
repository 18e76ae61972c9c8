package cli

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// notifier tells the service manager how we are (sd_notify(3)); without one it
// does nothing.
type notifier struct {
	conn     *net.UnixConn
	watchdog time.Duration // how often to be heard from; 0 for never
}

// notifier connects to the manager that NOTIFY_SOCKET names. One that is not
// there, or that goes away, stops nothing.
func (a *app) notifier(pid int) *notifier {
	n := &notifier{}
	path := a.getenv("NOTIFY_SOCKET")
	if path == "" {
		return n
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"}) // "@" is an abstract name
	if err != nil {
		a.log.Warning("NOTIFY_SOCKET: " + err.Error())
		return n
	}
	n.conn = conn
	usec, err := strconv.ParseInt(a.getenv("WATCHDOG_USEC"), 10, 64)
	if owner := a.getenv("WATCHDOG_PID"); err == nil && usec > 0 && (owner == "" || owner == strconv.Itoa(pid)) {
		n.watchdog = time.Duration(usec) * time.Microsecond / 2
	}
	return n
}

func (n *notifier) tell(state string) {
	if n.conn != nil {
		_, _ = n.conn.Write([]byte(state)) // see notifier
	}
}

// reloading begins what READY=1 ends.
func (n *notifier) reloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
	}
}

// alive is a channel that reminds of the watchdog; it is nil without one.
func (n *notifier) alive() (tick <-chan time.Time, stop func()) {
	if n.watchdog <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(n.watchdog)
	return t.C, t.Stop
}
