package spool_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/spool"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const message = "Subject: x\r\n\r\n.body\r\npostern 1 00000000 {\"id\":\"id0000000001\"}\r\n"

// user is somebody who uses a spool: a process, of which others know that it is
// dead or alive.
type user struct {
	*spool.Spool
	below spool.FS
	now   time.Time
}

// ids hands out ids that differ within a test.
type ids struct {
	mu sync.Mutex
	n  int
}

func (i *ids) next() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.n++
	return fmt.Sprintf("id%010d", i.n)
}

// open uses a spool. Who is not named in dead is on another host, for all that is
// known here.
func open(f spool.FS, owner spool.Owner, dead ...spool.Owner) (*user, error) {
	u := &user{below: f, now: noon}
	s, err := spool.Open(f, spool.Options{Owner: owner, Now: func() time.Time { return u.now }, NewID: new(ids).next,
		Alive: func(o spool.Owner) (bool, bool) { return false, slices.Contains(dead, o) }})
	u.Spool = s
	return u, err
}

func mustOpen(t *testing.T, f spool.FS, owner spool.Owner, dead ...spool.Owner) *user {
	t.Helper()
	u, err := open(f, owner, dead...)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// publish keeps a message for recipients.
func (u *user) publish(to ...string) (string, error) {
	d, err := u.Create()
	if err != nil {
		return "", err
	}
	defer d.Abandon()
	for _, part := range []string{message[:7], message[7:]} {
		if _, err := io.WriteString(d, part); err != nil {
			return "", err
		}
	}
	state := &spool.State{Created: u.now, Sender: "s@x"}
	for _, one := range to {
		state.Recipients = append(state.Recipients, spool.Recipient{Address: one})
	}
	return d.ID(), d.Commit(state, u.now)
}

// claim takes the only message of the queue.
func (u *user) claim() (*spool.Claim, error) {
	list, _, err := u.List("queue")
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("there are %d messages in the queue", len(list))
	}
	return u.Claim(list[0])
}

// look tells where the messages are and to whom they still have to go: "queue
// a,b", "absent". The error is a broken invariant.
func (u *user) look() (string, error) {
	all, strangers, err := u.All()
	if err != nil {
		return "", err
	}
	if len(strangers) > 0 {
		return "", fmt.Errorf("I6: strangers of our own making: %v", strangers)
	}
	seen := map[string]bool{}
	var found []string
	for _, e := range all {
		if seen[e.ID] {
			return "", fmt.Errorf("I4: %s is in two places", e.ID)
		}
		seen[e.ID] = true
		one, err := u.describe(e)
		if err != nil {
			return "", err
		}
		found = append(found, one)
	}
	if found == nil {
		return "absent", nil
	}
	return strings.Join(found, "; "), nil
}

func (u *user) describe(e spool.Entry) (string, error) {
	state, err := u.Read(e)
	if errors.Is(err, spool.ErrDamaged) {
		return e.Place + " damaged", nil
	}
	if err != nil {
		return "", err
	}
	r, err := u.Message(e)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return "", fmt.Errorf("I1: %s is there, and not whole: %w", e.ID, err)
	}
	if string(text) != message || state.Sender != "s@x" {
		return "", fmt.Errorf("I3: %s is %q of %s", e.ID, text, state.Sender)
	}
	var to []string
	for _, r := range state.Recipients {
		to = append(to, r.Address)
	}
	return e.Place + " " + strings.Join(to, ","), nil
}
