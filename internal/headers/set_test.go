package headers

import (
	"fmt"
	"testing"
)

// A set is what a map of keys would be, whatever its first size was.
func TestSet(t *testing.T) {
	var list []Address
	for i := range 3000 {
		list = append(list, Address{fmt.Sprintf("u%d", i%700), []string{"a.example", "A.example", "b.example", "münchen.example"}[i%4]})
	}
	for _, s := range []*Set{{}, NewSet(0), NewSet(7), NewSet(5000)} {
		seen := make(map[string]bool)
		for _, a := range list {
			if got := s.Add(a); got == seen[a.Key()] {
				t.Fatalf("%v: %v, %d are in", a, got, len(seen))
			}
			seen[a.Key()] = true
		}
	}
}

// What begins as another does, or is divided otherwise, is another.
func TestSetTellsApart(t *testing.T) {
	s := NewSet(4)
	for _, a := range []Address{{"a", "b"}, {"b", "a"}, {"a@b", ""}, {"", "a@b"}, {"A", "b"}, {"a", "bb"}, {"ab", "b"}} {
		if !s.Add(a) || s.Add(a) {
			t.Errorf("%v", a)
		}
	}
}
