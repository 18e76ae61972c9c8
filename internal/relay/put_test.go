package relay

import (
	"context"
	"errors"
	"strings"
	"testing"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// What a caller wishes for each recipient, and what was answered so far, is kept
// under the id that the log already has, and goes out with the message.
func TestPutKeepsWishes(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite("DSN"))
	env := Envelope{Sender: "s@x", Return: "HDRS", ID: "e1", Recipients: []smtp.Recipient{
		{Address: "a@x", Notify: "NEVER", Original: "rfc822;list@x"}, {Address: "b@x", Notify: "DELAY"}}}
	busy := Outcome{Recipient: "b@x", Status: Deferred, Code: 450, Enhanced: "4.2.1", Text: "450 4.2.1 busy", Err: errors.New("busy")}
	id, err := w.Put(context.Background(), "abcdefghij01", env, newMessage(t, "x"), []Outcome{{}, busy}, 33, w.clock.Now())
	if err != nil || id != "abcdefghij01" {
		t.Fatalf("%q %v", id, err)
	}
	e, err := w.Spool.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	state, err := w.Spool.Read(e)
	if err != nil {
		t.Fatal(err)
	}
	a, b := state.Recipients[0], state.Recipients[1]
	if state.UID != 33 || state.Attempts != 1 || a.Original != "rfc822;list@x" || a.Answer != "" || b.Code != 450 || b.DSN != "4.2.1" {
		t.Errorf("kept: %+v", state)
	}
	w.run()
	got := strings.Join(s.Sessions()[0].Commands, "\n")
	for _, want := range []string{"MAIL FROM:<s@x> RET=HDRS ENVID=e1", "RCPT TO:<a@x> NOTIFY=NEVER ORCPT=rfc822;list@x\n", "RCPT TO:<b@x> NOTIFY=DELAY\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

// An id that is taken is not a reason to refuse a message.
func TestPutTakenID(t *testing.T) {
	w, _ := newWorld(t, smtptest.Polite())
	d, err := w.Spool.CreateAs("abcdefghij01")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abandon()
	id, err := w.Put(context.Background(), "abcdefghij01", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x")}, newMessage(t, "x"), nil, 0, w.clock.Now())
	if err != nil || id == "abcdefghij01" {
		t.Errorf("%q %v", id, err)
	}
}
