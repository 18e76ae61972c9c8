package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
)

// tracer is what -v and -X ask for: the dialogue on standard error and at the
// end of a file. Secrets and content never come to it. It is nil without them.
func (a *app) tracer(o *options) (trace func(byte, string), done func(), err error) {
	var to []io.Writer
	done = func() {}
	if o.verbose {
		to = append(to, a.err)
	}
	if o.trace != "" {
		f, err := os.OpenFile(o.trace, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("-X: %w", err)
		}
		w := bufio.NewWriter(f)
		to = append(to, w)
		done = func() {
			if err := w.Flush(); err != nil {
				a.say("-X: %v", err)
			}
			if err := f.Close(); err != nil {
				a.say("-X: %v", err)
			}
		}
	}
	if len(to) == 0 {
		return nil, done, nil
	}
	w := io.MultiWriter(to...)
	var mu sync.Mutex // several connections may talk at the same time
	return func(direction byte, line string) {
		mu.Lock()
		defer mu.Unlock()
		// A dialogue that cannot be shown must not stop the mail.
		_, _ = fmt.Fprintf(w, "%c %s\n", direction, line)
	}, done, nil
}

// visible is a header for a terminal: LF line ends, controls shown as "?".
func visible(header []byte) string {
	text := strings.ReplaceAll(string(header), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// visibleLine is alike for what is one line.
func visibleLine(s string) string { return strings.ReplaceAll(visible([]byte(s)), "\n", "?") }
