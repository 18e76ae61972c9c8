//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// stored is a message as a server kept it, for one recipient.
type stored struct {
	sender    string // Return-Path
	recipient string // Delivered-To or Envelope-To
	trace     string // the fields that the server put on top
	raw       string // what the client sent: header and body, LF line ends
}

// header is the header that the client sent, without the empty line.
func (s stored) header() string {
	header, _, _ := strings.Cut(s.raw, "\n\n")
	return header + "\n"
}

// body is all that follows the empty line.
func (s stored) body() string {
	_, body, _ := strings.Cut(s.raw, "\n\n")
	return body
}

// waitFor waits until the message for recipient lies in Postfix's mailbox.
func waitFor(t *testing.T, recipient string) stored {
	t.Helper()
	return waitIn(t, filepath.Join(world.mail, "inbox/new"), recipient)
}

// waitForExim does the same with Exim's mailbox.
func waitForExim(t *testing.T, recipient string) stored {
	t.Helper()
	return waitIn(t, filepath.Join(world.eximMail, "inbox/new"), recipient)
}

func waitIn(t *testing.T, dir, recipient string) stored {
	t.Helper()
	for range 300 {
		if found := lookIn(t, dir, recipient); len(found) > 0 {
			return found[0]
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no message for %s in %s after 15 s\n%s", recipient, dir, world.logs())
	return stored{}
}

// lookIn finds the messages for recipient in a Maildir's folder.
func lookIn(t *testing.T, dir, recipient string) (found []stored) {
	t.Helper()
	for _, s := range storedIn(t, dir) {
		if strings.EqualFold(s.recipient, recipient) {
			found = append(found, s)
		}
	}
	return found
}

// storedIn reads all messages of a Maildir's folder.
func storedIn(t *testing.T, dir string) (all []stored) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parseStored(text))
	}
	return all
}

// parseStored takes the server's own trace fields off the top.
func parseStored(text []byte) stored {
	var s stored
	for {
		field := firstField(text)
		name, value, ok := strings.Cut(string(field), ":")
		if !ok || !slices.Contains([]string{"return-path", "delivered-to", "x-original-to", "envelope-to", "received"}, strings.ToLower(name)) {
			break
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "return-path":
			s.sender = strings.Trim(value, "<>")
		case "delivered-to", "envelope-to":
			s.recipient = value
		}
		s.trace += string(field)
		text = text[len(field):]
		if strings.EqualFold(name, "received") { // the server adds just one
			break
		}
	}
	s.raw = string(text)
	return s
}

// firstField is the first header field with its continuation lines.
func firstField(text []byte) []byte {
	end := 0
	for {
		line := bytes.IndexByte(text[end:], '\n')
		if line < 0 {
			return text
		}
		end += line + 1
		if end >= len(text) || (text[end] != ' ' && text[end] != '\t') {
			return text[:end]
		}
	}
}

// mailbox makes a recipient address that no other test uses.
func mailbox(t *testing.T, name string) string {
	t.Helper()
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(t.Name()))
	return fmt.Sprintf("%s.%s@dest.example", name, clean)
}
