package headers

import (
	"mime"
	"slices"
	"strings"
	"time"
)

// Submission is what a message needs to know to be complete.
type Submission struct {
	Domain     string // for bare local names, and MAILER-DAEMON
	Sender     Address
	SenderNull bool
	FullName   string // for a From that is missing; may be ""
	Date       time.Time
	MessageID  string   // without angle brackets
	Leave      []string // of Date, From and Message-ID, what somebody else adds
}

// Change is an edit, for people.
type Change struct{ Field, Rule string }

// DateForm is a date as header fields have it (RFC 5322 3.3).
const DateForm = "Mon, 2 Jan 2006 15:04:05 -0700"

// Complete makes the header fit to be sent and returns what it changed:
//
//   - Bcc and Resent-Bcc go always, Return-Path and Content-Length too: the
//     first are secret, the others not true any more.
//   - Bare local names in address fields get the domain.
//   - Date, Message-ID and From are added if there is no such field; in a resent
//     message Resent-Date, Resent-Message-ID and Resent-From, and not the former,
//     which would claim to be the author's (RFC 5322 3.6.6).
//   - Lines over 998 octets are folded (RFC 5322 2.1.1).
//
// Nothing else is touched.
func (b *Block) Complete(s Submission) []Change {
	var changes []Change
	note := func(field, rule string) { changes = append(changes, Change{field, rule}) }
	resent := b.resent()
	for _, name := range []string{"Bcc", "Resent-Bcc"} {
		if b.Remove(name) > 0 {
			note(name, "removed, nobody may see it")
		}
	}
	for _, name := range []string{"Return-Path", "Content-Length"} {
		if b.Remove(name) > 0 {
			note(name, "removed, it is not true any more")
		}
	}
	for i := range b.fields {
		if f, changed := qualify(b.fields[i], s.Domain); changed {
			b.fields[i] = f
			note(f.Name(), "domain added to a bare name")
		}
		if raw := b.fields[i].raw; tooLong(raw) {
			b.fields[i] = newField(fold(raw))
			note(b.fields[i].Name(), "folded, a line was over 998 octets")
		}
	}
	b.addMissing(s, resent, note)
	return changes
}

// addMissing puts the fields that every message needs in front.
func (b *Block) addMissing(s Submission, resent bool, note func(field, rule string)) {
	prefix, at := "", b.afterTrace()
	if resent {
		prefix, at = "Resent-", b.firstResent()
	}
	// In this order, since each is put in front of the one before.
	for _, add := range []struct{ name, value string }{
		{"Message-ID", "<" + s.MessageID + ">"},
		{"From", s.from()},
		{"Date", s.Date.Format(DateForm)},
	} {
		name := prefix + add.name
		if b.Has(name) || slices.Contains(s.Leave, add.name) {
			continue
		}
		// What is added is made of checked parts; a field that could not stand
		// here is left out rather than sent broken.
		if err := b.insert(at, name, add.value); err == nil {
			note(name, "added")
		}
	}
}

// firstResent is the place of the newest block of Resent- fields, which stand
// on top of older ones.
func (b *Block) firstResent() int {
	for i, f := range b.fields {
		if f.isResent() {
			return i
		}
	}
	return b.afterTrace()
}

// from is the sender as author.
func (s Submission) from() string {
	address := s.Sender
	if s.SenderNull {
		address = Address{Local: "MAILER-DAEMON", Domain: s.Domain}
	}
	if name := FormatName(s.FullName); name != "" && !s.SenderNull {
		return name + " <" + address.String() + ">"
	}
	return address.String()
}

// FormatName writes a display name: as it is, quoted if it has specials
// (RFC 5322 3.2.4), encoded if it is not ASCII (RFC 2047). Control characters
// are dropped.
func FormatName(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, name))
	switch {
	case !isASCII(name) && strings.ContainsAny(name, "\"#$%&'(),.:;<>@[\\]^`{|}~"):
		// QEncoding leaves these as they are, which a name may not (RFC 2047 5.3):
		// the comma in "Dö, J" would make two addresses of it.
		return mime.BEncoding.Encode("utf-8", name)
	case !isASCII(name):
		return mime.QEncoding.Encode("utf-8", name)
	case strings.ContainsAny(name, `()<>[]:;@\,."`):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name
}
