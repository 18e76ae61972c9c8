package relay

import (
	"context"
	"strings"
	"testing"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// reports are the messages from <> that a server took.
func reports(s *smtptest.Server) (texts []string) {
	for _, session := range s.Sessions() {
		for _, m := range session.Messages {
			if strings.Contains(string(m), "multipart/report") {
				texts = append(texts, string(m))
			}
		}
	}
	return texts
}

// What is refused for good, and what waits too long, goes back to its sender,
// once; a delay is told once.
func TestReports(t *testing.T) {
	refusing := smtptest.Polite("PIPELINING").With("RCPT TO:<BAD", smtptest.Say("550 5.1.1 no such user")).
		With("RCPT TO:<LATER", smtptest.Say("451 4.7.1 greylisted"))
	w, s := newWorld(t, refusing)
	w.put("sender@x", "good@x", "bad@x", "later@x")
	w.run()
	got := reports(s)
	if len(got) != 1 || !strings.Contains(got[0], "Final-Recipient: rfc822; bad@x\r\nAction: failed\r\nStatus: 5.1.1") ||
		strings.Contains(got[0], "later@x\r\nAction") || !strings.Contains(got[0], "To: sender@x") {
		t.Fatalf("after the refusal: %q", got)
	}
	w.clock.pass(5 * time.Hour)
	w.run()
	w.clock.pass(2 * time.Hour)
	w.run()
	got = reports(s)
	if len(got) != 2 || !strings.Contains(got[1], "Final-Recipient: rfc822; later@x\r\nAction: delayed\r\nStatus: 4.7.1") {
		t.Fatalf("after four hours: %d reports: %q", len(got), got)
	}
	w.clock.pass(24 * time.Hour)
	w.run()
	got = reports(s)
	if len(got) != 3 || !strings.Contains(got[2], "Final-Recipient: rfc822; later@x\r\nAction: failed\r\nStatus: 5.4.7") {
		t.Fatalf("after a day: %d reports: %q", len(got), got)
	}
	if w.waiting("queue") != nil || w.waiting("failed") != nil {
		t.Errorf("left: %v %v", w.waiting("queue"), w.waiting("failed"))
	}
}

// NOTIFY decides what the sender is told (RFC 3461 4.1).
func TestNotify(t *testing.T) {
	refusing := smtptest.Polite().With("RCPT TO:<BAD", smtptest.Say("550 5.1.1 no such user"))
	for notify, want := range map[string]int{"": 1, "NEVER": 0, "FAILURE": 1, "SUCCESS": 0, "DELAY": 0, "SUCCESS,FAILURE": 1} {
		w, s := newWorld(t, refusing)
		if _, err := w.Put(context.Background(), "", Envelope{Sender: "s@x", Recipients: []smtp.Recipient{{Address: "bad@x", Notify: notify}}}, newMessage(t, "x"), nil, 0, w.clock.Now()); err != nil {
			t.Fatal(err)
		}
		w.run()
		if got := len(reports(s)); got != want || w.waiting("queue") != nil {
			t.Errorf("NOTIFY=%s: %d reports, want %d; waiting %v", notify, got, want, w.waiting("queue"))
		}
	}
}

// Never a report for a report: what has nobody to go back to is kept, and the
// postmaster is told, once.
func TestNowhereToGo(t *testing.T) {
	refusing := smtptest.Polite().With("RCPT TO:<BAD", smtptest.Say("550 5.1.1 no such user"))
	w, s := newWorld(t, refusing)
	w.Relay.Config.Postmaster = "ops@x"
	w.put("", "bad@x")
	w.run()
	if got := w.waiting("failed"); len(got) != 1 {
		t.Errorf("failed: %v", got)
	}
	if got := reports(s); len(got) != 1 || !strings.Contains(got[0], "To: ops@x") {
		t.Errorf("postmaster: %q", got)
	}
	// The sender does not exist either: the postmaster is told of the report.
	w.put("badsender@x", "bad@x")
	w.run()
	w.run()
	if got := w.waiting("failed"); len(got) != 2 || w.waiting("queue") != nil {
		t.Errorf("failed: %v, waiting: %v", got, w.waiting("queue"))
	}
	if got := reports(s); len(got) != 2 || !strings.Contains(got[1], "To: ops@x") || !strings.Contains(got[1], "Final-Recipient: rfc822; badsender@x") {
		t.Errorf("postmaster: %q", got)
	}
	// Nor does the postmaster: the report and what he would have been told are kept.
	w.Relay.Config.Postmaster = "badops@x"
	w.put("badsender@x", "bad@x")
	w.run()
	w.run()
	if got := w.waiting("failed"); len(got) != 4 || w.waiting("queue") != nil || len(reports(s)) != 2 {
		t.Errorf("failed: %v, waiting: %v, %d reports", got, w.waiting("queue"), len(reports(s)))
	}
}
