package headers

// Recipients are the addresses that -t takes from a header.
type Recipients struct {
	Addresses []Address     // each once, in order
	Bad       []*BadAddress // what is there but is no address
	Resent    bool          // the message is resent, so only its Resent- fields count
}

// Recipients reads To, Cc and Bcc, or, when any Resent- field is there, only
// Resent-To, -Cc and -Bcc of all blocks: the original recipients have the
// message already (RFC 5322 3.6.6). Repeated fields all count.
func (b *Block) Recipients(domain string) Recipients {
	var r Recipients
	r.Resent = b.resent()
	names := []string{"To", "Cc", "Bcc"}
	if r.Resent {
		names = []string{"Resent-To", "Resent-Cc", "Resent-Bcc"}
	}
	var lists [][]Address
	for i, f := range b.fields {
		if !f.isAny(names) {
			continue
		}
		p := parseList(f.Value(), domain)
		lists = append(lists, p.addresses())
		r.Bad = append(r.Bad, p.bad...)
		b.fields[i].whole = !p.anyBare()
	}
	r.Addresses = Merge(lists...)
	return r
}

func (b *Block) resent() bool {
	for _, f := range b.fields {
		if f.isResent() {
			return true
		}
	}
	return false
}

// Merge joins lists and keeps the first of equal addresses.
func Merge(lists ...[]Address) []Address {
	n := 0
	for _, list := range lists {
		n += len(list)
	}
	all := make([]Address, 0, n)
	seen := NewSet(n)
	for _, list := range lists {
		for _, a := range list {
			if seen.Add(a) {
				all = append(all, a)
			}
		}
	}
	return all
}
