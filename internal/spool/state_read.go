package spool

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// parseJSON reads a state, whoever has written it.
func parseJSON(text []byte) (*State, error) {
	r := reader{rest: string(text)}
	s := r.state()
	if !r.bad {
		return s, nil
	}
	s = &State{}
	return s, json.Unmarshal(text, s)
}

// reader reads what appendJSON writes. At anything else it is bad from then on,
// and its results mean nothing.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) state() *State {
	s := &State{}
	r.must("{")
	s.ID = r.text(`"id":`, false)
	s.Size = r.number(`,"size":`, 63, false)
	s.Sum = uint32(r.number(`,"sum":`, 32, false))
	s.Created = r.time(`,"created":`, false)
	s.Sender = r.text(`,"sender":`, false)
	s.Recipients = r.recipients(`,"recipients":`, false)
	s.Failed = r.recipients(`,"failed":`, true)
	s.Done = int(r.number(`,"done":`, strconv.IntSize-1, true))
	s.EightBit = r.flag(`,"eightbit":true`)
	s.Return = r.text(`,"ret":`, true)
	s.EnvelopeID = r.text(`,"envid":`, true)
	s.Attempts = int(r.number(`,"attempts":`, strconv.IntSize-1, true))
	s.Tried = r.time(`,"tried":`, true)
	s.Warned = r.flag(`,"warned":true`)
	s.Report = r.text(`,"report":`, true)
	s.UID = int(r.number(`,"uid":`, strconv.IntSize-1, false))
	r.must("}")
	r.bad = r.bad || r.rest != ""
	return s
}

// flag skips what it is told, if it is there.
func (r *reader) flag(what string) (ok bool) {
	r.rest, ok = strings.CutPrefix(r.rest, what)
	return ok
}

func (r *reader) must(what string) {
	if !r.flag(what) {
		r.bad = true
	}
}

// key skips the name of a field. It is false if the field is not there, and bad
// unless it may be missing.
func (r *reader) key(name string, optional bool) bool {
	ok := r.flag(name)
	r.bad = r.bad || !ok && !optional
	return ok
}

// until cuts off what stands in front of the first of some octets.
func (r *reader) until(end string) string {
	i := strings.IndexAny(r.rest, end)
	if i < 0 {
		r.bad, i = true, 0
	}
	before := r.rest[:i]
	r.rest = r.rest[i:]
	return before
}

func (r *reader) text(name string, optional bool) string {
	if !r.key(name, optional) {
		return ""
	}
	r.must(`"`)
	s := r.until(`"`)
	r.must(`"`)
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '\\' || s[i] >= utf8.RuneSelf && !utf8.ValidString(s) {
			r.bad = true
			break
		}
	}
	return s
}

// number reads one that is not negative and fits into bits.
func (r *reader) number(name string, bits int, optional bool) int64 {
	if !r.key(name, optional) {
		return 0
	}
	s := r.until(",}")
	n, err := strconv.ParseUint(s, 10, bits)
	r.bad = r.bad || err != nil || s[0] == '0' && s != "0"
	return int64(n)
}

func (r *reader) time(name string, optional bool) (t time.Time) {
	if !r.key(name, optional) {
		return t
	}
	s := r.until(",}")
	r.bad = r.bad || t.UnmarshalJSON([]byte(s)) != nil
	return t
}

func (r *reader) recipients(name string, optional bool) []Recipient {
	if !r.key(name, optional) || r.flag("null") {
		return nil
	}
	r.must("[")
	list := []Recipient{}
	for !r.bad && !r.flag("]") {
		if len(list) > 0 {
			r.must(",")
		}
		list = append(list, r.recipient())
	}
	return list
}

func (r *reader) recipient() (to Recipient) {
	r.must("{")
	to.Address = r.text(`"address":`, false)
	to.Notify = r.text(`,"notify":`, true)
	to.Original = r.text(`,"orcpt":`, true)
	to.Code = int(r.number(`,"code":`, strconv.IntSize-1, true))
	to.DSN = r.text(`,"dsn":`, true)
	to.Answer = r.text(`,"answer":`, true)
	to.Relay = r.text(`,"relay":`, true)
	to.Maybe = r.flag(`,"maybe":true`)
	r.must("}")
	return to
}
