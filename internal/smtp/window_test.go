package smtp_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/internal/smtp"
)

// flights is a model that counts how often the client speaks after having heard
// something.
type flights struct {
	*model
	heard  bool
	n      int
	before func() // called before each write; may be nil
}

func (f *flights) Write(p []byte) (int, error) {
	if f.heard {
		f.n++
	}
	f.heard = false
	if f.before != nil {
		f.before()
	}
	return f.model.Write(p)
}

func (f *flights) Read(p []byte) (int, error) {
	f.heard = true
	return f.model.Read(p)
}

// A window that has room for ten carries ten in each flight, and what is known of ten
// is told once.
func TestWindowFlights(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		n, window int
		flights   int // EHLO, the two plain ones, the window, QUIT if it comes alone
		told      int
	}{
		{2, 10, 4, 2},
		{11, 10, 4, 3},
		{12, 10, 5, 3},
		{102, 10, 14, 12},
		{101, 10, 13, 12},
		{12, 2, 9, 7},
		{10, 1, 12, 10}, // DATA: the first envelope goes alone
	} {
		t.Run(fmt.Sprint(test.n, " by ", test.window), func(t *testing.T) {
			m := newModel("PIPELINING", "CHUNKING")
			f, told := &flights{model: m}, 0
			o := smtp.DrainOptions{Window: test.window, Told: func() { told++ }}
			all := load(test.n)
			for _, d := range all { // with several QUIT waits until they are not too many
				d.tx.Envelope.Recipients = d.tx.Envelope.Recipients[:1]
			}
			if err := drainInto(t, f, o, all); err != nil {
				t.Error(err)
			}
			judge(t, m, all, 0)
			if f.n != test.flights || told != test.told {
				t.Errorf("%d flights, told %d times", f.n, told)
			}
		})
	}
}

// Nothing is sent while an outcome is known that Told was not called for, and never
// are more messages unheard of than may be in flight; one more is at hand. That holds
// however the answers come.
func TestToldBeforeMoreIsSent(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		for name, answer := range refusals() {
			for step := range 4 {
				t.Run(fmt.Sprint(w.name, "/", name, "/", step), func(t *testing.T) {
					m, all := newModel(w.extensions...), load(23)
					m.answer, m.step = answer, step*7
					known := func() (asked, heard int) {
						for _, d := range all {
							if d.told != 0 {
								asked++
							}
							if d.told > 0 {
								heard++
							}
						}
						return asked, heard
					}
					told := 0
					f := &flights{model: m, before: func() {
						if asked, heard := known(); heard > told || asked-told > w.window+1 {
							t.Errorf("%d asked for, %d heard of, %d told", asked, heard, told)
						}
					}}
					o := smtp.DrainOptions{Window: w.window, Told: func() { _, told = known() }}
					_ = drainInto(t, f, o, all) // the outcomes are judged
					judge(t, m, all, 0)
					if _, heard := known(); heard != told {
						t.Errorf("%d heard of, %d told", heard, told)
					}
				})
			}
		}
	}
}

// tail is the commands from the n-th MAIL on, by their verbs.
func tail(m *model, n int) (verbs string) {
	for _, c := range m.commands {
		verb, _, _ := strings.Cut(c, " ")
		if verb == "MAIL" {
			n--
		}
		if n <= 0 {
			verbs += " " + verb
		}
	}
	return verbs
}

// Content is wasted once on a connection, and that it was does not end the hope for
// a window.
func TestWindowWastesOnce(t *testing.T) {
	t.Parallel()
	m, all := newModel("PIPELINING", "CHUNKING"), load(9)
	m.answer = func(command string) string {
		if strings.HasPrefix(command, "RCPT TO:<to1@") || strings.HasPrefix(command, "RCPT TO:<to3@") {
			return "550 5.1.1 unknown"
		}
		return ""
	}
	if err := drainInto(t, m, smtp.DrainOptions{Window: 3}, all); err != nil {
		t.Error(err)
	}
	judge(t, m, all, 0)
	// m1 is wasted; m2 and m4 make two successes.
	want := " MAIL RCPT BDAT RSET MAIL RCPT RCPT DATA MAIL RCPT DATA RSET MAIL RCPT DATA"
	if got := tail(m, 1); !strings.HasPrefix(got, want) || strings.Count(got, "BDAT") != 1+5 {
		t.Errorf("%q", got)
	}
}

// Where RSET is never answered twice the same there is no window, and nothing comes of
// that but round trips.
func TestWindowNeedsTheSameAnswer(t *testing.T) {
	t.Parallel()
	m, all := newModel("PIPELINING", "CHUNKING"), load(9)
	n := 0
	m.answer = func(command string) string {
		if command != "RSET" {
			return ""
		}
		n++
		return fmt.Sprintf("250 2.0.0 flushed %d", n)
	}
	if err := drainInto(t, m, smtp.DrainOptions{Window: 3}, all); err != nil {
		t.Error(err)
	}
	judge(t, m, all, 0)
	if len(m.taken) != 9 || n != 2 || strings.Count(tail(m, 1), "BDAT") != 2 {
		t.Errorf("%d taken: %q", len(m.taken), tail(m, 1))
	}
}

// A message that has more recipients than a server takes at a time gets further
// transactions on the same connection, be it the last one or not.
func TestWindowTooManyRecipients(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 6; n++ {
		m, all := newModel("PIPELINING", "CHUNKING"), load(n)
		for i, d := range all {
			d.tx.Envelope.Recipients = smtp.RecipientsOf(fmt.Sprintf("a%d@x", i), fmt.Sprintf("b%d@x", i), fmt.Sprintf("c%d@x", i))
		}
		m.answer = func(command string) string {
			if strings.HasPrefix(command, "RCPT") && len(m.to) == 2 {
				return "452 4.5.3 too many"
			}
			return ""
		}
		if err := drainInto(t, m, smtp.DrainOptions{Window: 2}, all); err != nil {
			t.Error(err)
		}
		judge(t, m, all, 0)
		if len(m.taken) != 2*n || m.commands[len(m.commands)-1] != "QUIT" {
			t.Errorf("%d of %d messages: %q", len(m.taken), 2*n, m.commands)
		}
		for _, d := range all {
			if slices.ContainsFunc(d.result.Recipients, func(r smtp.RecipientResult) bool { return r.Err != nil }) {
				t.Errorf("of %d messages: %+v", n, d.result.Recipients)
			}
		}
	}
}

// A message that cannot be read is the only one to suffer: nothing of it is sent, and
// the connection goes on.
func TestWindowUnreadable(t *testing.T) {
	t.Parallel()
	for bad := range 9 {
		m, all := newModel("PIPELINING", "CHUNKING"), load(9)
		all[bad].tx.Message = oddMessage{"Subject: odd\r\n", 100}
		if err := drainInto(t, m, smtp.DrainOptions{Window: 3}, all); err != nil {
			t.Error(err)
		}
		judge(t, m, all, 0)
		for i, d := range all {
			if err := d.result.Recipients[0].Err; errors.Is(err, smtp.ErrMessage) != (i == bad) || i != bad && err != nil {
				t.Errorf("message %d of which %d is odd: %v", i, bad, err)
			}
		}
		if len(m.taken) != 8 || strings.Contains(strings.Join(m.commands, " "), fmt.Sprintf("<m%d@x>", bad+1)) || slices.Contains(m.commands, "DATA") {
			t.Errorf("%d taken: %q", len(m.taken), m.commands)
		}
	}
}
