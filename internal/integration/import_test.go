//go:build integration

package integration

import (
	"cmp"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// importCase is a fixture of the importer and what its mailer does with it.
type importCase struct {
	with       mailer
	accounts   map[string]string // at the provider, user to password; none is no login
	mechanisms []string          // that the provider offers; default PLAIN and LOGIN
	files      map[string]string // what the fixture names and does not have
	change     []string          // old, new: what is made up in it, for both
	implicit   int               // a port that has TLS at once, beside 465
	adapt      map[string]string // lines that the mailer itself cannot work with, and what it gets
	send       []sending
}

// sending is one message and how it has to arrive.
type sending struct {
	sender  string // -f
	message string // default fromCron
	want    arrival
	// theirs is what the other mailer does otherwise; told is in the note on it.
	theirs func(*arrival)
	told   string
}

// importFixture is an archive of the importer's testdata.
type importFixture struct{ files, named []txtar.File }

func readFixture(t *testing.T, name string, change *strings.Replacer) (f importFixture) {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("../importer/testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range a.Files {
		one.Data = []byte(change.Replace(string(one.Data)))
		switch name, read := strings.CutPrefix(one.Name, "read:"); {
		case read:
			f.named = append(f.named, txtar.File{Name: name, Data: one.Data})
		case one.Name != "smarthost.toml" && one.Name != "notes":
			f.files = append(f.files, one)
		}
	}
	return f
}

// Each fixture of --import, which is a documented example of its mailer: the file
// that is made of it passes --check, and a message goes to the same server, at the
// same port, by the same kind of TLS, with the same login and sender as it goes
// from that mailer itself, with the very same files.
func TestImport(t *testing.T) {
	cases := importCases()
	names, err := filepath.Glob("../importer/testdata/*.txtar")
	if err != nil || len(names) != len(cases) {
		t.Errorf("%d fixtures, %d are tried here: %v", len(names), len(cases), err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.try(t, name) })
	}
}

func (c *importCase) try(t *testing.T, name string) {
	t.Parallel() // each is on a host of its own
	a := goAway(t)
	a.provider.accounts, a.provider.mechanisms = c.accounts, c.mechanisms
	if c.accounts != nil && c.mechanisms == nil {
		a.provider.mechanisms = []string{"PLAIN", "LOGIN"}
	}
	for _, port := range []int{25, 465, 587, 2525} {
		a.provider.serve(t, port, port == 465 || port == c.implicit)
	}
	a.provider.proxied(t, "127.0.0.1:9050")
	change := slices.Clone(c.change)
	for i := range change {
		change[i] = strings.NewReplacer("@FINGERPRINT@", a.fingerprint, "@FINGERPRINT:@", colons(a.fingerprint)).Replace(change[i])
	}
	f := readFixture(t, name, strings.NewReplacer(change...))
	for _, one := range slices.Concat(f.files, f.named) {
		a.put(t, one.Name, string(one.Data))
	}
	for file, text := range c.files {
		a.put(t, file, text)
	}
	if err := shell("chmod -f 755 /usr/local/bin/* || :"); err != nil {
		t.Fatal(err)
	}
	c.ours(t, a, f)
	c.theirs(t, a, f)
}

// colons writes one between every two digits.
func colons(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += 2 {
		b.WriteString(s[i:i+2] + ":")
	}
	return strings.TrimSuffix(b.String(), ":")
}

// ours imports, checks and sends.
func (c *importCase) ours(t *testing.T, a *away, f importFixture) {
	program := filepath.Join(world.root, "bin/sendmail")
	toml := filepath.Join(a.home, "smarthost.toml")
	args := []string{"--import"}
	for _, one := range f.files {
		args = append(args, a.file(one.Name))
	}
	notes := a.run(t, "", toml, program, args...)
	if notes.status != 0 {
		t.Fatalf("--import: %+v", notes)
	}
	for _, s := range c.send {
		if (s.theirs != nil) != (s.told != "") {
			t.Error("a difference that is not told")
		}
		has(t, "notes", notes.stderr, s.told)
	}
	text, err := os.ReadFile(toml)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.run(t, "", "", program, "-C", toml, "--check"); got.status != 0 {
		t.Fatalf("--check: %+v\n%s", got, text)
	}
	for _, s := range c.send {
		a.message = cmp.Or(s.message, fromCron)
		got := a.run(t, a.message, "", program, mailerOptions(s.sender, []string{recipientAway}, "-C", toml, "-i")...)
		if got.status != 0 {
			t.Errorf("%+v", got)
		}
		if strings.Contains(string(text), `deliver = "queue"`) {
			got = a.run(t, "", "", program, "-C", toml, "-q")
		}
		c.compare(t, "ours", a, s.want, got, string(text))
	}
}

const recipientAway = "ops@dest.example"

// theirs sends with the other mailer.
func (c *importCase) theirs(t *testing.T, a *away, f importFixture) {
	for _, one := range f.files {
		var text strings.Builder
		for line := range strings.Lines(string(one.Data)) {
			if other, ok := c.adapt[strings.TrimSuffix(line, "\n")]; ok {
				line = other
			}
			text.WriteString(line)
		}
		a.put(t, one.Name, text.String())
	}
	for _, s := range c.send {
		a.message = cmp.Or(s.message, fromCron)
		want := s.want
		if s.theirs != nil {
			s.theirs(&want)
		}
		got := c.with(t, a, f.files[0].Name, s.sender, recipientAway)
		if got.status != 0 {
			t.Errorf("%+v", got)
		}
		c.compare(t, "the other mailer", a, want, got, "")
	}
}

func (c *importCase) compare(t *testing.T, who string, a *away, want arrival, how outcome, text string) {
	t.Helper()
	want.To = []string{recipientAway}
	got := a.provider.wait()
	if len(got) != 1 {
		t.Errorf("%s: %d messages, want %+v\n%+v\nrefused logins: %q\n%s", who, len(got), want, how, a.provider.refused, text)
		return
	}
	if want.Mechanism == "" { // the strongest, or the first
		got[0].Mechanism = ""
	}
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("%s:\n     %+v\nwant %+v\n%s", who, got[0], want, text)
	}
}
