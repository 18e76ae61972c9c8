package smtpd

import (
	"bytes"
	"strings"
	"testing"
)

// Whatever a caller writes: the dialogue ends, a message is taken once for each
// good answer and no more, no octet of his starts a line of ours, and no mailbox
// is anything but an address.
func FuzzDialogue(f *testing.F) {
	const mail = "EHLO x\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\n"
	for _, seed := range []string{
		mail + "DATA\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n",
		mail + "DATA\na\n.\nMAIL FROM:<evil@x>\n",
		mail + "DATA\r\na\n.\nMAIL FROM:<evil@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n.\r\n.\r\n",
		mail + "BDAT 3\r\nabcBDAT 0 LAST\r\nRSET\r\n",
		mail + "BDAT 3\r\nabcRSET\r\n" + mail + "DATA\r\n.\r\n",
		"EHLO a\x1b[2J\r\nMAIL FROM:<\"a\\\"> b\"@[1.2.3.4]> RET=FULL\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		r := &recorder{}
		o := testOptions(t, r)
		o.MaxSize, o.Warn = 5000, func(string) {}
		out := talk(t, o, bytes.NewReader(input))
		good := 0
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "250 2.0.0 Ok: ") {
				good++
			}
			if len(line) < 6 || line[0] < '2' || line[0] > '5' || !strings.HasSuffix(line, "\r\n") || strings.ContainsAny(line[:len(line)-2], "\r\x00\x1b") {
				t.Errorf("a reply line: %q", line)
			}
		}
		if good != len(r.got) {
			t.Errorf("%d messages taken, %d good answers\n%s", len(r.got), good, out)
		}
		for _, got := range r.got {
			envelope, _, _ := strings.Cut(got, "|")
			if strings.ContainsAny(envelope, "\r\n\x00") {
				t.Errorf("envelope %q", envelope)
			}
		}
	})
}
