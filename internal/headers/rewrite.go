package headers

import (
	"bytes"
	"slices"
	"strings"
)

// Rewriting says what to change in a header for a smarthost that takes only some
// addresses.
type Rewriting struct {
	// Author gives the address that stands for one in From, Sender, Resent-From
	// and Resent-Sender, and the rule that says so; no rule leaves it as it is.
	Author func(Address) (Address, string)
	// Recipient does so for To, Cc, Resent-To and Resent-Cc. nil leaves them.
	Recipient func(Address) (Address, string)
	// Fallback is for a From that holds no address, with its rule; the zero value
	// leaves such a field.
	Fallback     Address
	FallbackRule string
	// Name is the display name of a From that becomes one address by FallbackRule;
	// "" keeps the one it has, or makes one of the address that was there.
	Name string
	// Real reports an address that answers can go to. A changed From becomes a
	// Reply-To if all its addresses are, and there is none.
	Real func(Address) bool
	// ReplyTo is put into a message without Reply-To, before what Real says.
	ReplyTo string
	// AddTo puts an empty group into a message without To and Cc.
	AddTo bool
	// MessageID, without angle brackets, takes the place of one that is none
	// (RFC 5322 3.6.4), or is missing; "" leaves it.
	MessageID string
	// Original are recipients to be kept in X-Original-To.
	Original []string
}

// Rewrite changes the header and returns what it changed. Fields that no rule
// speaks of keep their bytes; of the others only the addresses change.
func (b *Block) Rewrite(w Rewriting) []Change {
	r := &rewriter{Rewriting: w}
	var replyTo []Address
	for i, f := range b.fields {
		switch {
		case f.isAny([]string{"From", "Resent-From"}):
			g, was := r.from(f)
			if was != nil && f.Is("From") && replyTo == nil {
				replyTo = was
			}
			b.fields[i] = g
		case f.isAny([]string{"Sender", "Resent-Sender"}):
			b.fields[i] = r.patch(f, w.Author)
		case w.Recipient != nil && f.isAny([]string{"To", "Cc", "Resent-To", "Resent-Cc"}):
			b.fields[i] = r.patch(f, w.Recipient)
		}
	}
	b.answers(r, replyTo)
	if w.AddTo && !b.Has("To") && !b.Has("Cc") && !b.Has("Resent-To") && !b.Has("Resent-Cc") {
		b.add(r, "To", "undisclosed-recipients:;", "added, the smarthost wants one")
	}
	b.messageID(r)
	b.original(r)
	return r.changes
}

// original keeps whom the message was for, behind the trace fields, in one step:
// they may be thousands.
func (b *Block) original(r *rewriter) {
	kept := Block{}
	for _, to := range r.Original {
		if kept.insert(len(kept.fields), "X-Original-To", to) == nil {
			r.changes = append(r.changes, Change{"X-Original-To", "added, the message goes to another address"})
		}
	}
	b.fields = slices.Insert(b.fields, b.afterTrace(), kept.fields...)
}

// answers sees to it that answers reach somebody.
func (b *Block) answers(r *rewriter, was []Address) {
	if b.Has("Reply-To") {
		return
	}
	if r.ReplyTo != "" {
		b.add(r, "Reply-To", r.ReplyTo, "added, by reply_to")
		return
	}
	var list []string
	for _, a := range was {
		if r.Real == nil || !r.Real(a) {
			return
		}
		list = append(list, a.String())
	}
	if len(list) > 0 {
		b.add(r, "Reply-To", strings.Join(list, ", "), "added, it was the author")
	}
}

// messageID sees to it that there is a good one.
func (b *Block) messageID(r *rewriter) {
	if r.MessageID == "" {
		return
	}
	for i, f := range b.fields {
		if !f.Is("Message-ID") {
			continue
		}
		if !isMessageID(f.Unfolded()) {
			b.fields[i] = newField(fold([]byte(f.Name() + ": <" + r.MessageID + ">\r\n")))
			r.changes = append(r.changes, Change{f.Name(), "replaced, it was none"})
		}
		return
	}
	b.add(r, "Message-ID", "<"+r.MessageID+">", "added, the smarthost wants one")
}

// HasMessageID reports whether there is one that any server takes.
func (b *Block) HasMessageID() bool {
	for _, f := range b.fields {
		if f.Is("Message-ID") {
			return isMessageID(f.Unfolded())
		}
	}
	return false
}

// isMessageID reports what any server takes for an id.
func isMessageID(s string) bool {
	left, right, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">"), "@")
	return ok && len(s) == len(left)+len(right)+len("<@>") && left != "" && right != "" &&
		!strings.ContainsFunc(left+right, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' || r == '@' })
}

// add puts a field in front; what could not stand there is left out.
func (b *Block) add(r *rewriter, name, value, rule string) {
	if b.Prepend(name, value) == nil {
		r.changes = append(r.changes, Change{name, rule})
	}
}

