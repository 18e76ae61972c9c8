// Package importer reads the configuration of another relay-only mailer and
// writes the smarthost.toml that does the same. What it cannot carry over it
// names; it never guesses a server or a password, runs nothing, and never puts a
// value into a message, since it may be a password that stands in a wrong place.
package importer

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"postern/internal/config"
)

// File is a file of the other program.
type File struct {
	Name string // as people know it
	Text string
}

// Options say what Import may do.
type Options struct {
	// Read gives a file that another one names, such as Postfix's password map.
	// nil: such a file is only named.
	Read func(name string) (string, error)
	// Secrets lets passwords into the text. Without it the text refers to a file
	// beside it, and a note says which password belongs there.
	Secrets bool
}

// Result is a smarthost.toml and what one has to know about it.
type Result struct {
	Text  string
	Notes []string // one line each: what is not carried over, or differs
}

// ErrUnknown is a file of none of the known programs.
var ErrUnknown = errors.New("not recognised; known are msmtprc, ssmtp.conf and revaliases, nullmailer's remotes and " +
	"the files beside it, dma.conf and auth.conf, esmtprc, Postfix's main.cf and sasl_passwd")

// program reads the files of one program into a draft. A file has one of its
// kinds, such as "revaliases".
type program struct {
	name  string
	kinds []kind
	read  func(d *draft, files map[string]File)
}

// kind is a sort of file: known by its name, else by a line that only it has.
type kind struct {
	name string // the usual name, in lower case
	has  func(line string) bool
}

func programs() []program {
	return []program{
		{"msmtp", msmtpKinds(), readMsmtp},
		{"ssmtp", ssmtpKinds(), readSsmtp},
		{"nullmailer", nullmailerKinds(), readNullmailer},
		{"dma", dmaKinds(), readDMA},
		{"postfix", postfixKinds(), readPostfix},
		{"esmtp", esmtpKinds(), readEsmtp},
	}
}

// Import makes one smarthost.toml of all the files, which must belong to one
// program. The text of the result loads; when nothing that loads can be made of
// the files, the error says why.
func Import(files []File, o Options) (*Result, error) {
	var of *program
	byKind := make(map[string]File)
	for _, f := range files {
		p, k := recognise(f)
		switch {
		case p == nil:
			return nil, fmt.Errorf("%s: %w", f.Name, ErrUnknown)
		case of != nil && of.name != p.name:
			return nil, fmt.Errorf("%s is of %s and %s is of %s; import one program at a time", files[0].Name, of.name, f.Name, p.name)
		case byKind[k].Name != "":
			return nil, fmt.Errorf("%s and %s are both a %s; import one at a time", byKind[k].Name, f.Name, k)
		}
		of, byKind[k] = p, f
	}
	if of == nil {
		return nil, errors.New("no file to import")
	}
	d := &draft{program: of.name, root: make(values), opts: o}
	for _, f := range files {
		d.from = append(d.from, f.Name)
	}
	of.read(d, byKind)
	return d.finish()
}

// Known reports a name that Import recognises without looking into the file.
func Known(name string) bool {
	for _, p := range programs() {
		for _, k := range p.kinds {
			if strings.EqualFold(filepath.Base(name), k.name) {
				return true
			}
		}
	}
	return false
}

// recognise finds out whose file it is: by its name, which may have something in
// front or behind (.msmtprc, main.cf.bak), else by its content.
func recognise(f File) (*program, string) {
	base := strings.ToLower(filepath.Base(f.Name))
	list := programs()
	for i := range list {
		for _, k := range list[i].kinds {
			if base == k.name || len(k.name) > 6 && strings.Contains(base, k.name) {
				return &list[i], k.name
			}
		}
	}
	for i := range list {
		for _, k := range list[i].kinds {
			if k.has != nil && slices.ContainsFunc(meaningful(f.Text), func(l line) bool { return k.has(l.text) }) {
				return &list[i], k.name
			}
		}
	}
	return nil, ""
}

// begins makes a test for lines that begin with one of the words and a blank or
// an equals sign.
func begins(words ...string) func(string) bool {
	return func(line string) bool {
		first := line
		if i := strings.IndexAny(line, " \t="); i >= 0 {
			first = line[:i]
		}
		return slices.Contains(words, strings.ToLower(first))
	}
}

// finish writes the text and takes out again what smarthost.toml does not take,
// with the reason.
func (d *draft) finish() (*Result, error) {
	if len(d.accounts) == 0 {
		why := append([]string{strings.Join(d.from, ", ") + ": names no server to send to"}, d.noteLines()...)
		return nil, errors.New(plainLines(why))
	}
	d.choose()
	for {
		text := d.render()
		_, err := config.Parse(text)
		if err == nil {
			return &Result{Text: text, Notes: d.noteLines()}, nil
		}
		if !d.drop(err, text) {
			return nil, fmt.Errorf("%s: nothing that works can be made of it: %w", strings.Join(d.from, ", "), err)
		}
	}
}

// drop removes the keys that err is about, and a smarthost that is none. It is
// false if there is nothing that could be done without.
func (d *draft) drop(err error, text string) bool {
	dropped := false
	for _, e := range faults(err) {
		table, key, _ := strings.Cut(e.Key, ".")
		where, i := d.root, 0
		if table == "smarthost" {
			i = min(strings.Count(firstLines(text, e.Line), "\n"+several+"\n"), len(d.accounts))
			where = d.accounts[max(i-1, 0)].keys
		} else {
			key = e.Key
		}
		switch _, there := where[key]; {
		case there && key != "host":
			delete(where, key)
			d.note(place{}, e.Key, "is left out: "+e.Msg)
		case table == "smarthost" && i > 0 && i < len(d.accounts): // not the last one
			d.note(place{}, "account "+d.accounts[i-1].name, "is left out: "+e.Msg)
			d.accounts = slices.Delete(d.accounts, i-1, i)
			return true // the others have other places now
		default:
			continue
		}
		dropped = true
	}
	return dropped
}

// firstLines are the first n lines of a text.
func firstLines(text string, n int) string {
	end := 0
	for range n {
		i := strings.IndexByte(text[end:], '\n')
		if i < 0 {
			return text
		}
		end += i + 1
	}
	return text[:end]
}

func plainLines(list []string) string {
	for i := range list {
		list[i] = plain(list[i])
	}
	return strings.Join(list, "\n")
}

// faults are all errors of the configuration in err.
func faults(err error) (list []*config.Error) {
	var one *config.Error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			list = append(list, faults(e)...)
		}
	} else if errors.As(err, &one) {
		list = append(list, one)
	}
	return list
}

// other reads a file that a setting names.
func (d *draft) other(name string) (text, why string) {
	if d.opts.Read == nil {
		return "", "names a file that was not given"
	}
	text, err := d.opts.Read(name)
	if err != nil {
		return "", "names a file that cannot be read; give it as an argument"
	}
	d.from = append(d.from, name)
	return text, ""
}
