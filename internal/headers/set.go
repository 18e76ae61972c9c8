package headers

import "hash/maphash"

// Set holds addresses, those of the same mailbox once: what Key says, without a
// text made for each. The zero Set is empty.
type Set struct {
	seed  maphash.Seed
	list  []Address // in their normal form
	slots []int32   // place in list + 1, by hash; 0 is free
}

// NewSet makes room for n addresses.
func NewSet(n int) *Set {
	s := &Set{list: make([]Address, 0, n)}
	s.rehash(n)
	return s
}

// Add puts an address in, and is false if its mailbox is there already.
func (s *Set) Add(a Address) bool {
	if 2*len(s.list) >= len(s.slots) {
		s.rehash(2 * len(s.list))
	}
	a = a.normal()
	at := s.hash(a)
	for ; s.slots[at] != 0; at = (at + 1) & (len(s.slots) - 1) {
		if s.list[s.slots[at]-1] == a {
			return false
		}
	}
	s.list = append(s.list, a)
	s.slots[at] = int32(len(s.list))
	return true
}

// rehash has twice as many places as there are addresses, at least, so that a
// search is short. Their number is a power of two.
func (s *Set) rehash(n int) {
	size := 8
	for size <= 2*n {
		size *= 2
	}
	s.seed, s.slots = maphash.MakeSeed(), make([]int32, size)
	for i, a := range s.list {
		at := s.hash(a)
		for s.slots[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		s.slots[at] = int32(i + 1)
	}
}

// hash is the place to begin at. Nobody outside knows the seed, so nobody can
// choose addresses that all begin at the same.
func (s *Set) hash(a Address) int {
	h := maphash.String(s.seed, a.Local) + 31*maphash.String(s.seed, a.Domain)
	return int(h) & (len(s.slots) - 1)
}
