package cli

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"postern/internal/aliases"
	"postern/internal/headers"
	"postern/internal/smtp"
)

// Recipients are divided by their envelope sender, and each is in one envelope.
func TestEnvelopes(t *testing.T) {
	at := func(local string) headers.Address { return headers.Address{Local: local, Domain: "x"} }
	plain := aliases.Recipient{Address: at("plain")}
	one := aliases.Recipient{Address: at("m1"), Original: at("list"), Owner: at("o")}
	two := aliases.Recipient{Address: at("m2"), Original: at("list"), Owner: at("o")}
	other := aliases.Recipient{Address: at("m3"), Original: at("other"), Owner: at("p")}
	for _, c := range []struct {
		why  string
		null bool
		to   []aliases.Recipient
		want string
	}{
		{"no alias", false, []aliases.Recipient{plain}, "plain@x"},
		{"only a list", false, []aliases.Recipient{one, two}, " [o@x: m1@x<rfc822;list@x m2@x<rfc822;list@x]"},
		{"both, and two lists", false, []aliases.Recipient{one, plain, other, two},
			"plain@x [o@x: m1@x<rfc822;list@x m2@x<rfc822;list@x] [p@x: m3@x<rfc822;other@x]"},
		{"a bounce keeps the null sender", true, []aliases.Recipient{one, other}, "m1@x<rfc822;list@x m3@x<rfc822;other@x"},
		{"ORCPT is ASCII", false, []aliases.Recipient{{Address: at("a"), Original: at("jürgen")}}, "a@x"},
	} {
		show := func(list []smtp.Recipient) string {
			var words []string
			for _, r := range list {
				if r.Notify != "NEVER" {
					t.Errorf("%s: %+v lost what the caller wants to know", c.why, r)
				}
				if r.Original != "" {
					r.Address += "<" + r.Original
				}
				words = append(words, r.Address)
			}
			return strings.Join(words, " ")
		}
		own, lists := envelopes(c.to, func(headers.Address) (string, string) { return "NEVER", "" }, c.null)
		got := show(own)
		for _, env := range lists {
			got += " [" + env.Sender + ": " + show(env.Recipients) + "]"
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, c.want)
		}
	}
}

// A recipient costs its text.
func TestEnvelopesAllocate(t *testing.T) {
	to := make([]aliases.Recipient, 1000)
	for i := range to {
		to[i].Address = headers.Address{Local: fmt.Sprint("user", i), Domain: "x"}
	}
	if n := testing.AllocsPerRun(10, func() {
		envelopes(to, func(headers.Address) (string, string) { return "", "" }, false)
	}); n > float64(len(to)+10) {
		t.Errorf("%v allocations", n)
	}
}

func TestStatusOfBad(t *testing.T) {
	address := &headers.BadAddress{Text: "@"}
	program := &aliases.Error{File: "/f", Line: 3}
	missing := &aliases.Error{File: "/f", Err: syscall.ENOENT}
	busy := &aliases.Error{File: "/f", Err: syscall.EIO}
	list := &aliases.Error{File: "/f", Line: 3, Err: fmt.Errorf("x: %w", syscall.EMFILE)}
	for _, c := range []struct {
		why  string
		bad  []error
		want int
	}{
		{"no address", []error{address}, exDataErr},
		{"an alias for a program", []error{program, address}, exDataErr},
		{"an alias file that is missing", []error{missing}, exConfig},
		{"one that cannot be read now", []error{busy}, exTempFail},
		{"a list that cannot be read now: trying again helps", []error{address, list}, exTempFail},
		{"unknown", []error{errors.New("x")}, exDataErr},
	} {
		if got := statusOfBad(c.bad); got != c.want {
			t.Errorf("%s: %d, want %d", c.why, got, c.want)
		}
	}
}
