package aliases

import (
	"fmt"
	"slices"
	"strings"

	"postern/internal/headers"
)

// maxDepth is how many aliases may lead to each other.
const maxDepth = 50

// Expander replaces local names.
type Expander struct {
	// Table reads the alias file. It is asked only if there is a local name, so
	// that a file that cannot be read stops no other mail. nil: no aliases.
	Table func() (*Table, error)
	// List reads a list for :include:. Its error is shown to people.
	List func(path string) (string, error)
	// Domain is given to names that stay.
	Domain string
	// Hosts are the other names of this host; a name at one of them, or at
	// Domain, is a local name.
	Hosts []string
}

// Recipient is an address that the message is for.
type Recipient struct {
	Address headers.Address
	// Original is what the caller named, if an alias stood for it.
	Original headers.Address
	// Owner is the envelope sender that owner-NAME asks for, if there is one.
	Owner headers.Address
}

// Step is an alias that was used.
type Step struct {
	Name string // as the caller or the alias before named it
	File string
	Line int
	To   []string
}

// String is the step for people.
func (s Step) String() string {
	return fmt.Sprintf("%s ... alias (%s:%d): %s", s.Name, s.File, s.Line, strings.Join(s.To, ", "))
}

// Result is what became of some addresses.
type Result struct {
	Recipients []Recipient // each address once, all with a domain
	Failed     []*Error    // aliases that lead nowhere; the others count nevertheless
	Steps      []Step
}

// Expand replaces what are local names among addresses: names without a domain
// and names at this host. A name without an alias gets the domain and stays. The
// error is that of Table.
func (x *Expander) Expand(given []headers.Address) (Result, error) {
	r := &run{x: x, state: make(map[string]progress), seen: headers.NewSet(len(given))}
	r.result.Recipients = make([]Recipient, 0, len(given))
	for _, a := range given {
		if err := r.load(a); err != nil {
			return Result{}, err
		}
		r.origin = x.qualified(a)
		r.address(a, place{})
	}
	return r.result, nil
}

