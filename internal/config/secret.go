package config

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
)

const (
	hidden    = "[secret]"
	maxSecret = 64 << 10
)

// Secret is a password or a token, or the place where one is kept. However it
// is printed, encoded or logged it shows only that it is one.
type Secret struct {
	src *secretSource
}

type secretSource struct {
	// A function, as a printer that may not call Secret's methods (for one in
	// an unexported field) shows no more than its address.
	literal func() string
	file    string
	command []string
	env     string

	getenv  func(string) string // nil: the environment must not be used
	cleanup bool                // run the command without the caller's environment
	where   Error               // file, line and key, for errors
}

// NewSecret makes a secret of its text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{src: &secretSource{literal: func() string { return text }}}
}

// IsSet says whether there is a secret, or a place that should hold one.
func (s Secret) IsSet() bool { return s.src != nil }

// String shows nothing.
func (s Secret) String() string { return hidden }

// GoString shows nothing.
func (s Secret) GoString() string { return hidden }

// Format shows nothing, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue shows nothing.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText shows nothing.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Read fetches the secret. It fails when the place is empty, and with *Error
// when there is a place to name.
func (s Secret) Read(ctx context.Context) (string, error) {
	if s.src == nil {
		return "", &Error{Msg: "no secret is configured"}
	}
	var text string
	var err error
	switch {
	case s.src.literal != nil:
		return s.src.literal(), nil
	case s.src.file != "":
		text, err = s.src.readFile()
	case s.src.env != "":
		text, err = s.src.readEnv()
	default:
		text, err = s.src.readCommand(ctx)
	}
	if err == nil {
		err = s.src.check(text)
	}
	if err != nil {
		return "", err
	}
	return text, nil
}

func (s *secretSource) fail(format string, args ...any) error {
	e := s.where
	e.Msg = fmt.Sprintf(format, args...)
	return &e
}

// place names where the secret comes from.
func (s *secretSource) place() string {
	switch {
	case s.file != "":
		return s.file
	case s.env != "":
		return "the variable " + s.env
	}
	return "the output of " + s.command[0]
}

func (s *secretSource) check(text string) error {
	if text == "" {
		return s.fail("%s is empty", s.place())
	}
	if strings.ContainsFunc(text, isControl) {
		return s.fail("%s holds a control character, or more than one line", s.place())
	}
	return nil
}

func (s *secretSource) readEnv() (string, error) {
	if s.getenv == nil {
		return "", s.fail("the environment is not used when running with more rights than the caller")
	}
	return s.getenv(s.env), nil
}

// readFile refuses what anyone can change, and what is no plain file: opening
// a pipe could take for ever.
func (s *secretSource) readFile() (string, error) {
	f, err := os.OpenFile(s.file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", s.fail("%v", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", s.fail("%v", err)
	}
	if !info.Mode().IsRegular() {
		return "", s.fail("%s is not a regular file", s.file)
	}
	if writableByOthers(info) {
		e := s.where
		e.Msg, e.Hint = "anyone can write "+s.file, "run: chmod o-w "+s.file
		return "", &e
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", s.fail("%v", err)
	}
	if len(data) > maxSecret {
		return "", s.fail("%s is longer than 64 KiB", s.file)
	}
	data = bytes.TrimSuffix(data, []byte("\n"))
	return string(bytes.TrimSuffix(data, []byte("\r"))), nil
}

func writableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o002 != 0 }

func readableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o004 != 0 }
