package spool

import (
	"encoding/json"
	"strconv"
	"time"
)

// The JSON of a state is written and read here, field by field in the order of
// the types. The library looks at the types first, which is long for a process
// that keeps one message, and ten thousand lines are half of what mailq takes.
// What is written is what the library writes; a line that was not written so is
// left to the library.

// appendJSON writes s.
func (s *State) appendJSON(b []byte) ([]byte, error) {
	w := writer{b: append(b, '{')}
	w.text("id", s.ID, false)
	w.number("size", s.Size, false)
	w.number("sum", int64(s.Sum), false)
	w.time("created", s.Created, false)
	w.text("sender", s.Sender, false)
	w.recipients("recipients", s.Recipients, false)
	w.recipients("failed", s.Failed, true)
	w.number("done", int64(s.Done), true)
	w.flag("eightbit", s.EightBit)
	w.text("ret", s.Return, true)
	w.text("envid", s.EnvelopeID, true)
	w.number("attempts", int64(s.Attempts), true)
	w.time("tried", s.Tried, true)
	w.flag("warned", s.Warned)
	w.text("report", s.Report, true)
	w.number("uid", int64(s.UID), false)
	return append(w.b, '}'), w.err
}

// writer writes the fields of an object. Those that may be missing (omit) are,
// if they are empty.
type writer struct {
	b   []byte
	err error
}

func (w *writer) key(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(append(append(w.b, '"'), name...), `":`...)
}

func (w *writer) text(name, value string, omit bool) {
	if omit && value == "" {
		return
	}
	w.key(name)
	if isVerbatim(value) {
		w.b = append(append(append(w.b, '"'), value...), '"')
		return
	}
	w.add(json.Marshal(value))
}

// isVerbatim reports that the library puts s between quotes as it is.
func isVerbatim(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c >= 0x7f, c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

func (w *writer) number(name string, value int64, omit bool) {
	if omit && value == 0 {
		return
	}
	w.key(name)
	w.b = strconv.AppendInt(w.b, value, 10)
}

func (w *writer) flag(name string, value bool) {
	if value {
		w.key(name)
		w.b = append(w.b, "true"...)
	}
}

func (w *writer) time(name string, value time.Time, omit bool) {
	if omit && value.IsZero() {
		return
	}
	w.key(name)
	w.add(value.MarshalJSON())
}

func (w *writer) add(text []byte, err error) {
	w.b = append(w.b, text...)
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) recipients(name string, list []Recipient, omit bool) {
	if omit && len(list) == 0 {
		return
	}
	w.key(name)
	if list == nil {
		w.b = append(w.b, "null"...)
		return
	}
	w.b = append(w.b, '[')
	for i := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.recipient(&list[i])
	}
	w.b = append(w.b, ']')
}

func (w *writer) recipient(r *Recipient) {
	w.b = append(w.b, '{')
	w.text("address", r.Address, false)
	w.text("notify", r.Notify, true)
	w.text("orcpt", r.Original, true)
	w.number("code", int64(r.Code), true)
	w.text("dsn", r.DSN, true)
	w.text("answer", r.Answer, true)
	w.text("relay", r.Relay, true)
	w.flag("maybe", r.Maybe)
	w.b = append(w.b, '}')
}
