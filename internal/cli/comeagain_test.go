package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"postern/internal/relay"
	"postern/internal/smtp"
)

// turnAway is a service at the station's socket that says the words to each
// caller, and hangs up. It tells of each.
func (st *station) turnAway(words string) (came chan struct{}, stop func()) {
	st.t.Helper()
	l, err := listenUnix(st.path("s"))
	if err != nil {
		st.t.Fatal(err)
	}
	came = make(chan struct{}, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, words)
			_ = c.Close()
			came <- struct{}{}
		}
	}()
	return came, func() { _ = l.Close() }
}

// Who comes while the service is restarted waits for it: it has said that it
// stops, then there is nothing, then the next one.
func TestServiceComesBack(t *testing.T) {
	for _, words := range []string{"421 4.3.2 Service is stopping, try again\r\n", "421 4.7.0 Too many connections of one user, try again\r\n", ""} {
		st := newStation(t, "")
		st.stop()
		came, stop := st.turnAway(words)
		ended := make(chan int, 1)
		go func() {
			status, _, _ := st.user("Subject: x\n\nx\n", "a@x")
			ended <- status
		}()
		<-came
		<-came
		stop()
		st.start(nil)
		if status := <-ended; status != exOK {
			t.Errorf("%q: status %d", words, status)
		}
		st.taken(1)
	}
}

// It comes again only while there is time, and then says what the service said.
func TestServiceStaysAway(t *testing.T) {
	st := newStation(t, "")
	st.stop()
	came, stop := st.turnAway("421 4.3.2 Service is stopping, try again\r\n")
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for range 3 {
			<-came
		}
		cancel()
	}()
	status, _, stderr := st.userWithin(ctx, "Subject: x\n\nx\n", "a@x")
	if status != exTempFail || !strings.Contains(stderr, "a@x: 421 4.3.2 Service is stopping") {
		t.Errorf("%d %q", status, stderr)
	}
}

// Only what cannot have been taken is sent again.
func TestNotTaken(t *testing.T) {
	connect := &smtp.Error{Stage: smtp.StageConnect}
	greeting := &smtp.Error{Stage: smtp.StageGreeting}
	for _, tt := range []struct {
		why         string
		outcomes    []relay.Outcome
		first, next bool
	}{
		{"nobody", nil, false, false},
		{"it stops", []relay.Outcome{{Status: relay.Deferred, Code: 421}}, true, true},
		{"it hung up", []relay.Outcome{{Status: relay.Deferred, Err: greeting}}, true, true},
		{"nobody listens: that may stay so", []relay.Outcome{{Status: relay.Deferred, Err: connect}}, false, true},
		{"its answer was lost: it may have it", []relay.Outcome{{Status: relay.Unknown, Code: 421}}, false, false},
		{"one of two was taken", []relay.Outcome{{Status: relay.Sent}, {Status: relay.Deferred, Code: 421}}, false, false},
		{"the spool is full", []relay.Outcome{{Status: relay.Deferred, Code: 452}}, false, false},
		{"too many of this user", []relay.Outcome{{Status: relay.Deferred, Code: 450}}, false, false},
		{"refused for good", []relay.Outcome{{Status: relay.Failed, Code: 550}}, false, false},
		{"a surprise", []relay.Outcome{{Status: relay.Deferred, Err: errors.New("x")}}, false, false},
	} {
		if first, next := turnedAway(tt.outcomes), notTaken(tt.outcomes); first != tt.first || next != tt.next {
			t.Errorf("%s: %v %v", tt.why, first, next)
		}
	}
}
