package relay

import (
	"fmt"
	"slices"
	"strings"

	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/smtp"
)

// Group is the recipients of a message that go by the same smarthost.
type Group struct {
	Host *config.Smarthost // nil for those that none takes
	Who  []int             // their places in the envelope
}

// Groups divides recipients among the smarthosts, in the order of the file. The
// choice is made by the envelope as it was submitted, whatever is rewritten
// later, so that it is the same in each run of the queue.
func (r *Relay) Groups(sender string, recipients []smtp.Recipient) []Group {
	var found []Group
	chosen := make([]*config.Smarthost, len(recipients))
	many := make(map[*config.Smarthost]int)
	sender = Matched(sender)
	for i, to := range recipients {
		chosen[i] = r.Config.Choose(sender, Matched(to.Address))
		many[chosen[i]]++
	}
	for _, h := range slices.Concat(r.Config.Smarthosts, []*config.Smarthost{nil}) {
		if many[h] == 0 {
			continue
		}
		g := Group{Host: h, Who: make([]int, 0, many[h])}
		for i := range chosen {
			if chosen[i] == h {
				g.Who = append(g.Who, i)
			}
		}
		found = append(found, g)
	}
	return found
}

// Matched is an address as patterns have it: the domain in ASCII.
func Matched(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	domain, err := headers.ToASCII(address[at+1:])
	if err != nil || domain == address[at+1:] {
		return address
	}
	return address[:at+1] + domain
}

// addSmarthost is what to do when none takes a message.
const addSmarthost = "add a [[smarthost]] without senders and recipients at the end"

// Unroutable is the outcome for a recipient that no smarthost takes. Its error is
// a *config.Error.
func (r *Relay) Unroutable(sender string, to smtp.Recipient) Outcome {
	err := &config.Error{File: r.Config.Path, Msg: fmt.Sprintf("no smarthost takes mail from <%s> to <%s>", sender, to.Address),
		Hint: addSmarthost}
	return Outcome{Recipient: to.Address, Original: to.Original, Status: Failed, Enhanced: "5.4.4", Text: err.Error(), Err: err}
}

// Route divides an envelope: the recipients that can be sent to are in the one
// that it returns, and are Queued in the outcomes, which are parallel to those of
// env. The others failed; they are logged under id.
func (r *Relay) Route(id string, env Envelope, size int64) (Envelope, []Outcome) {
	outcomes := make([]Outcome, len(env.Recipients))
	for _, g := range r.Groups(env.Sender, env.Recipients) {
		for _, i := range g.Who {
			outcomes[i] = Outcome{Recipient: env.Recipients[i].Address, Original: env.Recipients[i].Original, Status: Queued}
			if g.Host == nil {
				outcomes[i] = r.Unroutable(env.Sender, env.Recipients[i])
				r.log(id, env.Sender, size, outcomes[i])
			}
		}
	}
	all := env.Recipients
	env.Recipients = nil
	for i, o := range outcomes {
		if o.Status == Queued {
			env.Recipients = append(env.Recipients, all[i])
		}
	}
	return env, outcomes
}
