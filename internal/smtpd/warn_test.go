package smtpd

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// breaks is a handler with a fault.
type breaks struct{ recorder }

func (*breaks) Mail(context.Context, *Transaction) error { panic("a fault of ours") }

// That callers leave, at any time and with replies unread, is no line in the log; a
// fault of the handler is.
func TestLeavingIsNoNews(t *testing.T) {
	for _, tt := range []struct {
		why  string
		h    Handler
		said string
		want string
	}{
		{"at once", &recorder{}, "", ""},
		{"after MAIL", &recorder{}, "EHLO x\r\nMAIL FROM:<a@x>\r\n", ""},
		{"within a line", &recorder{}, "EHLO x\r\nMAIL FR", ""},
		{"within DATA", &recorder{}, "EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nhalf", ""},
		{"within a chunk", &recorder{}, "EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 10\r\n12", ""},
		{"what is no SMTP", &recorder{}, "GET / HTTP/1.1\r\n\r\n", ""},
		{"a fault", &breaks{}, "EHLO x\r\nMAIL FROM:<a@x>\r\n", "a fault of ours"},
	} {
		var mu sync.Mutex
		var log strings.Builder
		o := serviceOptions(t, tt.h)
		o.Timeout = 20 * time.Second
		o.Warn = func(text string) {
			mu.Lock()
			defer mu.Unlock()
			log.WriteString(text + "\n")
		}
		s, dial := listen(t, o)
		for _, read := range []bool{true, false} {
			c := dial()
			if _, err := c.Write([]byte(tt.said)); err != nil {
				t.Fatal(err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if read || tt.want != "" {
				drained(c)
			}
			c.Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if !s.Stop(ctx) {
			t.Errorf("%s: it does not end", tt.why)
		}
		cancel()
		mu.Lock()
		if got := log.String(); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q", tt.why, got)
		}
		mu.Unlock()
	}
}

// drained reads what there is to the end.
func drained(c net.Conn) {
	for buf := make([]byte, 1000); ; {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}
