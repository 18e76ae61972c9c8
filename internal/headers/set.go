package headers

import "hash/maphash"

// Set holds addresses in their order, those of the same mailbox once: what Key
// says, without a text made for each. The zero Set is empty.
type Set struct {
	seed  maphash.Seed
	list  []Address
	slots []int32 // place in list + 1, by hash; 0 is free
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
	key := a.normal()
	at := s.hash(key)
	for ; s.slots[at] != 0; at = s.behind(at) {
		if s.list[s.slots[at]-1].normal() == key {
			return false
		}
	}
	s.list = append(s.list, a)
	s.slots[at] = int32(len(s.list))
	return true
}

// Addresses are those that were put in. They must not be changed.
func (s *Set) Addresses() []Address { return s.list }

// rehash makes more than twice as many slots as there are addresses, so that a
// search is short. Their number is a power of two.
func (s *Set) rehash(n int) {
	size := 8
	for size <= 2*n {
		size *= 2
	}
	s.seed, s.slots = maphash.MakeSeed(), make([]int32, size)
	for i, a := range s.list {
		at := s.hash(a.normal())
		for s.slots[at] != 0 {
			at = s.behind(at)
		}
		s.slots[at] = int32(i + 1)
	}
}

// hash is the slot to begin at. Nobody outside knows the seed, so nobody can
// choose addresses that all begin at the same.
func (s *Set) hash(key Address) int {
	h := maphash.String(s.seed, key.Local) + 31*maphash.String(s.seed, key.Domain)
	return int(h) & (len(s.slots) - 1)
}

func (s *Set) behind(at int) int { return (at + 1) & (len(s.slots) - 1) }
