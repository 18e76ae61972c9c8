package headers

// plainItem reads "local@domain" and the comma or end behind it, as nearly all
// that lists hold is, without taking it apart into tokens: a message may have
// thousands. end is where the list goes on, and 0 if what stands there is anything
// else; then it says nothing about it.
func plainItem(value string, from int) (f found, end int) {
	for from < len(value) && isSpace(value[from]) {
		from++
	}
	at := from
	for at < len(value) && (value[at] == '.' || isAtext(value[at])) {
		at++
	}
	if at == from || at == len(value) || value[at] != '@' {
		return f, 0
	}
	to := plainDomain(value, at+1)
	if to == at+1 || to-from > maxAddress {
		return f, 0
	}
	for end = to; end < len(value) && isSpace(value[end]); {
		end++
	}
	if end < len(value) {
		if value[end] != ',' && value[end] != ';' {
			return f, 0
		}
		end++
	}
	f = found{Address: Address{Local: value[from:at], Domain: value[at+1 : to]}, end: to, span: span{from: from, to: to}}
	return f, end
}

// plainDomain is where the domain at from ends: labels with a dot between them. It
// is from for what begins or ends with a dot, or has two in a row.
func plainDomain(value string, from int) int {
	to := from
	dot := true
	for ; to < len(value); to++ {
		switch c := value[to]; {
		case isAlnum(c) || c == '-' || c == '_':
			dot = false
		case c != '.':
			if dot {
				return from
			}
			return to
		case dot:
			return from
		default:
			dot = true
		}
	}
	if dot {
		return from
	}
	return to
}
