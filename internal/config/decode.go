package config

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxUnknown bounds the unknown keys reported for a table.
const maxUnknown = 20

// settings is what the file says, in the file's words, before the checks that
// look at several keys.
type settings struct {
	cfg   Config
	hosts []*hostSettings
}

type secretKeys struct {
	literal, file, env string
	command            []string
}

// field is a key with what takes its value.
type field struct {
	name string
	set  setter
}

type table struct {
	name   string // "" for the keys above the first table
	fields []field
}

// decoder reads one file.
type decoder struct {
	src    Source
	path   string
	abs    string // the full path
	mode   fs.FileMode
	text   string
	md     toml.MetaData
	tables []table
	lines  map[string]int // of every key that was set
	faults []*Error
	since  int // the faults from here on are about the table at hand
}

// probe takes any value and fails, as the library tells the place of a key only
// in its errors.
type probe struct{ value any }

var errProbe = errors.New("probe")

func (p *probe) UnmarshalTOML(value any) error {
	p.value = value
	return errProbe
}

// decode fills s from the text and notes every fault. It is false when the text
// is not TOML.
func (d *decoder) decode(s *settings) bool {
	d.lines = make(map[string]int)
	d.tables = tables(&s.cfg, new(hostSettings))
	var root map[string]toml.Primitive
	md, err := toml.Decode(d.text, &root)
	if err != nil {
		d.faults = append(d.faults, d.syntaxFault(err))
		return false
	}
	d.md = md
	d.readTable(d.tables[0], root)
	for _, t := range d.tables[1:] {
		prim, ok := root[t.name]
		if t.name == "smarthost" {
			d.smarthosts(s, root)
			continue
		}
		if !ok {
			continue
		}
		value, line := d.look(prim)
		d.lines[t.name] = line
		if _, ok := value.(map[string]any); !ok {
			d.notTable(t.name, value)
			continue
		}
		d.readTable(t, d.keys(t.name, prim))
	}
	return true
}

func (d *decoder) notTable(name string, value any) {
	if _, ok := value.([]map[string]any); ok {
		d.fault(name, "several [["+name+"]] are not supported by this version", "write one ["+name+"]")
		return
	}
	d.fault(name, "must be a table, not "+kindOf(value), "write ["+name+"] on a line of its own")
}

// readTable gives every key to its field.
func (d *decoder) readTable(t table, keys map[string]toml.Primitive) {
	unknown := 0
	names := slices.Sorted(maps.Keys(keys))
	slices.SortStableFunc(names, func(a, b string) int { return before(a) - before(b) })
	for _, name := range names {
		if t.name == "" && d.isTable(name) {
			continue
		}
		i := slices.IndexFunc(t.fields, func(f field) bool { return f.name == name })
		if i < 0 {
			if unknown++; unknown > maxUnknown {
				continue
			}
		}
		value, line := d.look(keys[name])
		full := join(t.name, shown(name))
		d.lines[full] = line
		if i < 0 {
			msg, hint := d.unknown(t, name)
			d.fault(full, msg, hint)
			continue
		}
		if problem, hint := t.fields[i].set(value); problem != "" {
			d.fault(full, problem, hint)
		}
	}
}

// before puts the key first that sets defaults for others.
func before(key string) int {
	if key == "profile" {
		return 0
	}
	return 1
}

func (d *decoder) isTable(name string) bool {
	return slices.ContainsFunc(d.tables[1:], func(t table) bool { return t.name == name })
}

// unknown says what may have been meant.
func (d *decoder) unknown(t table, name string) (msg, hint string) {
	msg = "unknown key"
	var here []string
	for _, f := range t.fields {
		here = append(here, f.name)
	}
	if t.name == "" {
		for _, t := range d.tables[1:] {
			here = append(here, t.name)
		}
	}
	if hint = didYouMean(name, here); hint != "" {
		return msg, hint
	}
	for _, other := range d.tables {
		if !slices.ContainsFunc(other.fields, func(f field) bool { return f.name == name }) {
			continue
		}
		if other.name == "" {
			return msg, "it belongs above the first [table]"
		}
		return msg, "it belongs below [" + other.name + "]"
	}
	return msg, ""
}

// look gives a value and the line where it begins; for a table made by dotted
// keys, the line of its first key.
func (d *decoder) look(prim toml.Primitive) (value any, line int) {
	var p probe
	var at toml.ParseError
	if !errors.As(d.md.PrimitiveDecode(prim, &p), &at) {
		return p.value, 0
	}
	if at.Position.Line > 0 {
		return p.value, 1 + strings.Count(d.text[:min(at.Position.Start, len(d.text))], "\n")
	}
	var keys map[string]toml.Primitive
	if d.md.PrimitiveDecode(prim, &keys) == nil {
		for _, sub := range keys {
			if _, l := d.look(sub); line == 0 || l < line {
				line = l
			}
		}
	}
	return p.value, line
}

func (d *decoder) fault(key, msg, hint string) {
	d.faults = append(d.faults, &Error{File: d.path, Line: d.lines[key], Key: key, Msg: msg, Hint: hint})
}
