package health

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// patience is how long Flush waits for another process: figures are not worth
// more.
const patience = 200 * time.Millisecond

var errBusy = errors.New("another process keeps the figures locked")

// replace writes a file in one step, so that nobody reads half of it. It is not
// synced: after a power cut the figures begin anew.
func replace(name string, text []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".postern-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// metrics is the state in the text format of Prometheus.
func (s *State) metrics() []byte {
	var b strings.Builder
	family := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP postern_%s %s\n# TYPE postern_%s %s\n", name, help, name, kind)
	}
	family("recipients_total", "counter", "Outcomes of deliveries, one for each recipient and try.")
	for _, one := range []struct {
		status string
		n      int64
	}{{"sent", s.Sent}, {"deferred", s.Deferred}, {"failed", s.Failed}, {"queued", s.Queued}} {
		fmt.Fprintf(&b, "postern_recipients_total{status=%q} %d\n", one.status, one.n)
	}
	gauge := func(name, help string, value int64) {
		family(name, "gauge", help)
		fmt.Fprintf(&b, "postern_%s %d\n", name, value)
	}
	gauge("last_success_timestamp_seconds", "When the smarthost last took a message, 0 if never.", unixOf(s.LastSuccess))
	gauge("last_error_timestamp_seconds", "When a recipient last was refused or deferred, 0 if never.", unixOf(s.LastError))
	gauge("queue_messages", "Messages that wait, as the last run of the queue left them.", int64(s.Queue.Waiting))
	gauge("queue_parked_messages", "Messages that are undeliverable or on hold.", int64(s.Queue.Parked))
	gauge("queue_oldest_timestamp_seconds", "Arrival of the oldest message that waits, 0 if none does.", unixOf(s.Queue.Oldest))
	return []byte(b.String())
}

func unixOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
