package smtp

import (
	"context"
	"errors"
)

// HasNext reports whether there are servers behind the one of c, in the order of
// Config.Hosts and of what DNS said of them.
func (c *Client) HasNext() bool { return len(c.others) > 0 }

// Next connects to the first of them that is ready for mail, as Dial does. It is
// for a message that this server would not take now; c itself is left as it is.
func (c *Client) Next(ctx context.Context) (*Client, error) {
	if !c.HasNext() {
		return nil, c.failure(StageConnect, because(ErrConnect, errors.New("there is no other server")))
	}
	return c.dialled.dialTargets(ctx, c.others, nil, func(c *Client) error { return c.prepare(ctx) })
}

// Elsewhere reports a result that another server may better: nobody got the
// message, and for nobody it was refused for good. A message whose last answer
// was lost is not among them, since it may be on its way already.
func (r *Result) Elsewhere() bool {
	for _, one := range r.Recipients {
		var e *Error
		if one.Fate != NotTaken || !errors.As(one.Err, &e) || !e.Temporary() ||
			errors.Is(e, ErrMessage) || errors.Is(e, ErrTransactionLimit) || errors.Is(e, context.Canceled) {
			return false
		}
	}
	return len(r.Recipients) > 0
}
