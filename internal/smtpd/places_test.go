package smtpd

import (
	"context"
	"testing"
	"time"
)

func testPlaces() *places {
	return newPlaces(&Options{Timeout: 20 * time.Second, MaxConnections: 4, MaxPerUser: 2})
}

// A user who has all of his places, and waits for more, keeps nobody else out.
func TestPlacesOfOthers(t *testing.T) {
	p := testPlaces()
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan bool)
	for range 8 {
		go func() {
			_, refusal := p.enter(ctx, 1)
			waited <- refusal == ""
		}()
	}
	for range 2 {
		if !<-waited {
			t.Fatal("a place is refused")
		}
	}
	for range 2 {
		leave, refusal := p.enter(t.Context(), 2)
		if refusal != "" {
			t.Fatal("another user is kept out: " + refusal)
		}
		defer leave()
	}
	cancel()
	for range 6 {
		if <-waited {
			t.Error("a user has more than his places")
		}
	}
}

// What waits is bounded, and a user whose connections have all ended is forgotten.
func TestPlacesWaiting(t *testing.T) {
	p := testPlaces()
	for range waiting * 4 / 2 {
		if p.come(1) == nil {
			t.Fatal("too few may wait")
		}
	}
	if p.come(1) != nil {
		t.Error("there is no bound")
	}
	u := p.come(2)
	if u == nil {
		t.Fatal("another user is kept out")
	}
	p.gone(2, u)
	if len(p.users) != 1 {
		t.Errorf("%d users are remembered, not 1", len(p.users))
	}
}

// When all places are taken, who waits too long is told so.
func TestPlacesAllTaken(t *testing.T) {
	p := newPlaces(&Options{Timeout: time.Millisecond, MaxConnections: 1})
	if _, refusal := p.enter(t.Context(), 1); refusal != "" {
		t.Fatal(refusal)
	}
	if _, refusal := p.enter(t.Context(), 2); refusal != tooMany {
		t.Errorf("refusal %q", refusal)
	}
	if len(p.users) != 1 {
		t.Errorf("%d users are remembered, not 1", len(p.users))
	}
}

// Without limits everybody is served.
func TestPlacesUnlimited(t *testing.T) {
	p := newPlaces(&Options{Timeout: time.Second})
	for range 100 {
		if _, refusal := p.enter(t.Context(), 1); refusal != "" {
			t.Fatal(refusal)
		}
	}
}
