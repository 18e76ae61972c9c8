package relay

import (
	"fmt"
	"testing"
	"time"

	"postern/internal/config"
	"postern/internal/smtp"
)

// people are so many recipients.
func people(n int) []smtp.Recipient {
	list := make([]smtp.Recipient, n)
	for i := range list {
		list[i] = smtp.Recipient{Address: fmt.Sprintf("user%d@x", i), Original: "rfc822;somebody@x"}
	}
	return list
}

// Each recipient has what was said about him, whatever was said about others.
func TestOutcomesOf(t *testing.T) {
	given := people(8)
	wire := append([]smtp.Recipient{{Address: "all@x"}}, given[2:]...) // the first two became one
	place := []int{0, 0, 1, 2, 3, 4, 5}                                // the last one has none
	taken := func(text string) smtp.RecipientResult {
		return smtp.RecipientResult{Fate: smtp.Taken, Reply: smtp.Reply{Code: 250, Enhanced: smtp.Enhanced{2, 0, 0}, Lines: []string{text}}}
	}
	no := &smtp.Error{Stage: smtp.StageRcpt, Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no such user"}
	result := smtp.Result{Recipients: []smtp.RecipientResult{taken("A"), taken("A"), {Err: no}, taken("A"), taken("B"), {Fate: smtp.Unknown, Err: smtp.ErrTimeout}}}
	want := []string{"0 all@x 250 2.0.0 A", "0 all@x 250 2.0.0 A", "0  250 2.0.0 A", "1  550 5.1.1 no such user", "0  250 2.0.0 A", "0  250 2.0.0 B",
		"3  smtp: timed out", "2  smtp: disconnected"}
	for i, o := range outcomesOf(given, place, wire, result, smtp.ErrDisconnected) {
		if got := fmt.Sprintf("%d %s %s", o.Status, o.Went, o.Text); got != want[i] || o.Recipient != given[i].Address || o.Original != given[i].Original {
			t.Errorf("%d: got %q for %q, want %q", i, got, o.Recipient, want[i])
		}
		if (o.Err == nil) != (o.Status == Sent) || o.Status == Sent && (o.Code != 250 || o.Enhanced != "2.0.0") {
			t.Errorf("%d: %+v", i, o)
		}
	}
}

// To divide a thousand recipients and to say what became of them takes no
// allocation for each.
func TestManyRecipientsAllocate(t *testing.T) {
	r := &Relay{Config: &config.Config{Smarthosts: []*config.Smarthost{{}}}, Now: time.Now}
	to := people(1000)
	result := smtp.Result{Recipients: make([]smtp.RecipientResult, len(to))}
	for i := range result.Recipients {
		result.Recipients[i] = smtp.RecipientResult{Fate: smtp.Taken, Reply: smtp.Reply{Code: 250, Lines: []string{"Ok"}}}
	}
	if n := testing.AllocsPerRun(10, func() {
		g := r.Groups("a@x", to)[0]
		wire, place := r.wanted(g.Host, "a@x", 0).recipients(g.of(to))
		outcomesOf(to, place, wire, result, nil)
	}); n > 20 {
		t.Errorf("%v allocations", n)
	}
}
