package cli

import (
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
	"postern/internal/smtptest"
)

// named is the key of the servers that a script has named.
type named struct{}

func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: server NAME [answers [address]]")
	}
	script := smtptest.Polite("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES")
	if len(args) > 1 {
		script = answers(ts, script, ts.ReadFile(args[1]))
	}
	address := ""
	if len(args) > 2 {
		address = args[2]
	}
	s, err := smtptest.Start(smtptest.Options{Script: script, Address: address})
	ts.Check(err)
	ts.Defer(s.Close)
	ts.Value(named{}).(map[string]*smtptest.Server)[args[0]] = s
	ts.Setenv(args[0], strconv.Itoa(s.Port()))
}

func cmdHeard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: heard NAME FILE")
	}
	s := ts.Value(named{}).(map[string]*smtptest.Server)[args[0]]
	if s == nil {
		ts.Fatalf("no server %s", args[0])
	}
	writeHeard(ts, s.Sessions(), args[1])
}

func cmdExpand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
	ts.Check(os.Chmod(ts.MkAbs(args[0]), 0o600)) // it may hold a password
}

func cmdProvider(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: provider KIND")
	}
	judge := map[string]func(smtptest.Delivery) error{
		"ses": smtptest.SES("own.example"), "microsoft365": smtptest.Microsoft365(), "gmail": smtptest.Gmail(),
	}[args[0]]
	if judge == nil {
		ts.Fatalf("no provider %s", args[0])
	}
	s, err := smtptest.StartSink(smtptest.SinkOptions{Judge: judge, Accounts: map[string]string{"app@own.example": "swordfish"}})
	ts.Check(err)
	ts.Defer(s.Close)
	ts.Setenv("PORT", strconv.Itoa(s.Port()))
}
