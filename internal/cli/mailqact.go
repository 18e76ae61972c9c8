package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"postern/internal/spool"
)

// queueAct does something with one message, or with all.
func (a *app) queueAct(o *options) int {
	cfg, q, status := a.openQueue(o, nil)
	if cfg == nil {
		return status
	}
	if q == nil {
		return a.fail(exConfig, errors.New("there is no spool, so nothing is queued"))
	}
	if o.act == "show" && o.actOn == "all" {
		return a.fail(exUsage, errors.New("--show takes the id of one message"))
	}
	found, done, err := 0, 0, error(nil)
	for _, s := range q.Spools() {
		if _, err := s.Recover(); err != nil && o.act != "show" { // what a dead process had is not "being sent just now"
			a.log.Warning("spool: " + err.Error())
		}
		entries, failed := chosen(s, o)
		err = errors.Join(err, failed)
		for _, e := range entries {
			found++
			if err := a.actOn(s, o.act, e); err != nil {
				status = a.fail(exTempFail, fmt.Errorf("%s: %w", e.ID, err))
				continue
			}
			done++
		}
	}
	switch {
	case err != nil:
		return a.fail(exOSErr, err)
	case found == 0 && o.actOn != "all":
		return a.fail(exDataErr, fmt.Errorf("no message %q in the queue", o.actOn))
	}
	if done > 0 && (o.act == "retry" || o.act == "release") {
		a.wake(cfg)
	}
	return status
}

// chosen are the messages that an option names.
func chosen(s *spool.Spool, o *options) ([]spool.Entry, error) {
	if o.actOn != "all" {
		e, err := s.Find(o.actOn)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return []spool.Entry{e}, nil
	}
	all, _, err := s.All()
	var list []spool.Entry
	for _, e := range all {
		if fits(o.act, e.Place) {
			list = append(list, e)
		}
	}
	return list, err
}

// fits reports whether "all" means messages in that place for an action.
func fits(act, place string) bool {
	switch act {
	case "release":
		return place == "hold"
	case "retry", "hold":
		return place == "queue"
	}
	return place != "active"
}

func (a *app) actOn(s *spool.Spool, act string, e spool.Entry) error {
	if err := a.mayTouch(s, e); err != nil {
		return err
	}
	if act == "show" {
		return a.show(s, e)
	}
	if e.Place == "active" {
		return errors.New("it is being sent just now")
	}
	if act == "delete" {
		if _, err := s.Read(e); cannotBeRead(err) {
			a.log.Warning(fmt.Sprintf("%s: deleted by a person: %v", e.ID, err))
			return s.Discard(e)
		}
	}
	c, err := s.Claim(e)
	if err != nil {
		return err
	}
	switch act {
	case "hold":
		return c.Hold()
	case "delete":
		a.log.Warning(fmt.Sprintf("%s: deleted by a person, from=<%s>, %d recipients", e.ID, c.State.Sender, len(c.State.Recipients)))
		return c.Finish()
	}
	if e.Place == "failed" { // what was given up is tried again, with a new life
		c.State.Recipients = append(c.State.Recipients, c.State.Failed...)
		c.State.Failed, c.State.Created, c.State.Warned = nil, a.now(), false
		if err := c.Save(true); err != nil {
			return errors.Join(err, c.Fail())
		}
	}
	return c.Release(a.now())
}

// show prints a message.
func (a *app) show(s *spool.Spool, e spool.Entry) error {
	text, err := s.Message(e)
	if err != nil {
		return err
	}
	_, err = io.Copy(a.out, text)
	return errors.Join(err, text.Close())
}

// cannotBeRead reports a message that neither this program nor a run can make
// anything of.
func cannotBeRead(err error) bool {
	return errors.Is(err, spool.ErrDamaged) || errors.Is(err, spool.ErrVersion)
}
