package cli

import (
	"bytes"
	"testing"
)

// A name in a certificate that nobody has checked is neither a line of its own
// nor an order to a terminal.
func TestStepIsOneLine(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out}
	a.step("certificate", "of %s", "mail\x1b[2J.example\nresult:     mail can be sent\r\u009b2J")
	if got, want := out.String(), "certificate: of mail?[2J.example?result:     mail can be sent??2J\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
