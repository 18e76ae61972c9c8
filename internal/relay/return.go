package relay

import (
	"errors"

	"postern/internal/bounce"
	"postern/internal/message"
	"postern/internal/spool"
)

// Return puts a report into the queue about those recipients of a message that
// were refused for good when it was sent at once. The outcomes are parallel to
// the recipients. A message without a sender, and recipients that want no report,
// have none; told is false if nobody is to be told.
func (q *Queue) Return(id string, env Envelope, msg *message.Message, outcomes []Outcome) (told bool, err error) {
	s := &spool.State{ID: id, Created: q.now(), Tried: q.now(), Sender: env.Sender, Return: env.Return, EnvelopeID: env.ID}
	for i, to := range env.Recipients {
		if i < len(outcomes) && outcomes[i].Status == Failed {
			r := spool.Recipient{Address: to.Address, Notify: to.Notify, Original: to.Original}
			answer(&r, outcomes[i])
			s.Failed = append(s.Failed, r)
		}
	}
	tell := wanting(s.Failed, "FAILURE")
	if env.Sender == "" || len(tell) == 0 {
		return false, nil
	}
	m, err := msg.For(message.Wire{EightBitMIME: true})
	if err != nil {
		return false, err
	}
	err = q.tell(s, m, bounce.Failure, env.Sender, tell)
	return err == nil, errors.Join(err, m.Close())
}