// Check says all that is wrong with the table and the lists it includes.
func (x *Expander) Check(t *Table) []*Error {
	r := &run{x: x, table: t, state: make(map[string]progress), seen: &headers.Set{}}
	r.result.Failed = slices.Clone(t.faults)
	for _, key := range t.order {
		e := t.entries[key]
		r.name(headers.Address{Local: e.name}, key, place{})
	}
	slices.SortStableFunc(r.result.Failed, func(a, b *Error) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return r.result.Failed
}

// local reports a name that aliases may replace. A name that was given with the
// domain, and not with that of this host, may belong to somebody elsewhere: only
// an alias of its own replaces it, not "*".
func (x *Expander) local(a headers.Address) (local, star bool) {
	if a.Domain == "" {
		return true, true
	}
	for _, host := range x.Hosts {
		if strings.EqualFold(a.Domain, host) {
			return true, true
		}
	}
	return strings.EqualFold(a.Domain, x.Domain), false
}

func (x *Expander) qualified(a headers.Address) headers.Address {
	if a.Domain == "" {
		a.Domain = x.Domain
	}
	return a
}

// progress is how far a name is.
type progress int

const (
	unseen progress = iota
	open            // its targets are being looked at
	done
)

// run is one expansion.
type run struct {
	x      *Expander
	table  *Table
	state  map[string]progress // by key of the entry
	seen   *headers.Set
	origin headers.Address
	quiet  bool // for owner-NAME: no step, no owner of its own
	result Result
}

// place is where in the table an address comes from.
type place struct {
	path  []*entry
	file  string // of the address: the table's, or a list's
	line  int
	star  bool // "*" was used on the way
	owner headers.Address
}

func (p place) entry() *entry { return p.path[len(p.path)-1] }

func (r *run) load(a headers.Address) (err error) {
	if r.table != nil || r.x.Table == nil {
		return nil
	}
	if local, _ := r.x.local(a); !local {
		return nil
	}
	r.table, err = r.x.Table()
	return err
}

// address takes an address that the caller or an alias names.
func (r *run) address(a headers.Address, from place) {
	if r.table == nil {
		r.add(a, from)
		return
	}
	local, star := r.x.local(a)
	if !local {
		r.add(a, from)
		return
	}
	key := strings.ToLower(a.Local)
	if r.table.entries[key] == nil {
		if !star || from.star || r.table.entries["*"] == nil {
			r.add(a, from)
			return
		}
		key, from.star = "*", true
	}
	// An alias may name itself, for the mailbox that others are added to.
	if len(from.path) > 0 && from.entry() == r.table.entries[key] {
		r.add(a, from)
		return
	}
	r.name(a, key, from)
}

// name expands the entry of a key.
func (r *run) name(a headers.Address, key string, from place) {
	e := r.table.entries[key]
	switch {
	case r.state[key] == open:
		r.fail(from, "the alias leads back to itself: "+way(from.path, e))
		return
	case len(from.path) == maxDepth:
		r.fail(from, fmt.Sprintf("more than %d aliases lead to each other", maxDepth))
		return
	case r.state[key] == done:
		return // its addresses are there, and its faults told
	}
	r.state[key] = open
	defer func() { r.state[key] = done }()
	here := place{path: append(slices.Clip(from.path), e), file: r.table.file, line: e.line, star: from.star, owner: from.owner}
	if owner, ok := r.owner(e); ok {
		here.owner = owner
	}
	if len(e.targets) > 0 && !r.quiet {
		step := Step{Name: a.String(), File: here.file, Line: here.line}
		for _, t := range e.targets {
			step.To = append(step.To, t.String())
		}
		r.result.Steps = append(r.result.Steps, step)
	}
	for _, reason := range e.wrong {
		r.fail(here, reason)
	}
	for _, t := range e.targets {
		r.target(t, here)
	}
}

// way shows a loop.
func way(path []*entry, last *entry) string {
	var names []string
	for _, e := range path[slices.Index(path, last):] {
		names = append(names, e.name)
	}
	return strings.Join(append(names, last.name), " -> ")
}

// target takes one target of an alias.
func (r *run) target(t Target, from place) {
	switch t.Kind {
	case Include:
		r.include(t.Text, from)
	case Program:
		r.fail(from, "mail for a program is not supported, and nothing is run: "+shown("|"+t.Text))
	case File:
		hint := ""
		if t.Text == "/dev/null" {
			hint = "; no mail is thrown away here, name an address"
		}
		r.fail(from, "mail for a file is not supported: "+shown(t.Text)+hint)
	case Fail:
		r.fail(from, strings.TrimSuffix("the alias refuses mail: "+t.Text, ": "))
	default:
		if t.Final {
			r.add(t.Address, from)
			return
		}
		r.address(t.Address, from)
	}
}

// add notes a recipient, once.
func (r *run) add(a headers.Address, from place) {
	a = r.x.qualified(a)
	if !r.seen.Add(a) {
		return
	}
	one := Recipient{Address: a, Owner: from.owner}
	if len(from.path) > 0 {
		one.Original = r.origin
	}
	r.result.Recipients = append(r.result.Recipients, one)
}

// maxFaults bounds what is told: a list may hold anything.
const maxFaults = 100

func (r *run) fail(from place, reason string) { r.failed(from, reason, nil) }

// failed is fail with an error of the system's.
func (r *run) failed(from place, reason string, err error) {
	switch n := len(r.result.Failed); {
	case n >= maxFaults:
		return
	case n == maxFaults-1:
		reason = "more is wrong than is told here"
	}
	r.result.Failed = append(r.result.Failed, &Error{File: from.file, Line: from.line, Name: from.entry().name, Reason: reason, Err: err})
}

// owner is the envelope sender for mail to the addresses of e: what owner-NAME
// stands for if that is one address, as its bounces have to arrive somewhere
// else than here; else owner-NAME itself.
func (r *run) owner(e *entry) (headers.Address, bool) {
	const prefix = "owner-"
	key := prefix + strings.ToLower(e.name)
	if r.quiet || strings.HasPrefix(strings.ToLower(e.name), prefix) || r.table.entries[key] == nil {
		return headers.Address{}, false
	}
	name := headers.Address{Local: prefix + e.name}
	sub := &run{x: r.x, table: r.table, state: make(map[string]progress), seen: &headers.Set{}, quiet: true}
	sub.name(name, key, place{})
	if len(sub.result.Recipients) == 1 {
		return sub.result.Recipients[0].Address, true
	}
	return r.x.qualified(name), true
}
