package importer

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"postern/internal/config"
)

// fixture is an archive of testdata: files, those that only Read gives
// ("read:NAME"), and what is wanted.
type fixture struct {
	files []File
	read  map[string]string
	toml  string
	notes string
}

func load(t testing.TB, path string) fixture {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := fixture{read: make(map[string]string)}
	for _, one := range a.Files {
		name, read := strings.CutPrefix(one.Name, "read:")
		switch {
		case one.Name == "smarthost.toml":
			f.toml = string(one.Data)
		case one.Name == "notes":
			f.notes = string(one.Data)
		case read:
			f.read[name] = string(one.Data)
		default:
			f.files = append(f.files, File{one.Name, string(one.Data)})
		}
	}
	return f
}

func (f fixture) options(secrets bool) Options {
	return Options{Secrets: secrets, Read: func(name string) (string, error) {
		text, ok := f.read[name]
		if !ok {
			return "", fs.ErrNotExist
		}
		return text, nil
	}}
}

func archives(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	return names
}

// withoutComments is what counts of a file, from its first key on.
func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return strings.TrimLeft(b.String(), "\n")
}

// The documented examples of each program: the file that does the same, and all
// that it cannot do.
func TestExamples(t *testing.T) {
	for _, name := range archives(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			f := load(t, name)
			got, err := Import(f.files, f.options(true))
			if err != nil {
				t.Fatal(err)
			}
			if text := withoutComments(got.Text); text != f.toml {
				t.Errorf("smarthost.toml:\n%s\nwant:\n%s", text, f.toml)
			}
			if notes := strings.Join(got.Notes, "\n") + "\n"; notes != f.notes && len(got.Notes)+len(f.notes) > 0 {
				t.Errorf("notes:\n%s\nwant:\n%s", notes, f.notes)
			}
			for _, n := range got.Notes { // they stay with the file
				if !strings.Contains(got.Text, "# "+n+"\n") {
					t.Errorf("no comment has %q", n)
				}
			}
			if _, err := config.Parse(got.Text); err != nil {
				t.Errorf("it does not load: %v", err)
			}
		})
	}
}

// Without leave no password is in the text, and a note says where it belongs.
func TestSecretsStayHidden(t *testing.T) {
	for _, name := range archives(t) {
		f := load(t, name)
		got, err := Import(f.files, f.options(false))
		if err != nil {
			t.Fatal(name, err)
		}
		all := got.Text + strings.Join(got.Notes, "\n")
		for _, secret := range []string{"pass \\ word", "pass=word#1", "my pass phrase", "pass:word", "PASS", "secret\"", "value-that-is-not-shown"} {
			if strings.Contains(all, secret) {
				t.Errorf("%s: %q is in\n%s", name, secret, all)
			}
		}
		if strings.Contains(f.toml, "\npassword = ") && !strings.Contains(got.Text, "password_file = \"password") {
			t.Errorf("%s: no place for the password:\n%s", name, got.Text)
		}
		if _, err := config.Parse(got.Text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What nothing can be made of says why.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		why   string
		files []File
		want  string
	}{
		{"nothing", nil, "no file"},
		{"another kind of file", []File{{"passwd", "root:x:0:0:root:/root:/bin/sh\n"}}, "not recognised"},
		{"two programs", []File{{"msmtprc", ""}, {"ssmtp.conf", ""}}, "one program at a time"},
		{"the same twice", []File{{"a/msmtprc", ""}, {"b/msmtprc", ""}}, "both a msmtprc"},
		{"no server", []File{{"msmtprc", "defaults\ntls on\n"}}, "names no server"},
		{"only the passwords", []File{{"sasl_passwd", "[a.example] u:p\n"}}, "names no server"},
		{"dma without a smarthost", []File{{"dma.conf", "MAILNAME x\n"}}, "SMARTHOST: is not set: dma delivers"},
		{"Postfix without a relayhost", []File{{"main.cf", "relayhost =\n"}}, "relayhost: is not set"},
		{"a host that is none", []File{{"msmtprc", "account a\nhost bad host\n"}}, "is not a host name"},
		{"all remotes are of another protocol", []File{{"remotes", "a qmqp\n"}}, "only SMTP is spoken"},
	} {
		_, err := Import(tt.files, Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.why, err, tt.want)
		}
		if errors.Is(err, ErrUnknown) != (tt.want == "not recognised") {
			t.Errorf("%s: ErrUnknown: %v", tt.why, err)
		}
	}
}

