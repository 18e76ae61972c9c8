package relay

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"postern/internal/config"
	"postern/internal/message"
	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// A Message-ID of ours is that of one message: the same at once and from the spool,
// and another one where only the body differs.
func TestFixedMessageIDIsOfOneMessage(t *testing.T) {
	id := func(bad, body string, queue bool) string {
		t.Helper()
		b, err := message.ReadBody(strings.NewReader(body), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		msg := message.New([]byte("From: a@x\r\nDate: Tue, 24 Nov 2026 21:00:00 +0000\r\nTo: a@x\r\n"+bad+"\r\n"), b)
		w, s := newWorld(t, smtptest.Polite("PIPELINING"))
		w.Relay.Host = "client.example"
		w.Relay.Config.Smarthosts[0].Rewriting = config.Rewriting{FixMessageID: true}
		env := Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x")}
		if !queue {
			w.Relay.Deliver(context.Background(), "id1", env, msg)
		} else if _, err := w.Put(context.Background(), "", env, msg, nil, 0, w.clock.Now()); err != nil {
			t.Fatal(err)
		} else {
			w.run()
		}
		found := regexp.MustCompile(`(?m)^Message-ID: (<.*@.*>)\r$`).FindAllStringSubmatch(string(s.Sessions()[0].Messages[0]), -1)
		if len(found) != 1 {
			t.Fatalf("%q", found)
		}
		return found[0][1]
	}
	for _, bad := range []string{"", "Message-ID: 1\r\n", "Message-ID:\r\n"} {
		one := id(bad, "one\n", false)
		if again := id(bad, "one\n", true); again != one {
			t.Errorf("%q: %s at once, %s from the spool", bad, one, again)
		}
		if other := id(bad, "two\n", false); other == one {
			t.Errorf("%q: both bodies are %s", bad, other)
		}
	}
	if good := id("Message-ID: <own@x>\r\n", "one\n", true); good != "<own@x>" {
		t.Errorf("%s, which needed no help", good)
	}
}
