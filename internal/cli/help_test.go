package cli

import (
	"strings"
	"testing"
)

// Each option that does something is in --help, in lines that fit a terminal.
func TestHelp(t *testing.T) {
	text := helpText("sendmail")
	for line := range strings.Lines(text) {
		if len(line) > 100 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	ignored := make(map[string]bool)
	for _, f := range ignoredFlags() {
		ignored[f.name] = true
	}
	for _, f := range flags() {
		if in := strings.Contains(text, "\n  "+f.usage()+" "); in == ignored[f.name] {
			t.Errorf("%s: in the text: %t", f.usage(), in)
		}
	}
}

// The other names have the text of what they do.
func TestHelpOfNames(t *testing.T) {
	for name, row := range map[string]struct{ has, not string }{
		"mailq":      {"\n  --show ID ", "\n  -f "},
		"newaliases": {"alias file", "\n  -"},
		"send-mail":  {"usage: send-mail [options]", "usage: sendmail"},
	} {
		if text := helpText(name); !strings.Contains(text, row.has) || strings.Contains(text, row.not) {
			t.Errorf("%s: %s", name, text)
		}
	}
}
