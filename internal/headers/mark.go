package headers

import (
	"mime"
	"strings"
)

// Line is a field to be added.
type Line struct{ Name, Value string }

// Mark adds what tells who submitted a message: received, if it is not "", as a
// Received field on top of all, and lines. A line whose name begins with X- takes
// the place of what the caller wrote, who could claim anything; any other is only
// for a message without such a field.
func (b *Block) Mark(received string, lines []Line) []Change {
	var changes []Change
	for i := len(lines) - 1; i >= 0; i-- { // each is put in front of the one before
		l := lines[i]
		if !isASCII(l.Value) {
			l.Value = mime.QEncoding.Encode("utf-8", strings.ToValidUTF8(l.Value, "?"))
		}
		rule := "added, by add in [headers]"
		switch {
		case len(l.Name) > 2 && strings.EqualFold(l.Name[:2], "X-"):
			if b.Remove(l.Name) > 0 {
				rule = "replaced, by add in [headers]"
			}
		case b.Has(l.Name):
			continue
		}
		if b.Prepend(l.Name, l.Value) == nil {
			changes = append(changes, Change{l.Name, rule})
		}
	}
	if received != "" && b.insert(0, "Received", received) == nil {
		changes = append(changes, Change{"Received", "added, by received in [headers]"})
	}
	return changes
}
