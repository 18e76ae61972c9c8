package cli

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// usageError is a command line that we cannot follow (exit status 64).
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{escape(fmt.Sprintf(format, args...))}
}

// escape makes text from the command line fit for a terminal.
func escape(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`), `\\`, `\`)
}

// parse reads a command line as the real programs do: letters bundle (-ti),
// values are attached or the next argument, options end at the first address or
// at "--". The name in argv[0] may set the mode.
func parse(argv []string) (*options, error) {
	o := &options{name: "sendmail"}
	if len(argv) > 0 {
		o.name = filepath.Base(argv[0])
		argv = argv[1:]
	}
	if err := o.setName(); err != nil {
		return nil, err
	}
	for _, arg := range argv {
		if strings.ContainsAny(arg, "\r\n\x00") {
			return nil, usagef("an argument with a line end: %q", arg)
		}
	}
	p := &parser{o: o, flags: flags(), rest: argv}
	if err := p.options(); err != nil {
		return nil, err
	}
	if err := o.finish(p.rest, p.dashes); err != nil {
		return nil, err
	}
	return o, o.checkText()
}

// parser takes options off the front of rest.
type parser struct {
	o      *options
	flags  []flag
	rest   []string
	dashes bool // "--" ended the options
}

func (p *parser) options() error {
	for len(p.rest) > 0 {
		arg := p.rest[0]
		if len(arg) < 2 || arg[0] != '-' {
			return nil
		}
		p.rest = p.rest[1:]
		if arg == "--" {
			p.dashes = true
			return nil
		}
		var err error
		if strings.HasPrefix(arg, "--") {
			err = p.long(arg)
		} else {
			err = p.bundle(arg[1:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bundle reads the letters of one argument. A letter that takes a value takes
// the rest of it, whatever is there: the "q" of -odq is no option.
func (p *parser) bundle(letters string) error {
	for letters != "" {
		f := p.find(letters[:1])
		if f == nil {
			return usagef("option -%s is not known", letters[:1])
		}
		letters = letters[1:]
		if f.value == noValue {
			if err := f.apply(p.o, ""); err != nil {
				return err
			}
			continue
		}
		value := letters
		if value == "" && f.value == needsValue {
			if len(p.rest) == 0 {
				return usagef("option -%s needs a value", f.name)
			}
			value = p.rest[0]
			p.rest = p.rest[1:]
		}
		return f.apply(p.o, value)
	}
	return nil
}

// long reads an option of ours.
func (p *parser) long(arg string) error {
	name, value, attached := strings.Cut(arg[2:], "=")
	f := p.find(name)
	if f == nil || len(name) < 2 {
		return usagef("option --%s is not known; see --help", name)
	}
	switch {
	case f.value == noValue && attached:
		return usagef("option --%s takes no value", name)
	case f.value == needsValue && !attached:
		if len(p.rest) == 0 {
			return usagef("option --%s needs a value", name)
		}
		value = p.rest[0]
		p.rest = p.rest[1:]
	}
	return f.apply(p.o, value)
}

func (p *parser) find(name string) *flag {
	for i := range p.flags {
		if p.flags[i].name == name {
			return &p.flags[i]
		}
	}
	return nil
}