// A value from another file cannot become a key, a comment's end or a terminal
// escape of ours.
func TestInjection(t *testing.T) {
	hostile := "x\"\r[log]\rto = \"/etc/passwd\" \x1b[31m\u2028\x85\\"
	for _, f := range []File{
		{"msmtprc", "account default\nhost h.example\nauth on\nuser " + hostile + "\npassword " + hostile + "\ndomain " + hostile + "\n" + hostile + "\n"},
		{hostile + "msmtprc", "account " + hostile + "\nhost h.example\naccount " + hostile + "2\nhost i.example\n"},
		{"main.cf", "relayhost = h.example\n" + hostile + " = 1\nmyorigin = " + hostile + "\n"},
		{"remotes", "h.example smtp --" + hostile + " 'user=" + hostile + "' 'pass=" + hostile + "'\n"},
	} {
		got, err := Import([]File{f}, Options{Secrets: true})
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Parse(got.Text)
		if err != nil {
			t.Fatalf("%v\n%s", err, got.Text)
		}
		if cfg.Log.To != "syslog" {
			t.Errorf("log.to = %q\n%s", cfg.Log.To, got.Text)
		}
		if strings.ContainsFunc(got.Text+strings.Join(got.Notes, "\n"), func(r rune) bool { return r != '\n' && !strconv.IsPrint(r) }) {
			t.Errorf("a control character in\n%q", got.Text)
		}
	}
}

// Whatever the files hold: no panic, and what comes out loads and keeps what it
// was not allowed to tell.
func FuzzImport(f *testing.F) {
	for _, name := range archives(f) {
		for _, file := range load(f, name).files {
			f.Add(file.Name, file.Text)
		}
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		read := func(string) (string, error) { return text, nil }
		for _, secrets := range []bool{true, false} {
			got, err := Import([]File{{name, text}}, Options{Read: read, Secrets: secrets})
			if err != nil {
				if err.Error() == "" {
					t.Error("no reason")
				}
				continue
			}
			if _, err := config.Parse(got.Text); err != nil {
				t.Errorf("%v\n%s", err, got.Text)
			}
			if !secrets && strings.Contains(got.Text, "\npassword = ") {
				t.Errorf("a password in\n%s", got.Text)
			}
		}
	})
}

// Names that a directory is searched for.
func TestKnown(t *testing.T) {
	for name, want := range map[string]bool{"/etc/msmtprc": true, "remotes": true, "me": true, "main.cf": true, "master.cf": false,
		"README": false, "dma.conf": true} {
		if Known(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// Of several servers the one that cannot be used is left out, the others stay.
func TestSeveral(t *testing.T) {
	text := "defaults\ntls on\naccount bad\nhost bad host\nfrom b@x.example\naccount pattern\nhost p.example\nfrom *@p.example\ndomain not a name\n" +
		"account hand\nhost h.example\naccount default\nhost d.example\n"
	got, err := Import([]File{{"msmtprc", text}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse(got.Text)
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, h := range cfg.Smarthosts {
		hosts = append(hosts, h.Hosts...)
	}
	if want := []string{"p.example", "d.example"}; !slices.Equal(hosts, want) || cfg.Smarthosts[0].Senders[0] != "*@p.example" {
		t.Errorf("%v, want %v\n%s", hosts, want, got.Text)
	}
	notes := strings.Join(got.Notes, "\n")
	for _, want := range []string{"account bad: is left out: is not a host name", "smarthost.ehlo: is left out: must be one word",
		"account hand: is left out: no sender chooses it"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in\n%s", want, notes)
		}
	}
}

// A word alone on a line may be the rest of a password: it is not shown.
func TestWordAlone(t *testing.T) {
	for name, text := range map[string]string{
		"msmtprc":    "account default\nhost smtp.x.example\npassword a\nhunter2\n",
		"ssmtp.conf": "mailhub=smtp.x.example\nhunter2\n",
		"dma.conf":   "SMARTHOST smtp.x.example\nhunter2\n",
		"esmtprc":    "hostname = smtp.x.example\nhunter2\n",
		"remotes":    "smtp.x.example smtp --pass=a hunter2\n",
	} {
		got, err := Import([]File{{name, text}}, Options{})
		if err != nil {
			t.Fatal(name, err)
		}
		notes := strings.Join(got.Notes, "\n")
		if strings.Contains(got.Text+notes, "hunter2") || !strings.Contains(notes, "this line: is not known") {
			t.Errorf("%s: %s", name, got.Text)
		}
	}
}
