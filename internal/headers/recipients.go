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
	var lists []*listParser
	many := 0
	for i, f := range b.fields {
		if !f.isAny(names) {
			continue
		}
		p := parseList(f.Value(), domain)
		lists, many = append(lists, p), many+len(p.found)
		r.Bad = append(r.Bad, p.bad...)
		b.fields[i].whole = !p.anyBare()
	}
	once := NewSet(many)
	for _, p := range lists {
		for i := range p.found {
			once.Add(p.found[i].Address)
		}
	}
	r.Addresses = once.Addresses()
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
