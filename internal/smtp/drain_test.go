package smtp_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/internal/smtp"
)

// way is one way to drain.
type way struct {
	name       string
	extensions []string
	window     int
	unknown    int // messages that a lost connection may leave unknown
}

func ways() []way {
	return []way{
		{"one by one", []string{"ENHANCEDSTATUSCODES"}, 1, 1},
		{"pipelined", []string{"PIPELINING"}, 1, 1},
		{"chunking", []string{"PIPELINING", "CHUNKING"}, 1, 1},
		// Without both extensions the window is not used.
		{"window without chunking", []string{"PIPELINING"}, 5, 1},
		{"window without pipelining", []string{"CHUNKING", "SIZE"}, 5, 1},
		{"window", []string{"PIPELINING", "CHUNKING"}, 3, 3},
		{"wide window", []string{"PIPELINING", "CHUNKING"}, 50, 10},
	}
}

// refusals are servers that refuse some of a load, at any step.
func refusals() map[string]func(string) string {
	when := func(what, say string) func(string) string {
		return func(command string) string {
			if strings.Contains(command, what) {
				return say
			}
			return ""
		}
	}
	all := map[string]func(string) string{
		"none":              func(string) string { return "" },
		"recipients":        when("RCPT TO:<bad", "550 5.1.1 unknown"),
		"sender 4":          when("MAIL FROM:<m4@x>", "550 5.7.1 not you"),
		"only recipient 4":  when("RCPT TO:<to4@x>", "450 4.2.1 busy"),
		"content 4":         when("content of m4@x", "554 5.6.0 spam"),
		"content 1":         when("content of m1@x", "451 4.3.0 later"),
		"farewell at 5":     when("MAIL FROM:<m5@x>", "421 4.7.0 enough"),
		"farewell in 5":     when("content of m5@x", "421 4.7.0 enough"),
		"no RSET":           when("RSET", "502 5.5.1 what"),
		"no codes at all":   nil,
		"all contents":      when("content of", "554 no"),
		"farewell at first": when("RCPT TO:<to1@x>", "421 off"),
	}
	all["no codes at all"] = func(command string) string {
		if verb, _, _ := strings.Cut(command, " "); verb == "MAIL" || verb == "RCPT" || verb == "RSET" || verb == "content" {
			return "250 ok"
		}
		return ""
	}
	return all
}

// judge holds the outcomes against what the server is responsible for: what was
// "taken" it has, what was "not taken" it has not, and nothing twice.
func judge(t testing.TB, m *model, all []*delivery, unknown int) (summary string) {
	t.Helper()
	for _, d := range all {
		if d.told == -1 || d.told > 1 {
			t.Fatalf("%s: told %d times", d.tx.Envelope.Sender, d.told)
		}
		if d.told == 0 {
			continue
		}
		doubt := false
		for i, r := range d.tx.Envelope.Recipients {
			has := 0
			for _, m := range m.taken {
				if m.from == d.tx.Envelope.Sender && slices.Contains(m.to, r.Address) && strings.Contains(m.content, "\r\n.body\r\n") {
					has++
				}
			}
			got := d.result.Recipients[i]
			switch {
			case has > 1:
				t.Fatalf("%s has it %d times", r.Address, has)
			case got.Fate == smtp.Taken && (has == 0 || got.Err != nil):
				t.Fatalf("%s: a false taken (%v)", r.Address, got.Err)
			case got.Fate == smtp.NotTaken && has > 0:
				t.Fatalf("%s: a false not taken: %v", r.Address, got.Err)
			case got.Fate != smtp.Taken && got.Err == nil:
				t.Fatalf("%s: %v without a reason", r.Address, got.Fate)
			}
			doubt = doubt || got.Fate == smtp.Unknown
			summary += fmt.Sprintf(" %s %v", r.Address, got.Fate)
		}
		if doubt {
			unknown--
		}
	}
	for _, m := range m.taken { // nobody's mail goes under another name
		i := slices.IndexFunc(all, func(d *delivery) bool { return d.tx.Envelope.Sender == m.from })
		if i < 0 || !strings.HasPrefix(m.content, fmt.Sprintf("Subject: %d\r\n", i+1)) {
			t.Fatalf("%q from %q", m.content, m.from)
		}
	}
	if unknown < 0 {
		t.Fatalf("%d more than allowed are unknown:%s", -unknown, summary)
	}
	return summary
}

