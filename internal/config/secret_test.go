package config

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const secretText = "Zq9-hidden"

// load gives the secret of a file with the line.
func load(t *testing.T, dir, line string, getenv func(string) string) Secret {
	t.Helper()
	path := write(t, dir, "s.toml", where+"username = \"u\"\n"+line+"\n", 0o600)
	c, err := Load(Source{Explicit: path, Getenv: getenv})
	if err != nil {
		t.Fatal(err)
	}
	if c.Smarthosts[0].Token.IsSet() {
		return c.Smarthosts[0].Token
	}
	return c.Smarthosts[0].Secret
}

func TestSecretIsNeverPrinted(t *testing.T) {
	c, err := Source{}.parse("/f", where+"username = \"u\"\npassword = \""+secretText+"\"\n", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Smarthosts[0].Secret
	hiding := struct{ inside Secret }{s} // fmt calls no method of an unexported field
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%p"} {
		for _, value := range []any{s, &s, c, *c, *c.Smarthosts[0], []Secret{s}, map[string]Secret{"a": s}, hiding, &hiding} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	for _, value := range []any{s, c, []Secret{s}, hiding} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "value", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "value", value)
	}
	fmt.Fprint(&out, s.String(), s.GoString(), s.LogValue(), errors.Join(fmt.Errorf("x: %w", &Error{Msg: fmt.Sprint(s)})))
	for _, form := range []string{secretText, fmt.Sprintf("%x", secretText), fmt.Sprintf("%X", secretText), fmt.Sprint([]byte(secretText))} {
		if at := strings.Index(out.String(), form); at >= 0 {
			t.Errorf("the secret is printed: …%s", out.String()[max(0, at-80):at+len(form)])
		}
	}
	if !strings.Contains(fmt.Sprintf("%+v", *c.Smarthosts[0]), "Secret:"+hidden) {
		t.Errorf("no %s in %+v", hidden, *c.Smarthosts[0])
	}
	if text, err := s.Read(t.Context()); err != nil || text != secretText {
		t.Errorf("Read gives %q, %v", text, err)
	}
}

func TestSecretSet(t *testing.T) {
	if (Secret{}).IsSet() || NewSecret("").IsSet() || !NewSecret("x").IsSet() {
		t.Error("IsSet must tell a secret from none")
	}
	if _, err := (Secret{}).Read(t.Context()); err == nil {
		t.Error("reading no secret must fail: an empty password is worse")
	}
}

func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pw")
	const at = "FILE:4: smarthost.password_file: "
	for _, row := range []struct {
		name, text string
		mode       os.FileMode
		want       string
		why        string
	}{
		{"one newline", "a b \n", 0o600, "a b ", "blanks may be part of a password"},
		{"CRLF", "a\r\n", 0o640, "a", "an editor of another system"},
		{"no newline", "a", 0o604, "a", "readable by others is only warned about"},
		{"two newlines", "a\n\n", 0o600, at + "PW holds a control character, or more than one line", "which line?"},
		{"empty", "", 0o600, at + "PW is empty", "an empty password must not be tried"},
		{"newline", "\n", 0o600, at + "PW is empty", "the same"},
		{"long", strings.Repeat("x", maxSecret+1), 0o600, at + "PW is longer than 64 KiB", "not a password"},
		{"writable", "a\n", 0o602, at + "anyone can write PW; run: chmod o-w PW", "anyone could redirect the login"},
	} {
		write(t, dir, "pw", row.text, row.mode)
		got, err := load(t, dir, `password_file = "pw"`, nil).Read(t.Context())
		if err != nil {
			got = err.Error()
		}
		want := strings.NewReplacer("FILE", filepath.Join(dir, "s.toml"), "PW", file).Replace(row.want)
		if got != want {
			t.Errorf("%s: %s\n got %q\nwant %q", row.name, row.why, got, want)
		}
	}
}

func TestSecretFileKinds(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"fifo":    fifo + " is not a regular file", // and it must not block
		".":       dir + " is not a regular file",
		"missing": "open " + filepath.Join(dir, "missing") + ": no such file or directory",
	} {
		_, err := load(t, dir, `token_file = "`+name+`"`, nil).Read(t.Context())
		want = filepath.Join(dir, "s.toml") + ":4: smarthost.token_file: " + want
		if err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", name, err, want)
		}
	}
}

