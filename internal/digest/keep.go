package digest

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// Digest is what came within a time.
type Digest struct {
	From, To time.Time // when its first and its last line came
	Lines    int64     // lines in it, those that were left out included
	Matches  int64     // lines that matched; all, if nothing was asked for
	Left     int64     // lines left out of the middle
	LeftSize int64     // octets of them
	First    string    // the first line that matched and is not empty

	note string // of what was lost before
	head []byte
	tail [2]segment // the older first
}

// segment is a part of the tail.
type segment struct {
	text  []byte
	lines int64
}

// Text is what the message says: the lines, and a note where some are left out.
func (d *Digest) Text() io.Reader {
	var middle string
	if d.Left > 0 {
		middle = fmt.Sprintf("\n[... %d lines, %s, are left out here ...]\n\n", d.Left, Size(d.LeftSize))
	}
	return io.MultiReader(strings.NewReader(d.note), bytes.NewReader(d.head), strings.NewReader(middle),
		bytes.NewReader(d.tail[0].text), bytes.NewReader(d.tail[1].text))
}

// Size is a number of octets for people.
func Size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d octets", n)
}

// add takes a line. Half of size is for the first lines; the rest is for the
// last ones, in two segments of which the older is dropped when the newer is
// full. So no line is moved, and there are always lines enough at the end.
func (d *Digest) add(line []byte, size int) {
	d.Lines++
	need := len(line) + 1
	if d.tail[1].text == nil && d.Left == 0 && len(d.head)+need <= size/2 {
		d.head = append(append(d.head, line...), '\n')
		return
	}
	if newer := &d.tail[1]; len(newer.text)+need > size/4 {
		old := d.tail[0]
		d.Left += old.lines
		d.LeftSize += int64(len(old.text))
		d.tail = [2]segment{*newer, {text: old.text[:0]}}
	}
	newer := &d.tail[1]
	if newer.text == nil {
		newer.text = make([]byte, 0, min(size/4, 4<<10))
	}
	newer.text = append(append(newer.text, line...), '\n')
	newer.lines++
}

// selector passes on the lines that match, with those around them.
type selector struct {
	match   *regexp.Regexp // nil: all
	context int
	before  [][]byte // the last lines that were not passed on
	after   int      // how many lines to pass on yet
	passed  bool     // a line was passed on
	gap     bool     // others were dropped since then
}

// take gives what is to be kept because of a line, and whether it matched.
func (s *selector) take(line []byte, keep func([]byte)) bool {
	switch {
	case s.match == nil:
		keep(line)
		return true
	case s.match.Match(line):
		if s.gap && s.passed {
			keep([]byte("--"))
		}
		for _, b := range s.before {
			keep(b)
		}
		keep(line)
		s.before, s.gap, s.passed, s.after = s.before[:0], false, true, s.context
		return true
	case s.after > 0:
		s.after--
		keep(line)
		return false
	case s.context == 0:
		s.gap = true
		return false
	}
	var room []byte
	if len(s.before) == s.context {
		room = s.before[0]
		s.before = append(s.before[:0], s.before[1:]...)
		s.gap = true
	}
	s.before = append(s.before, append(room[:0], line...))
	return false
}

// pause begins a new message: what belongs to the last match is behind.
func (s *selector) pause() { s.passed, s.after = false, 0 }