// A drain of ten, with each refusal, in each way; and without a loss nothing is
// unknown.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		for name, answer := range refusals() {
			t.Run(w.name+"/"+name, func(t *testing.T) {
				m, all := newModel(w.extensions...), load(10)
				m.answer = answer
				err := drainInto(t, m, smtp.DrainOptions{Window: w.window}, all)
				farewell := strings.HasPrefix(name, "farewell")
				judge(t, m, all, 0)
				for _, d := range all {
					if d.told == 0 && !farewell && err == nil {
						t.Errorf("%s was forgotten", d.tx.Envelope.Sender)
					}
				}
				if (err != nil) != farewell {
					t.Errorf("%v", err)
				}
				if last := m.commands[len(m.commands)-1]; err == nil && last != "QUIT" {
					t.Errorf("the last command is %q", last)
				}
				if windowed := resets(m) > 5; windowed != (w.window > 1 && len(w.extensions) == 2 && w.extensions[1] == "CHUNKING") && name == "none" {
					t.Errorf("commands %q", m.commands)
				}
			})
		}
	}
}

func resets(m *model) (n int) {
	for _, c := range m.commands {
		if c == "RSET" {
			n++
		}
	}
	return n
}

// The connection is lost at every octet of the server's answers, which then goes
// on with what it has got, and at every octet of ours.
func TestDrainLost(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		names, n := []string{"recipients", "content 1"}, 3
		if w.unknown > 1 { // it begins after two
			names, n = []string{"recipients", "content 4", "only recipient 4", "no codes at all"}, 5
		}
		for _, name := range names {
			t.Run(w.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				run := func(edit func(*model)) *model {
					m, all := newModel(w.extensions...), load(n)
					m.answer = refusals()[name]
					edit(m)
					if err := drainInto(t, m, smtp.DrainOptions{Window: w.window}, all); err == nil && m.cutAnswers >= 0 && len(m.taken) < n-1 {
						t.Error("a lost connection is no error")
					}
					judge(t, m, all, w.unknown)
					return m
				}
				whole := run(func(*model) {})
				for cut := range whole.said {
					run(func(m *model) { m.cutAnswers = cut })
				}
				for cut := range whole.got {
					// What was answered before is heard, or lost with the connection.
					run(func(m *model) { m.cutCommands, m.deaf = cut, cut%3 == 0 })
				}
				for step := range 3 {
					m := run(func(m *model) { m.step = step + 1 })
					if !slices.Equal(m.commands, whole.commands) {
						t.Errorf("%q when read slowly, else %q", m.commands, whole.commands)
					}
				}
			})
		}
	}
}

// Replies that are one too many or one too few make no false "taken", wherever
// they are. (A reply too many after the last one is nobody's business.)
func TestDrainOutOfStep(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		for _, name := range []string{"recipients", "content 4", "content 1", "all contents"} {
			for what, change := range map[string]func(string) string{
				"surplus 250":     func(r string) string { return r + "250 ok\r\n" },
				"surplus 250 2.0": func(r string) string { return "250 2.0.0 ok\r\n" + r },
				"surplus 550":     func(r string) string { return r + "550 no\r\n" },
				"surplus 354":     func(r string) string { return r + "354 go on\r\n" },
				"twice":           func(r string) string { return r + r },
				"two more":        func(r string) string { return r + "250 a\r\n250 b\r\n" },
				"missing":         func(string) string { return "" },
				"garbage":         func(string) string { return "hello\r\n" },
			} {
				t.Run(w.name+"/"+name+"/"+what, func(t *testing.T) {
					t.Parallel()
					run := func(n int) *model {
						m, all := newModel(w.extensions...), load(6)
						m.answer = refusals()[name]
						m.change = func(i int, reply string) string {
							if i == n {
								return change(reply)
							}
							return reply
						}
						_ = drainInto(t, m, smtp.DrainOptions{Window: w.window}, all) // the outcomes are judged
						for _, d := range all {
							if d.told < 0 || d.told > 1 {
								t.Fatalf("told %d times", d.told)
							}
							for i := range d.result.Recipients {
								isFalse(t, m, d, i, n)
							}
						}
						return m
					}
					for n := range run(-1).replies {
						run(n + 2)
					}
				})
			}
		}
	}
}

// isFalse fails the test if a recipient is said to have what it has not.
func isFalse(t *testing.T, m *model, d *delivery, i, n int) {
	t.Helper()
	if d.result.Recipients[i].Fate != smtp.Taken {
		return
	}
	to := d.tx.Envelope.Recipients[i].Address
	if !slices.ContainsFunc(m.taken, func(k taken) bool {
		return k.from == d.tx.Envelope.Sender && slices.Contains(k.to, to)
	}) {
		t.Errorf("reply %d: a false taken for %s", n, to)
	}
}
