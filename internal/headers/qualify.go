package headers

import "bytes"

// isAddressField reports the fields in which bare local names get the domain
// (RFC 5322 3.6.2, 3.6.3, 3.6.6).
func (f Field) isAddressField() bool {
	return f.isAny([]string{"From", "Sender", "Reply-To", "To", "Cc",
		"Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc"})
}

// qualify adds "@domain" behind bare local names, and touches nothing else: what
// is bad, and words without a comma between them, which may be a name, stay.
func qualify(f Field, domain string) (Field, bool) {
	if domain == "" || f.whole || !f.isAddressField() {
		return f, false
	}
	value := f.Value()
	var out bytes.Buffer
	out.WriteString(f.Name() + ":")
	at := 0
	for _, a := range parseList(value, domain).found {
		if !a.bare {
			continue
		}
		out.WriteString(value[at:a.end] + "@" + domain)
		at = a.end
	}
	if at == 0 {
		return f, false
	}
	out.WriteString(value[at:] + "\r\n")
	return newField(out.Bytes()), true
}
