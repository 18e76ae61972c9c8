package cli

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func text(s string) *string { return &s }

func TestParse(t *testing.T) {
	tests := []struct {
		why  string
		argv string // words; "''" is an empty one
		want options
	}{
		{"PHP", "sendmail -t -i", options{fromHeader: true, ignoreDots: true}},
		{"PHPMailer", "sendmail -t -i -oi -fX@d -t", options{fromHeader: true, ignoreDots: true, sender: text("X@d")}},
		{"Symfony with arguments", "sendmail -i -fX@d -- a@d b@d", options{ignoreDots: true, sender: text("X@d"), args: []string{"a@d", "b@d"}}},
		{"Debian cron", "sendmail -FCronDaemon -i -B8BITMIME -oem a,b", options{errors: 'm', fullName: "CronDaemon", ignoreDots: true, args: []string{"a,b"}}},
		{"cronie", "sendmail -FCronDaemon -i -odi -oem -oi -t -f root", options{errors: 'm', fullName: "CronDaemon", ignoreDots: true, fromHeader: true, delivery: 'i', sender: text("root")}},
		{"busybox crond bundles", "sendmail -ti", options{fromHeader: true, ignoreDots: true}},
		{"caff bundles the other way round", "sendmail -t -f X -it", options{fromHeader: true, ignoreDots: true, sender: text("X")}},
		{"anacron", "sendmail -FAnacron -odi T", options{fullName: "Anacron", delivery: 'i', args: []string{"T"}}},
		{"mutt", "sendmail -oem -oi -f X -N failure,delay -R hdrs -- T", options{errors: 'm', ignoreDots: true, sender: text("X"), notify: "FAILURE,DELAY", ret: "HDRS", args: []string{"T"}}},
		{"emacs", "sendmail -oi -oem -odb -t", options{errors: 'm', ignoreDots: true, delivery: 'b', fromHeader: true}},
		{"RT's bounces", "sendmail -oi -t -f <>", options{ignoreDots: true, fromHeader: true, sender: text("<>")}},
		{"an empty sender", "sendmail -f '' a@d", options{sender: text(""), args: []string{"a@d"}}},
		{"the last sender counts", "sendmail -f a@d -r b@d", options{sender: text("b@d")}},
		{"detached -o", "sendmail -o i a@d", options{ignoreDots: true, args: []string{"a@d"}}},
		{"letters in the value of -od are no options", "sendmail -odq a@d", options{delivery: 'q', args: []string{"a@d"}}},
		{"nor those of -e", "sendmail -eq a@d", options{errors: 'q', args: []string{"a@d"}}},
		{"nor those of -L", "sendmail -Ltag a@d", options{logTag: "tag", args: []string{"a@d"}}},
		{"the value of an ignored option is no address", "sendmail -p x -A c -M y -D z -h 5 a@d", options{args: []string{"a@d"}}},
		{"-d takes its value attached only", "sendmail -d a@d", options{args: []string{"a@d"}}},
		{"an error mode that nobody knows", "sendmail -oex a@d", options{args: []string{"a@d"}}},
		{"error mode by name", "sendmail -O ErrorMode=Print -ODeadLetterDrop=/x/dead a@d", options{errors: 'p', deadLetter: "/x/dead", args: []string{"a@d"}}},
		{"so does -q", "sendmail -q 15m", options{mode: modeQueueRun, args: []string{"15m"}}},
		{"names of -O do not depend on case", "sendmail -O ignoredots=True a@d", options{ignoreDots: true, args: []string{"a@d"}}},
		{"-O with a delivery mode in full", "sendmail -ODeliveryMode=background a@d", options{delivery: 'b', args: []string{"a@d"}}},
		{"-O IgnoreDots=false", "sendmail -O IgnoreDots=false a@d", options{args: []string{"a@d"}}},
		{"a dash and an at behind an address", "sendmail a@d -b@d", options{args: []string{"a@d", "-b@d"}}},
		{"a dash after --", "sendmail -- -b", options{args: []string{"-b"}}},
		{"a lone dash is a name", "sendmail -", options{args: []string{"-"}}},
		{"empty arguments are nobody", "sendmail '' a@d ''", options{args: []string{"a@d"}}},
		{"detached mode", "sendmail -b m a@d", options{args: []string{"a@d"}}},
		{"verify", "sendmail -bv a@d", options{mode: modeVerify, args: []string{"a@d"}}},
		{"mailq by name", "mailq", options{mode: modeQueueList, name: "mailq"}},
		{"newaliases by path", "/usr/bin/newaliases", options{mode: modeAliases, name: "newaliases"}},
		{"long with =", "sendmail --config=/x --dry-run -t", options{config: "/x", dryRun: true, fromHeader: true}},
		{"long detached", "sendmail --config /x", options{config: "/x"}},
		{"report", "sendmail --report=json a@d", options{report: "json", args: []string{"a@d"}}},
	}
	for _, test := range tests {
		argv := strings.Fields(test.argv)
		for i := range argv {
			if argv[i] == "''" {
				argv[i] = ""
			}
		}
		got, err := parse(argv)
		if err != nil {
			t.Errorf("%s: %q: %v", test.why, test.argv, err)
			continue
		}
		if test.want.name == "" {
			test.want.name = "sendmail"
		}
		if !reflect.DeepEqual(*got, test.want) {
			t.Errorf("%s: %q:\n got %+v\nwant %+v", test.why, test.argv, *got, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		why, want string
		argv      []string
	}{
		{"a line end in an address would be a command", "line end", []string{"sendmail", "a@d\r\nRCPT TO:<b@d>"}},
		{"and in a sender", "line end", []string{"sendmail", "-f", "a@d\nx", "b@d"}},
		{"NUL", "line end", []string{"sendmail", "a\x00b"}},
		{"smtpd by name", "not a daemon", []string{"smtpd"}},
		{"an escape sequence is not echoed", `\x1b[31m`, []string{"sendmail", "--\x1b[31m"}},
		{"a long option with one letter", "--f is not known", []string{"sendmail", "--f", "a@d"}},
		{"a value for an option without", "takes no value", []string{"sendmail", "--check=yes"}},
		{"-b alone", "needs a value", []string{"sendmail", "-b"}},
		{"-q with nonsense", "not a time", []string{"sendmail", "-q5x"}},
		{"delivery mode that is none", "delivery mode", []string{"sendmail", "-odx"}},
		{"envelope id too long", "100", []string{"sendmail", "-V", strings.Repeat("x", 101)}},
	}
	for _, test := range tests {
		_, err := parse(test.argv)
		var usage *usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q: got %v, want %q", test.why, test.argv, err, test.want)
		}
	}
}

// Values never become addresses, errors never carry control characters.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"-t\n-i", "-fa@b\nx", "-oi\n--\n-x", "-N\nnever\na", "--config\nx", "-q5m", "-bv\na", "-\x1b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		argv := append([]string{"sendmail"}, strings.Split(in, "\n")...)
		o, err := parse(argv)
		if err != nil {
			var usage *usageError
			if !errors.As(err, &usage) {
				t.Fatalf("not a usage error: %v", err)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Fatalf("control characters in %q", err)
			}
			return
		}
		for _, a := range o.args {
			if !slices.Contains(argv[1:], a) {
				t.Fatalf("address %q is no argument", a)
			}
		}
	})
}
