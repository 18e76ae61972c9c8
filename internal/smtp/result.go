package smtp

import "errors"

// Fate says what became of a message for one recipient.
type Fate int

const (
	NotTaken Fate = iota // the server did not take responsibility
	Taken                // it did: a 2yz after the content
	Unknown              // the content went out whole, but the answer never came
)

func (f Fate) String() string {
	switch f {
	case Taken:
		return "taken"
	case Unknown:
		return "unknown"
	}
	return "not taken"
}

// RecipientResult is the outcome for one recipient. Err is nil if, and only if,
// Fate is Taken.
type RecipientResult struct {
	Fate  Fate
	Reply Reply // the one that decided, zero if there was none
	Err   error
}

// Result is the outcome of a message. Recipients is parallel to those of the
// envelope.
type Result struct {
	Recipients []RecipientResult
	Reply      Reply // the last answer to the content; its text often has the queue id
	Size       int64 // octets of the message
}

// Refused returns what was not taken, by address.
func (r *Result) Refused(e Envelope) map[string]error {
	refused := make(map[string]error)
	for i, one := range r.Recipients {
		if one.Err != nil {
			refused[e.Recipients[i].Address] = one.Err
		}
	}
	return refused
}

// Err is nil if any recipient was taken, else a *RecipientsError if the server
// refused each of them at RCPT, else the first failure.
func (r *Result) Err() error {
	var refused []*Error
	var first error
	for _, one := range r.Recipients {
		if one.Err == nil {
			return nil
		}
		if first == nil {
			first = one.Err
		}
		var e *Error
		if errors.As(one.Err, &e) && errors.Is(e, ErrRecipientRefused) {
			refused = append(refused, e)
		}
	}
	if len(refused) > 0 && len(refused) == len(r.Recipients) {
		return &RecipientsError{Refused: refused}
	}
	return first
}

// pending marks all results as not decided yet.
func newResult(recipients int, size int64) *Result {
	return &Result{Recipients: make([]RecipientResult, recipients), Size: size}
}

// set decides about recipients.
func (r *Result) set(indices []int, one RecipientResult) {
	for _, i := range indices {
		r.Recipients[i] = one
	}
}
