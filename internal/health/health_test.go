package health

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func recorder(t *testing.T, dir string) *Recorder {
	t.Helper()
	return &Recorder{Dir: dir, Metrics: filepath.Join(dir, "postern.prom"), Now: func() time.Time { return noon }}
}

// What processes see one after the other adds up; the newest error stays.
func TestMerge(t *testing.T) {
	dir := t.TempDir()
	r := recorder(t, dir)
	r.Observe(Sent, "", false)
	r.Observe(Deferred, "451 later", false)
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(); err != nil { // nothing new: nothing is counted again
		t.Fatal(err)
	}
	r = recorder(t, dir)
	r.Now = func() time.Time { return noon.Add(time.Minute) }
	r.Observe(Failed, "550 no", false)
	r.Observe(Queued, "", false)
	r.Spool(Queue{Waiting: 3, Parked: 1, Oldest: noon.Add(-time.Hour)})
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	s, known := Read(dir)
	if !known || s.Sent != 1 || s.Deferred != 1 || s.Failed != 1 || s.Queued != 1 {
		t.Errorf("%+v", s)
	}
	if !s.Since.Equal(noon) || !s.LastSuccess.Equal(noon) || !s.LastError.Equal(noon.Add(time.Minute)) || s.ErrorText != "550 no" {
		t.Errorf("%+v", s)
	}
	if s.Queue.Waiting != 3 || s.Queue.Parked != 1 || !s.Queue.Oldest.Equal(noon.Add(-time.Hour)) {
		t.Errorf("%+v", s.Queue)
	}
	text, err := os.ReadFile(filepath.Join(dir, "postern.prom"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`postern_recipients_total{status="sent"} 1`, `postern_recipients_total{status="queued"} 1`,
		"# TYPE postern_recipients_total counter", "postern_queue_messages 3", "postern_last_success_timestamp_seconds 1795521600",
		"postern_queue_oldest_timestamp_seconds 1795518000", "# TYPE postern_queue_parked_messages gauge"} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
}

// Processes side by side lose nothing, and a reader never sees half a file.
func TestSideBySide(t *testing.T) {
	for _, metrics := range []bool{true, false} {
		sideBySide(t, t.TempDir(), metrics)
	}
}

func sideBySide(t *testing.T, dir string, metrics bool) {
	const writers, each = 8, 25
	done := make(chan struct{})
	var reading, wg sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if s, known := Read(dir); !known && s.Sent != 0 {
				t.Error("half a file was read")
			}
		}
	})
	for range writers {
		wg.Go(func() {
			r := recorder(t, dir)
			for i := range each {
				if !metrics {
					r.Metrics = ""
				}
				r.Observe(Sent, "", false)
				if i == each/2 {
					r.Observe(Deferred, "451", false) // then the state is written
				}
				for r.Flush() != nil { // it stays for the next call
				}
			}
		})
	}
	wg.Wait()
	close(done)
	reading.Wait()
	if s, _ := Read(dir); s.Sent != writers*each || s.Deferred != writers {
		t.Errorf("metrics %v: %d and %d counted, want %d and %d", metrics, s.Sent, s.Deferred, writers*each, writers)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".postern-*"))
	if err != nil || left != nil {
		t.Error(left, err)
	}
}

// What cannot be written is an error for the log; nothing else happens, and it
// is written when it can be.
func TestFlushFails(t *testing.T) {
	dir := t.TempDir()
	r := recorder(t, filepath.Join(dir, "none"))
	r.Metrics = ""
	r.Observe(Sent, "", false)
	if r.Flush() == nil {
		t.Error("no error")
	}
	r.Dir = dir
	log, err := alone(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("while locked: %v", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	if s, _ := Read(dir); s.Sent != 1 {
		t.Errorf("%+v", s)
	}
	var none *Recorder
	none.Observe(Sent, "", false)
	none.Spool(Queue{})
	if err := none.Flush(); err != nil {
		t.Error(err)
	}
}

// A file that is torn, foreign or a link is a beginning, and is never followed.
func TestBrokenState(t *testing.T) {
	for _, text := range []string{"", "{", `{"sent":"x"}`, "[]", strings.Repeat("x", maxFile+1)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if s, known := Read(dir); known || s.Sent != 0 {
			t.Errorf("%.20q: %+v", text, s)
		}
	}
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	if err := os.WriteFile(outside, []byte(`{"sent":7,"since":"2026-11-24T12:00:00Z"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	if _, known := Read(dir); known {
		t.Error("a link was followed")
	}
	r := recorder(t, dir)
	r.Observe(Sent, "", false)
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(outside); err != nil || !strings.Contains(string(text), `"sent":7`) {
		t.Errorf("the file outside is %q, %v", text, err)
	}
}

// When mail does not leave the machine, and when that is only a mishap.
func TestFailing(t *testing.T) {
	hour := time.Hour
	for _, tt := range []struct {
		why  string
		s    State
		want string
	}{
		{"nothing yet", State{}, ""},
		{"all is well", State{LastSuccess: noon}, ""},
		{"one recipient was refused", State{LastSuccess: noon.Add(-hour), LastError: noon, ErrorText: "550"}, ""},
		{"no connection since", State{LastSuccess: noon.Add(-hour), Away: noon, ErrorText: "refused"}, "the smarthost cannot be used: refused"},
		{"no connection ever", State{Away: noon}, "the smarthost cannot be used: "},
		{"it came back", State{LastSuccess: noon, Away: noon.Add(-hour)}, ""},
		{"waits a little", State{Queue: Queue{Waiting: 1, Oldest: noon.Add(-hour)}}, ""},
		{"waits too long", State{Queue: Queue{Waiting: 1, Oldest: noon.Add(-5 * hour)}}, "mail waits longer than 4h0m0s"},
	} {
		if got := tt.s.Failing(noon, 4*hour); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.why, got, tt.want)
		}
	}
}
