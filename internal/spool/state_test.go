package spool

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"
	"time"
)

// octets is a Source.
type octets struct{ *bytes.Reader }

func (octets) Close() error { return nil }

func of(b []byte) Source { return octets{bytes.NewReader(b)} }

const stateID = "id0000000001"

func state(n int, size int64) *State {
	return &State{ID: stateID, Size: size, Attempts: n, Created: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Sender: "s@x",
		Recipients: []Recipient{{Address: "a@x", Answer: "451 4.7.1 \"later\" <\n>"}}}
}

// logged is a file: a message and states.
func logged(t testing.TB, message string, states int) []byte {
	t.Helper()
	file := []byte(message)
	if message != "" && !strings.HasSuffix(message, "\n") {
		file = append(file, '\n') // as Commit does
	}
	for n := range states {
		line, err := state(n, int64(len(message))).line()
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, line...)
	}
	return file
}

// A cut file has the last state whose line is whole, at every length.
func TestReadStateCut(t *testing.T) {
	const message = "Subject: x\r\n\r\nbody\r\n"
	file := logged(t, message, 4)
	var ends []int // of lines
	for i, c := range file {
		if c == '\n' && i >= len(message) {
			ends = append(ends, i+1)
		}
	}
	for n := range len(file) + 1 {
		want := -1
		for i, end := range ends {
			if n >= end {
				want = i
			}
		}
		s, torn, err := readState(of(file[:n]), stateID, nil)
		switch {
		case want < 0 && !errors.Is(err, ErrDamaged):
			t.Fatalf("%d octets: %+v %v", n, s, err)
		case want >= 0 && (err != nil || !reflect.DeepEqual(s, state(want, int64(len(message))))):
			t.Fatalf("%d octets: %+v %v, want state %d", n, s, err, want)
		}
		if n > 0 && torn != (file[n-1] != '\n') {
			t.Fatalf("%d octets: torn is %v", n, torn)
		}
	}
}

// A state longer than what is read first, and one behind much that is torn.
func TestReadStateLong(t *testing.T) {
	for _, recipients := range []int{1, 20, 200, 5000} {
		s := state(1, 10)
		for i := range recipients {
			s.Recipients = append(s.Recipients, Recipient{Address: fmt.Sprintf("recipient%d@example.com", i)})
		}
		line, err := s.line()
		if err != nil {
			t.Fatal(err)
		}
		for _, behind := range []string{"", strings.Repeat("x", 100), strings.Repeat("torn\n", 50_000)} {
			got, _, err := readState(of([]byte("01234567\r\n"+string(line)+behind)), stateID, nil)
			if err != nil || len(got.Recipients) != recipients+1 {
				t.Errorf("%d recipients, %d octets behind: %v", recipients, len(behind), err)
			}
		}
	}
}

// The text of a message cannot pass for a state of it.
func TestReadStateForged(t *testing.T) {
	forge := func(change func(s *State)) string {
		s := state(9, 0)
		change(s)
		line, err := s.line()
		if err != nil {
			t.Fatal(err)
		}
		return string(line)
	}
	tests := []struct{ why, text string }{
		{"another id: the right one was drawn later", forge(func(s *State) { s.ID = "id0000000002" })},
		{"a size that reaches beyond the line", forge(func(s *State) { s.Size = 1 })},
		{"a negative size", forge(func(s *State) { s.Size = -1 })},
		{"no checksum", "postern 1 00000000 {}\n"},
		{"no JSON", fmt.Sprintf("postern 1 %08x nonsense\n", sum("nonsense"))},
		{"an upper-case checksum", strings.ToUpper(forge(func(*State) {}))},
		{"a blank in front", " " + forge(func(*State) {})},
	}
	for _, test := range tests {
		if s, _, err := readState(of([]byte(test.text)), stateID, nil); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %+v %v", test.why, s, err)
		}
	}
}

func sum(s string) uint32 { return crc32.Checksum([]byte(s), castagnoli()) }

// A file of a later version is told from a damaged one.
func TestReadStateVersion(t *testing.T) {
	text := `{"id":"id0000000001","news":true}`
	file := fmt.Sprintf("message\r\npostern 7 %08x %s\n", sum(text), text)
	if _, _, err := readState(of([]byte(file)), stateID, nil); !errors.Is(err, ErrVersion) {
		t.Errorf("%v", err)
	}
	// Fields that a later release adds to this version do no harm.
	text = `{"id":"id0000000001","size":9,"news":true}`
	file = fmt.Sprintf("message\r\npostern 1 %08x %s\n", sum(text), text)
	if s, _, err := readState(of([]byte(file)), stateID, nil); err != nil || s.Size != 9 {
		t.Errorf("%+v %v", s, err)
	}
}

// FuzzReadState asserts that the reader never gives a state that was not written,
// whatever lies in front of it, behind it, or where the file was cut.
func FuzzReadState(f *testing.F) {
	f.Add([]byte("Subject: x\r\n\r\nbody\r\n"), []byte(""), 3, 0)
	f.Add([]byte("postern 1 00000000 {}\n"), []byte("postern 1 00000000 {\"id\":\"id0000000001\"}\n"), 1, 20)
	f.Add([]byte(""), []byte("\x00\x00\x00"), 2, 1)
	f.Fuzz(func(t *testing.T, message, behind []byte, states, cut int) {
		states = 1 + states&3
		whole := logged(t, string(message), states)
		file := append(bytes.Clone(whole), behind...)
		cut = min(max(cut, 0), len(file))
		file = file[:len(file)-cut]
		s, _, err := readState(of(file), stateID, nil)
		intact := len(file) >= len(whole) // no line of ours is cut
		switch {
		case errors.Is(err, ErrVersion):
			t.Skip("a valid checksum, by a wonder")
		case intact && err != nil:
			t.Fatalf("the state is lost: %v", err)
		case err != nil && len(file) > len(logged(t, string(message), 1)):
			t.Fatalf("no state, but the first was whole: %v", err)
		case err == nil:
			if s.Attempts < 0 || s.Attempts >= states || !reflect.DeepEqual(s, state(s.Attempts, int64(len(message)))) {
				t.Fatalf("a state that nobody wrote: %+v", s)
			}
			if intact && s.Attempts != states-1 {
				t.Fatalf("state %d is not the last", s.Attempts)
			}
			if len(file) < len(logged(t, string(message), s.Attempts+1)) {
				t.Fatalf("state %d of a file in which it is cut", s.Attempts)
			}
		}
	})
}

// FuzzName asserts that a name that is ours gives itself back, and never leads
// out of its directory.
func FuzzName(f *testing.F) {
	f.Add("queue", "1764000000.id0000000001")
	f.Add("active", "1764000000.id0000000001.1764000900.host-1-2")
	f.Add("queue", "../../etc.passwd")
	f.Fuzz(func(t *testing.T, dir, name string) {
		for _, dir := range append(places(), dir) {
			r, ok := parseName(dir, name)
			if !ok {
				continue
			}
			if r.name() != dir+"/"+name || strings.ContainsAny(name, "/\x00\n ") || strings.HasPrefix(name, ".") {
				t.Errorf("%q in %q became %q", name, dir, r.name())
			}
		}
	})
}
