package maillog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// delivered is the line of a delivery as an object.
func delivered(t *testing.T, to string, d Delivery) (line string, object map[string]any) {
	t.Helper()
	l := &Logger{o: Options{To: to, Format: "json", Tag: "postern", PID: 1, Now: time.Now}}
	line = l.json(levelInfo, "delivery", d.attrs())
	if err := json.Unmarshal([]byte(line), &object); err != nil {
		t.Fatalf("%v: %q", err, line)
	}
	return line, object
}

// Syslog cuts long lines; an object has to be one all the same.
func TestJSONTooLong(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, tt := range []struct {
		why string
		d   Delivery
	}{
		{"a long reply", Delivery{ID: "a", Recipient: "b@x", Status: "deferred", Reply: long}},
		{"all is long", Delivery{ID: "a", Recipient: long, Original: long, Sender: long, Relay: long, Status: "sent", Reply: long}},
		{"octets that become six", Delivery{ID: "a", Recipient: "b@x", Status: "sent", Reply: strings.Repeat("\x01", 3000)}},
		{"characters that are not cut within", Delivery{ID: "a", Recipient: "b@x", Status: "sent", Reply: strings.Repeat("ü", 3000)}},
		{"backslashes", Delivery{ID: "a", Recipient: "b@x", Status: "sent", Reply: strings.Repeat(`\"`, 2000)}},
	} {
		for _, to := range []string{"", "syslog"} {
			line, o := delivered(t, to, tt.d)
			if len(line) > maxLine || len(line) < maxLine/2 {
				t.Errorf("%s: %d octets", tt.why, len(line))
			}
			if o["id"] != "a" || o["status"] != tt.d.Status || o["tag"] != "postern" || !strings.HasSuffix(o["reply"].(string), ellipsis) {
				t.Errorf("%s: %v", tt.why, o)
			}
		}
		for _, to := range []string{"journal", "stderr", "/var/log/mail"} {
			if _, o := delivered(t, to, tt.d); len(o["reply"].(string)) != len(tt.d.Reply) {
				t.Errorf("%s: %s has no limit", tt.why, to)
			}
		}
	}
	// What fits stays whole.
	if _, o := delivered(t, "syslog", Delivery{Reply: strings.Repeat("x", 1500)}); len(o["reply"].(string)) != 1500 {
		t.Error(o)
	}
}

// Whatever stands in an event: the line is one object that fits, with all of its
// keys.
func FuzzJSONLine(f *testing.F) {
	f.Add("a@x", "s@x", "250 ok", "postern", 100)
	f.Add("ü", "\x00", "\\\"", "\u2028", 700)
	f.Fuzz(func(t *testing.T, to, from, reply, tag string, times int) {
		times = min(max(times, 0), 3000)
		l := &Logger{o: Options{Format: "json", Tag: tag, Now: time.Now}}
		d := Delivery{Recipient: strings.Repeat(to, times%7+1), Sender: from, Reply: strings.Repeat(reply, times), Status: "sent"}
		line := l.json(levelInfo, "delivery", d.attrs())
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") {
			t.Fatalf("%v: %q", err, line)
		}
		if len(line) > maxLine || len(o) != 15 {
			t.Errorf("%d octets, %d keys: %q", len(line), len(o), line)
		}
	})
}