// rewriter collects what is changed.
type rewriter struct {
	Rewriting
	changes []Change
}

// edit replaces a piece of a value.
type edit struct {
	from, to int
	text     string
	rule     string
}

// edits are those of the addresses of a value that f changes.
func (r *rewriter) edits(name string, p *listParser, f func(Address) (Address, string)) []edit {
	var list []edit
	for _, a := range p.found {
		if a.Domain == "" {
			continue // a word that may be anything
		}
		to, rule := f(a.Address)
		if rule == "" || to == a.Address {
			continue
		}
		list = append(list, edit{a.span.from, a.span.to, to.String(), rule})
		r.changes = append(r.changes, Change{name, a.String() + " becomes " + to.String() + ", by " + rule})
	}
	return list
}

// patch changes the addresses of a field.
func (r *rewriter) patch(f Field, by func(Address) (Address, string)) Field {
	return apply(f, r.edits(f.Name(), parseList(f.Value(), ""), by))
}

// apply makes a field of f with pieces of its value replaced.
func apply(f Field, list []edit) Field {
	if len(list) == 0 {
		return f
	}
	slices.SortStableFunc(list, func(a, b edit) int { return a.from - b.from })
	value := f.Value()
	var out bytes.Buffer
	out.WriteString(f.Name() + ":")
	at := 0
	for _, e := range list {
		out.WriteString(value[at:e.from] + e.text)
		at = e.to
	}
	out.WriteString(value[at:] + "\r\n")
	return newField(fold(out.Bytes()))
}

// from changes a From or Resent-From, and gives its addresses as they were if it
// did.
func (r *rewriter) from(f Field) (Field, []Address) {
	value := f.Value()
	p := parseList(value, "")
	var was []Address
	for _, a := range p.found {
		if a.Domain != "" {
			was = append(was, a.Address)
		}
	}
	if len(was) == 0 {
		return r.fallback(f), nil
	}
	list := r.edits(f.Name(), p, r.Author)
	broken := len(p.bad) > 0 || len(was) < len(p.found)
	switch {
	case broken && r.Fallback != Address{} && len(list) == 0:
		return r.first(f, was[0], list), nil
	case broken && r.Fallback != Address{}:
		return r.first(f, was[0], list), was
	case len(list) == 0:
		return f, nil
	case len(was) == 1 && r.Name != "" && list[0].rule == r.FallbackRule || r.becomeOne(was):
		// Several authors may have become one, whom a list may name only once.
		return r.first(f, was[0], list), was
	case len(p.found) == 1 && !broken && unnamed(value, p.found[0].span):
		named(&list[0], p.found[0])
	}
	return apply(f, list), was
}

// first makes a field of its first author alone, as he is to be.
func (r *rewriter) first(f Field, was Address, list []edit) Field {
	to, rule := r.Author(was)
	switch {
	case rule == "" || to == was:
		if len(list) == 0 {
			r.changes = append(r.changes, Change{f.Name(), "what is no address was removed, by " + r.FallbackRule})
		}
		return replaced(f, "", was.String())
	case rule == r.FallbackRule && r.Name != "":
		return replaced(f, r.Name, to.String())
	}
	return replaced(f, nameOf(was), to.String())
}

// becomeOne reports several authors for whom the same address will stand.
func (r *rewriter) becomeOne(was []Address) bool {
	var one Address
	for i, a := range was {
		if to, rule := r.Author(a); rule != "" {
			a = to
		}
		if i > 0 && a.Key() != one.Key() {
			return false
		}
		one = a
	}
	return len(was) > 1
}

// unnamed reports a value with nothing but an address.
func unnamed(value string, s span) bool {
	return strings.Trim(value[:s.from]+value[s.to:], " \t\r\n<>") == ""
}

// named puts a display name in front of an address that gets another.
func named(e *edit, a found) {
	name := FormatName(nameOf(a.Address))
	if a.span.angle {
		e.from-- // the bracket
		e.text = name + " <" + e.text
		return
	}
	e.text = name + " <" + e.text + ">"
}

// nameOf tells user and host of an address that is no longer there.
func nameOf(a Address) string { return a.Local + " on " + a.Domain }

// fallback makes an author for a field that has none; what stands there may be
// his name.
func (r *rewriter) fallback(f Field) Field {
	if r.Fallback == (Address{}) {
		return f
	}
	name := r.Name
	if name == "" {
		name = strings.Trim(f.Unfolded(), ` \t<>",;`)
	}
	r.changes = append(r.changes, Change{f.Name(), "it named no address and becomes " + r.Fallback.String() + ", by " + r.FallbackRule})
	return replaced(f, name, r.Fallback.String())
}

// replaced is a field with one address and, perhaps, a name.
func replaced(f Field, name, address string) Field {
	if name = FormatName(strings.ToValidUTF8(name, "?")); name != "" {
		address = name + " <" + address + ">"
	}
	return newField(fold([]byte(f.Name() + ": " + address + "\r\n")))
}
