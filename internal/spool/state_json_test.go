package spool

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// filled gives every field a value, also those of the elements of lists.
func filled(t *testing.T, v reflect.Value, n int) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(string(rune('a'+n)) + "<\"\\\x7f\u2028ü\xff>")
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n + 1))
	case reflect.Uint32:
		v.SetUint(uint64(n + 1))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			filled(t, v.Index(i), i)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 24, 12, 0, n, 5000, time.UTC)))
			return
		}
		for i := range v.NumField() {
			filled(t, v.Field(i), i)
		}
	default:
		t.Fatalf("what is a %v?", v.Kind())
	}
}

// same fails the test unless s is written as the library writes it, and read as
// the library reads it; and says whether it is read without the library.
func same(t *testing.T, s *State) (quick bool) {
	t.Helper()
	want, wantErr := json.Marshal(s)
	got, err := s.appendJSON(nil)
	if (err == nil) != (wantErr == nil) || err == nil && string(got) != string(want) {
		t.Fatalf("written:\n%s %v, want\n%s %v", got, err, want, wantErr)
	}
	if err != nil {
		return false
	}
	return sameRead(t, want)
}

func sameRead(t *testing.T, text []byte) (quick bool) {
	t.Helper()
	want := &State{}
	wantErr := json.Unmarshal(text, want)
	got, err := parseJSON(text)
	if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("%s\nread as %+v %v,\nwant    %+v %v", text, got, err, want, wantErr)
	}
	r := reader{rest: string(text)}
	r.state()
	return !r.bad
}

func TestStateJSON(t *testing.T) {
	var all State
	filled(t, reflect.ValueOf(&all).Elem(), 0)
	if same(t, &all) {
		t.Error("with escapes it was read without the library")
	}
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, s := range map[string]*State{
		"nothing":       {},
		"no recipients": {Recipients: []Recipient{}},
		"plain": {ID: "id0000000001", Size: 1 << 40, Sum: 1<<32 - 1, Created: noon, Sender: "s@x", UID: 1000,
			Recipients: []Recipient{{Address: "a@x"}, {Address: "b@x", Code: 451, DSN: "4.7.1", Answer: "later, (maybe) {not} [yet]", Maybe: true}}},
		"another zone": {Created: noon.In(time.FixedZone("", 3600)), Tried: noon, Warned: true, Report: "delay", Attempts: 3},
		"UTF-8":        {Sender: "grüße@x"},
	} {
		if !same(t, s) {
			t.Errorf("%s: what is usual needs the library", name)
		}
	}
	for name, s := range map[string]*State{
		"a uid below zero":         {UID: -1},
		"a year without four ends": {Created: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if same(t, s) {
			t.Errorf("%s: read without the library", name)
		}
	}
}

func FuzzStateJSON(f *testing.F) {
	var all State
	all.Recipients, all.Failed = []Recipient{{Address: "a@x", Answer: "451 4.7.1 later"}}, []Recipient{{Notify: "NEVER", Original: "rfc822;a"}, {Maybe: true}}
	text, err := json.Marshal(all)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"id":"","size":0,"sum":0,"created":"2026-11-24T12:00:00Z","sender":"","recipients":null,"uid":0}`))
	f.Add([]byte(`{"id":"","size":01,"sum":4294967296,"created":null,"sender":"","recipients":[,],"uid":-0}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		sameRead(t, text)
		s := &State{}
		if json.Unmarshal(text, s) == nil {
			same(t, s)
		}
	})
}

// BenchmarkState is what a line of the log costs.
func BenchmarkState(b *testing.B) {
	s := &State{ID: "id0000000001", Created: time.Date(2026, 11, 24, 12, 0, 0, 5, time.UTC), Sender: "app@x.example",
		Recipients: []Recipient{{Address: "ops@x.example", Code: 451, DSN: "4.7.1", Answer: "451 4.7.1 Greylisted, try again"}}}
	line, err := s.line()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.line(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parseLine(line[:len(line)-1]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
