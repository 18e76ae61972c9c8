package maillog

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// crowded is a daemon with no room for one more line, until room is called.
func crowded(t *testing.T) (path string, room func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	o := options("syslog")
	o.SyslogPath = path
	fill := Open(o)
	defer fill.Close()
	for n := 0; fill.Err() == nil; n++ {
		if n == 100_000 {
			t.Fatal("there is always room")
		}
		fill.Warning("fills the queue")
	}
	return path, func() {
		buf := make([]byte, 1<<16)
		for {
			if _, err := conn.Read(buf); err != nil {
				return
			}
		}
	}
}

// A thousand recipients make lines faster than a daemon reads them, whose queue
// has room for few. None is lost.
func TestSyslogCatchesUp(t *testing.T) {
	path, room := crowded(t)
	o := options("syslog")
	o.SyslogPath = path
	l := Open(o)
	defer l.Close()
	go room()
	for range 2000 {
		l.Delivery(delivery())
	}
	if err := l.Err(); err != nil {
		t.Errorf("lines were lost: %v", err)
	}
}

// A daemon that hangs is waited for once.
func TestSyslogHangs(t *testing.T) {
	path, _ := crowded(t)
	o := options("syslog")
	o.SyslogPath = path
	l := Open(o)
	defer l.Close()
	began := time.Now()
	for range 50 {
		l.Delivery(delivery())
	}
	if took := time.Since(began); l.Err() == nil || took < roomWait || took > 10*roomWait {
		t.Errorf("50 lines took %v, error %v", took, l.Err())
	}
}

// However often it makes room at the last moment, it is not waited for more than
// a second a minute.
func TestSyslogWaitsInAll(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := &socket{now: func() time.Time { return now }, fd: -1} // poll(2) skips it, as one without room
	s.since, s.waited = now, roomMost
	if s.awaitRoom() {
		t.Error("it waits beyond the limit")
	}
	now = now.Add(time.Minute)
	s.awaitRoom()
	if !s.full || s.waited != 0 || !s.since.Equal(now) {
		t.Errorf("a minute later it did not wait: %+v", s)
	}
}