func TestSecretEnv(t *testing.T) {
	for value, want := range map[string]string{
		"pw":   "pw",
		"":     "FILE:4: smarthost.password_env: the variable PW is empty",
		"a\nb": "FILE:4: smarthost.password_env: the variable PW holds a control character, or more than one line",
	} {
		dir := t.TempDir()
		got, err := load(t, dir, `password_env = "PW"`, env("PW", value)).Read(t.Context())
		if err != nil {
			got = err.Error()
		}
		if want = strings.ReplaceAll(want, "FILE", filepath.Join(dir, "s.toml")); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

// TestMain lets the test binary be the command, as no other program is on
// every host.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "be-a-command" {
		beCommand(os.Args[2:])
	}
	os.Exit(m.Run())
}

func beCommand(args []string) {
	switch args[0] {
	case "say":
		_, _ = os.Stdout.WriteString(strings.Join(args[1:], "\n"))
	case "fail":
		_, _ = os.Stdout.WriteString(secretText)
		_, _ = os.Stderr.WriteString("locked\x1b[2J\nunlock it\n")
		os.Exit(3)
	case "flood":
		for {
			if _, err := os.Stdout.Write(bytes.Repeat([]byte("x"), 8192)); err != nil {
				os.Exit(1)
			}
		}
	case "wait":
		time.Sleep(5 * time.Second)
	case "leave":
		child := exec.Command(os.Args[0], "be-a-command", "wait")
		child.Stdout = os.Stdout
		fmt.Println(child.Start() == nil)
	case "env":
		fmt.Print(len(os.Environ()), os.Getenv("PATH"))
	}
	os.Exit(0)
}

func command(args ...string) string {
	var words []string
	for _, a := range append([]string{os.Args[0], "be-a-command"}, args...) {
		words = append(words, fmt.Sprintf("%q", a))
	}
	return "password_command = [" + strings.Join(words, ", ") + "]"
}

func TestSecretCommand(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
		why  string
	}{
		{[]string{"say", "pw", "user: u", ""}, "pw", "pass(1) keeps the password in the first line"},
		{[]string{"say", "pw"}, "pw", "the newline may be missing"},
		{[]string{"say", "$(id) `id`"}, "$(id) `id`", "there is no shell"},
		{[]string{"leave"}, "true", "an agent that it starts and that keeps its stdout open, as gpg does"},
		{[]string{"say", ""}, "FILE:4: smarthost.password_command: the output of PROG is empty", "no empty password"},
		{[]string{"say", "", "pw"}, "FILE:4: smarthost.password_command: the output of PROG is empty", "only the first line"},
		{[]string{"fail"}, "FILE:4: smarthost.password_command: PROG: exit status 3: locked [2J unlock it",
			"what it says on stderr, but not on stdout, belongs in the error"},
		{[]string{"flood"}, "FILE:4: smarthost.password_command: PROG: its output is longer than 64 KiB", "memory has an end"},
	} {
		dir := t.TempDir()
		got, err := load(t, dir, command(row.args...), nil).Read(t.Context())
		if err != nil {
			got = err.Error()
		}
		want := strings.NewReplacer("FILE", filepath.Join(dir, "s.toml"), "PROG", os.Args[0]).Replace(row.want)
		if got != want {
			t.Errorf("%q: %s\n got %q\nwant %q", row.args, row.why, got, want)
		}
	}
}

func TestSecretCommandStops(t *testing.T) {
	dir := t.TempDir()
	s := load(t, dir, command("wait"), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := s.Read(ctx)
	want := filepath.Join(dir, "s.toml") + ":4: smarthost.password_command: " + os.Args[0] + ": context deadline exceeded"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the command was killed only after %v", took)
	}
	_, err = load(t, dir, `password_command = ["/nonexistent/pass"]`, nil).Read(t.Context())
	want = filepath.Join(dir, "s.toml") + ":4: smarthost.password_command: /nonexistent/pass: fork/exec /nonexistent/pass: no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSecretCommandPrivileged(t *testing.T) {
	t.Setenv("LD_PRELOAD_TEST", "from the caller")
	path := write(t, t.TempDir(), "s.toml", where+"username = \"u\"\n"+command("env")+"\n", 0o600)
	c, err := Load(Source{System: path, Privileged: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Smarthosts[0].Secret.Read(t.Context()); err != nil || got != "1/usr/local/bin:/usr/bin:/bin" {
		t.Errorf("the caller's environment reaches the command: %q, %v", got, err)
	}
}
