package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"postern/internal/smtptest"
)

// TestMain lets the scripts run this binary under the names of the commands.
func TestMain(m *testing.M) {
	command := func() { os.Exit(Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) }
	testscript.Main(m, map[string]func(){"sendmail": command, "mailq": command, "newaliases": command})
}

// TestScripts runs what the manual pages promise. The verbs beside those of
// testscript:
//
//	rc N command…            run it, its exit status must be N
//	fill FILE                put the directory for $WORK in it
//	smarthost [answers [more [spool [top]]]]
//	                         start a server and write smarthost.toml for it; answers
//	                         has lines "beginning of a command|reply[|action]",
//	                         several of one command for one time each; more
//	                         is appended to the [smarthost] table, spool to [spool],
//	                         whose dir is $WORK/spool ("-" for no spool), top above all
//	                         tables
//	received FILE            write what the last server heard: commands, then
//	                         messages with "| " in front of each line
//	unsent                   the last server got no message
//	server NAME [answers [address]]
//	                         start a server whose port is $NAME, and write no file
//	heard NAME FILE          as received, for the server of that name
//	expand FILE              replace $NAME in a file
//	provider KIND            start a server on $PORT with the rules of ses,
//	                         microsoft365 or gmail, for app@own.example
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "..", "testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TMPDIR", e.WorkDir)
			e.Setenv("GORACE", "atexit_sleep_ms=10") // each command would wait a second
			e.Values[servers{}] = &[]*smtptest.Server{}
			e.Values[named{}] = make(map[string]*smtptest.Server)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"rc": cmdRC, "fill": cmdFill, "smarthost": cmdSmarthost, "received": cmdReceived, "unsent": cmdUnsent,
			"server": cmdServer, "heard": cmdHeard, "expand": cmdExpand,
			"provider": cmdProvider,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// servers is the key of those that a script has started.
type servers struct{}

func cmdRC(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: rc N command…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill FILE")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "$WORK", ts.Getenv("WORK"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func cmdSmarthost(ts *testscript.TestScript, neg bool, args []string) {
	script := smtptest.Polite("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 100000000")
	if len(args) > 0 {
		script = answers(ts, script, ts.ReadFile(args[0]))
	}
	s, err := smtptest.Start(smtptest.Options{Script: script})
	ts.Check(err)
	ts.Defer(s.Close)
	list := ts.Value(servers{}).(*[]*smtptest.Server)
	*list = append(*list, s)
	more := ""
	if len(args) > 1 {
		more = ts.ReadFile(args[1])
	}
	spool := ""
	if len(args) > 2 && args[2] != "-" {
		spool = fmt.Sprintf("[spool]\ndir = %q\n%s", ts.MkAbs("spool"), ts.ReadFile(args[2]))
	}
	top := ""
	if len(args) > 3 {
		top = ts.ReadFile(args[3])
	}
	toml := top + fmt.Sprintf("domain = \"client.example\"\n\n[log]\nto = %q\n\n[smarthost]\nhost = \"127.0.0.1\"\nport = %d\ncommand_timeout = \"2s\"\n%s\n%s",
		ts.MkAbs("log"), s.Port(), more, spool)
	ts.Check(os.WriteFile(ts.MkAbs("smarthost.toml"), []byte(toml), 0o600))
	ts.Setenv("POSTERN_CONFIG", ts.MkAbs("smarthost.toml"))
	ts.Setenv("PORT", strconv.Itoa(s.Port()))
}

// answers reads the changes to a script.
func answers(ts *testscript.TestScript, script smtptest.Script, text string) smtptest.Script {
	actions := map[string]smtptest.Action{"": smtptest.GoOn, "close": smtptest.Close, "reset": smtptest.Reset, "silence": smtptest.Silence}
	list := make(map[string][]smtptest.Answer)
	for line := range strings.Lines(text) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if len(parts) < 2 {
			ts.Fatalf("no answer in %q", line)
		}
		a := smtptest.Say(strings.Split(parts[1], `\n`)...)
		if parts[1] == "" {
			a = smtptest.Answer{}
		}
		if len(parts) > 2 {
			action, ok := actions[parts[2]]
			if !ok {
				ts.Fatalf("no such action: %q", parts[2])
			}
			a = a.And(action)
		}
		list[parts[0]] = append(list[parts[0]], a)
		script = script.With(parts[0], list[parts[0]]...)
	}
	return script
}

// sessions are those of the last server.
func sessions(ts *testscript.TestScript) []*smtptest.Session {
	list := *ts.Value(servers{}).(*[]*smtptest.Server)
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1].Sessions()
}

func cmdReceived(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: received FILE")
	}
	writeHeard(ts, sessions(ts), args[0])
}

// writeHeard writes what a server heard.
func writeHeard(ts *testscript.TestScript, all []*smtptest.Session, file string) {
	var b strings.Builder
	for _, s := range all {
		for _, c := range s.Commands {
			b.WriteString(c + "\n")
		}
		for _, m := range s.Messages {
			for line := range strings.Lines(string(m)) {
				b.WriteString("| " + strings.ReplaceAll(line, "\r\n", "\n"))
			}
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(file), []byte(b.String()), 0o600))
}

func cmdUnsent(ts *testscript.TestScript, neg bool, args []string) {
	for _, s := range sessions(ts) {
		for _, m := range s.Messages {
			// A lone dot is how a client declines a DATA that it no longer wants.
			if len(m) > 0 {
				ts.Fatalf("a message was sent: %q", m)
			}
		}
	}
}
