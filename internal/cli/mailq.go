package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/spool"
)

// queueList is mailq: a table as Sendmail and Postfix have it, or an object a
// line. Messages are written as they are read, so that ten thousand of them need
// no memory.
func (a *app) queueList(o *options) int {
	cfg, q, status := a.openQueue(o, nil)
	if cfg == nil {
		return status
	}
	if q == nil {
		return a.emptyQueue(o)
	}
	out := bufio.NewWriterSize(a.out, 32<<10)
	l := &listing{w: out, json: o.jsonList, way: way(cfg, q.Relay)}
	for _, s := range q.Spools() {
		status = max(status, a.listSpool(l, s))
	}
	if o.verbose && status == exOK {
		a.sayWeaker(q)
	}
	if l.count == 0 && status == exOK {
		return a.emptyQueue(o)
	}
	if !o.jsonList {
		fmt.Fprintf(out, "-- %d Kbytes in %d Request%s.\n", (l.octets+1023)/1024, l.count, plural(l.count))
	}
	if err := errors.Join(l.err, out.Flush()); err != nil {
		return a.fail(exIOErr, err)
	}
	return status
}

// listSpool lists what is in a spool.
func (a *app) listSpool(l *listing, s *spool.Spool) (status int) {
	all, strangers, err := s.All()
	if err != nil {
		return a.fail(exOSErr, err)
	}
	s.Each(all, func(e spool.Entry, state *spool.State, err error) {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has moved on
		case cannotBeRead(err):
			a.say("%s: %v; it is never sent, and mailq --delete %s removes it", e.ID, err, e.ID)
			status = exDataErr
		case err != nil:
			a.say("%s: %v", e.ID, err)
			status = exDataErr
		default:
			l.message(e, state)
		}
	})
	for _, s := range strangers {
		a.say("%s: %s; it is left alone", s.Name, s.Reason)
	}
	return status
}

func (a *app) emptyQueue(o *options) int {
	if o.jsonList {
		return exOK
	}
	return a.print("Mail queue is empty\n")
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// listing writes messages.
type listing struct {
	w      io.Writer
	json   bool
	count  int
	octets int64
	err    error
	// objects writes for json; it keeps its room from one to the next.
	objects *json.Encoder
	way     func(sender, recipient string) string // where a message goes, if elsewhere
}

// way tells of mail that is captured or goes to another address.
func way(cfg *config.Config, r *relay.Relay) func(sender, recipient string) string {
	return func(sender, recipient string) string {
		h := cfg.Choose(relay.Matched(sender), relay.Matched(recipient))
		switch {
		case h == nil:
			return ""
		case h.Capture != "":
			return h.Capture
		}
		if to, rule := r.RecipientFor(h, recipient); rule != "" {
			return to
		}
		return ""
	}
}

// listed is a message in mailq --json. The keys are promised to scripts.
type listed struct {
	ID         string            `json:"id"`
	Place      string            `json:"place"` // queue, active, hold, failed
	Size       int64             `json:"size"`
	Arrived    time.Time         `json:"arrived"`
	NextTry    time.Time         `json:"next_try"`
	Attempts   int               `json:"attempts"`
	Sender     string            `json:"sender"`
	UID        int               `json:"uid"`
	Recipients []listedRecipient `json:"recipients"`
}

type listedRecipient struct {
	Address        string `json:"address"`
	Code           int    `json:"code"`
	DSN            string `json:"dsn"`
	Answer         string `json:"answer"`
	MaybeDelivered bool   `json:"maybe_delivered"`
	Failed         bool   `json:"failed"`            // refused for good
	GoesTo         string `json:"goes_to,omitempty"` // another address, or the directory of capture
}

func (l *listing) message(e spool.Entry, s *spool.State) {
	if l.count == 0 && !l.json {
		l.printf("-Queue ID-   --Size-- ----Arrival Time---- -Sender/Recipient-------\n")
	}
	l.count++
	l.octets += s.Size
	if l.json {
		l.object(e, s)
		return
	}
	l.printf("%-13s%8d %s  %s\n", s.ID+placeMark(e.Place), s.Size, s.Created.Local().Format("Mon Jan _2 15:04:05"), sender(s))
	for _, list := range [][]spool.Recipient{s.Failed, s.Recipients} {
		for _, r := range list {
			if note := note(e, r, l.way(s.Sender, r.Address)); note != "" {
				l.printf("%13s(%s)\n", "", note)
			}
			l.printf("%44s%s\n", "", r.Address)
		}
	}
}

// placeMark is what stands behind the id of a message, as Sendmail has it for the first.
func placeMark(place string) string {
	switch place {
	case "active":
		return "*"
	case "hold":
		return "!"
	case "failed":
		return "#"
	}
	return ""
}

func sender(s *spool.State) string {
	if s.Sender == "" {
		return "<>"
	}
	return s.Sender
}

// note is what is known of a recipient.
func note(e spool.Entry, r spool.Recipient, goesTo string) string {
	var parts []string
	if goesTo != "" {
		parts = append(parts, "goes to "+goesTo)
	}
	if r.Maybe {
		parts = append(parts, "maybe delivered")
	}
	if r.Answer != "" {
		parts = append(parts, r.Answer)
	}
	switch e.Place {
	case "queue":
		if r.Answer != "" {
			parts = append(parts, "next try "+e.Due.Local().Format("Mon 15:04"))
		}
	case "hold":
		parts = append(parts, "on hold")
	case "failed":
		parts = append(parts, "undeliverable")
	}
	return strings.Join(parts, "; ")
}

func (l *listing) object(e spool.Entry, s *spool.State) {
	m := listed{ID: s.ID, Place: e.Place, Size: s.Size, Arrived: s.Created, NextTry: e.Due.UTC(), Attempts: s.Attempts,
		Sender: s.Sender, UID: s.UID, Recipients: []listedRecipient{}}
	add := func(list []spool.Recipient, failed bool) {
		for _, r := range list {
			m.Recipients = append(m.Recipients, listedRecipient{r.Address, r.Code, r.DSN, r.Answer, r.Maybe, failed, l.way(s.Sender, r.Address)})
		}
	}
	add(s.Failed, true)
	add(s.Recipients, false)
	if l.objects == nil {
		l.objects = json.NewEncoder(l.w)
	}
	if err := l.objects.Encode(m); err != nil && l.err == nil {
		l.err = err
	}
}

func (l *listing) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(l.w, format, args...); err != nil && l.err == nil {
		l.err = err
	}
}

// queueCount is -bP.
func (a *app) queueCount(o *options) int {
	cfg, q, status := a.openQueue(o, nil)
	if cfg == nil {
		return status
	}
	if q == nil {
		return a.print("0\n")
	}
	n := 0
	for _, s := range q.Spools() {
		all, _, err := s.All()
		if err != nil {
			return a.fail(exOSErr, err)
		}
		n += len(all)
	}
	return a.print(fmt.Sprintf("%d\n", n))
}
