package smtp_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// trouble is one way in which a server can fail to give an answer.
type trouble struct {
	name    string
	answer  func(good smtptest.Answer) smtptest.Answer
	kind    error // nil for a refusal: the kind is that of the step
	forever bool  // trying again cannot help
	alive   bool  // the connection can still be used
	said    bool  // the server did say no, so that the mail was not taken
}

func troubles() []trouble {
	say := func(a smtptest.Answer) func(smtptest.Answer) smtptest.Answer {
		return func(smtptest.Answer) smtptest.Answer { return a }
	}
	return []trouble{
		// The machine went down in good order.
		{name: "close", answer: say(smtptest.Answer{Then: smtptest.Close}), kind: smtp.ErrDisconnected},
		// Half a reply is none, however well it begins.
		{name: "half", answer: say(smtptest.Half("250 2.0")), kind: smtp.ErrDisconnected},
		// The process was killed with input unread.
		{name: "reset", answer: say(smtptest.Answer{Then: smtptest.Reset}), kind: smtp.ErrDisconnected},
		{name: "4yz", answer: say(smtptest.Say("451 4.3.0 later")), alive: true, said: true},
		{name: "5yz", answer: say(smtptest.Say("554 5.3.0 never")), forever: true, alive: true, said: true},
		// A farewell means that nothing more is read (RFC 5321 3.8), even if the
		// server forgets to close.
		{name: "421", answer: say(smtptest.Say("421 4.3.2 off")), kind: smtp.ErrDisconnected, said: true},
		{name: "421 close", answer: say(smtptest.Say("421 4.3.2 off").And(smtptest.Close)), kind: smtp.ErrDisconnected, said: true},
		{name: "silence", answer: say(smtptest.Answer{Then: smtptest.Silence}), kind: smtp.ErrReadTimeout},
		// Where the next reply begins cannot be known after these.
		{name: "garbage", answer: say(smtptest.Say("hello there")), kind: smtp.ErrProtocol},
		{name: "two codes", answer: say(smtptest.Say("250-a", "550 b")), kind: smtp.ErrProtocol},
		{name: "endless line", answer: say(smtptest.Say("250 " + strings.Repeat("x", 16<<10))), kind: smtp.ErrProtocol},
		{name: "endless lines", answer: say(smtptest.Say(strings.Repeat("250-"+strings.Repeat("x", 996)+"\r\n", 40))), kind: smtp.ErrProtocol},
	}
}

// slowly is no trouble at all: the good answer, one octet at a time.
var slowly = trouble{name: "slowly", answer: smtptest.Answer.Slowly}

// run tests f: silence in fake time, all else over TCP.
func (f trouble) run(t *testing.T, name string, script smtptest.Script, patience time.Duration, test func(*rig)) {
	t.Run(name+"/"+f.name, func(t *testing.T) {
		t.Parallel()
		if f.kind != smtp.ErrReadTimeout {
			test(serve(t, script))
			return
		}
		synctest.Test(t, func(t *testing.T) {
			r := serveOver(t, script)
			began := time.Now()
			test(r)
			if d := time.Since(began); d != patience {
				t.Errorf("waited for %v, want %v", d, patience)
			}
		})
	})
}

// judge compares an error with what f gives at a step.
func (f trouble) judge(t *testing.T, err error, stage smtp.Stage, refusal error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	if f.kind != nil {
		mustBe(t, err, f.kind)
	}
	if f.said {
		mustBe(t, err, refusal)
	}
	if got := smtp.Temporary(err); got == f.forever {
		t.Errorf("%v: Temporary() = %v", err, got)
	}
	var e *smtp.Error
	if !errors.As(err, &e) || e.Stage != stage {
		t.Errorf("%#v is not of stage %q", err, stage)
	}
	if f.kind != nil && errors.Is(f.kind, smtp.ErrProtocol) && e.Code != smtp.CodeInvalidResponse {
		t.Errorf("Code = %d", e.Code)
	}
}

// Every step on the way to a connection that is ready for mail, and every way in
// which it can fail: Dial says which, and not one command more is sent.
func TestOpeningFails(t *testing.T) {
	t.Parallel()
	script := smtptest.Polite("STARTTLS", "AUTH PLAIN")
	hello, login := "EHLO client.test", "AUTH PLAIN AHVzZXJAZXhhbXBsZS5vcmcAY29ycmVjdC1ob3JzZS1CYXR0ZXJ5"
	for _, step := range []struct {
		name    string
		key     string
		before  []smtptest.Answer // answers to the same command that are good
		stage   smtp.Stage
		refusal error
		heard   []string
	}{
		{"banner", "_banner", nil, smtp.StageGreeting, smtp.ErrGreeting, nil},
		// HELO could not be followed by what is required.
		{"EHLO", "EHLO", nil, smtp.StageHello, smtp.ErrHello, []string{hello}},
		{"STARTTLS", "STARTTLS", nil, smtp.StageTLS, smtp.ErrTLS, []string{hello, "STARTTLS"}},
		{"second EHLO", "EHLO", script["EHLO"], smtp.StageHello, smtp.ErrHello, []string{hello, "STARTTLS", hello}},
		{"AUTH", "AUTH", nil, smtp.StageAuth, smtp.ErrAuth, []string{hello, "STARTTLS", hello, login}},
	} {
		for _, f := range append(troubles(), slowly) {
			answers := append(slices.Clone(step.before), f.answer(script[step.key][0]))
			f.run(t, step.name, script.With(step.key, answers...), 5*time.Second, func(r *rig) {
				r.cfg.TLS, r.cfg.Insecure = smtp.Required, true
				r.cfg.Username, r.cfg.Secret = testUser, giveSecret
				switch {
				case f.name == slowly.name:
					must[smtp.Reply](r.t)(r.dial().Quit(r.t.Context()))
					r.wantHeard(hello, "STARTTLS", hello, login, "QUIT")
				case f.name == "reset" && step.key == "_banner": // it may come while we still connect
					r.dialFails(smtp.ErrConnect)
				default:
					f.judge(r.t, r.dialFails(), step.stage, step.refusal)
					r.wantHeard(step.heard...)
				}
			})
		}
	}
}

// mode is one way of sending a message.
type mode struct {
	name       string
	extensions []string
	quit       bool // QUIT with the last content
}

func (m mode) has(extension string) bool { return slices.Contains(m.extensions, extension) }

func modes() []mode {
	return []mode{
		{"one by one", nil, false},
		{"one by one, quit", nil, true},
		{"pipelined", []string{"PIPELINING"}, false},
		{"pipelined, quit", []string{"PIPELINING"}, true},
		// The content goes with the envelope, in one BDAT.
		{"chunked, quit", []string{"PIPELINING", "CHUNKING"}, true},
	}
}

// mailStep is a step of a message to two recipients.
type mailStep struct {
	name    string
	key     string
	stage   smtp.Stage
	refusal error
	heard   int // commands up to it
}

func mailSteps() []mailStep {
	return []mailStep{
		{"MAIL", "MAIL", smtp.StageMail, smtp.ErrSenderRefused, 2},
		// The second one, so that something can be lost.
		{"RCPT", "RCPT TO:<SECOND@", smtp.StageRcpt, smtp.ErrRecipientRefused, 4},
		{"DATA", "DATA", smtp.StageData, smtp.ErrData, 5},
		{"content", "_content", smtp.StageContent, smtp.ErrData, 5},
		{"QUIT", "QUIT", smtp.StageQuit, nil, 6},
	}
}

// Every step of a message in every mode, and every way in which it can fail.
func TestMailFails(t *testing.T) {
	t.Parallel()
	for _, m := range modes() {
		script := smtptest.Polite(m.extensions...)
		for _, s := range mailSteps() {
			if s.name == "DATA" && m.has("CHUNKING") || s.name == "QUIT" && !m.quit {
				continue // it does not occur
			}
			patience := 5 * time.Second
			switch s.name {
			case "content": // servers scan it there (RFC 5321 4.5.3.2.6)
				patience *= 10
			case "QUIT": // the mail is done with
				patience = 3 * time.Second
			}
			for _, f := range append(troubles(), slowly) {
				good := script[strings.Fields(s.key)[0]][0]
				f.run(t, m.name+"/"+s.name, script.With(s.key, f.answer(good)), patience, func(r *rig) {
					if f.name != slowly.name {
						mailFails(r, m, s, f)
					} else if result, err := sendTwo(r.dial(), r, m); err != nil || result.Recipients[1].Fate != smtp.Taken {
						r.t.Errorf("%v, %+v", err, result)
					}
				})
			}
		}
	}
}

func sendTwo(c *smtp.Client, r *rig, m mode) (smtp.Result, error) {
	e := smtp.Envelope{Sender: "from@x.example", Recipients: smtp.RecipientsOf("first@x.example", "second@x.example")}
	send := c.Send
	if m.quit {
		send = c.SendAndQuit
	}
	result, err := send(r.t.Context(), e, smtp.Bytes([]byte("Subject: x\n\n.dot\n")))
	for _, one := range result.Recipients {
		_ = r.diary.note(one.Err)
	}
	return result, r.diary.note(err)
}

// mailFails checks the outcome of a message with trouble f at step s.
func mailFails(r *rig, m mode, s mailStep, f trouble) {
	t := r.t
	c := r.dial()
	result, err := sendTwo(c, r, m)
	whole := s.name == "content" || m.has("CHUNKING") // the end of the message was sent
	for i, one := range result.Recipients {
		want := smtp.NotTaken
		switch {
		case s.name == "QUIT", s.name == "RCPT" && f.alive && i == 0:
			want = smtp.Taken
		case whole && !f.said:
			want = smtp.Unknown
		}
		if one.Fate != want {
			t.Errorf("recipient %d: %v, want %v (%v)", i, one.Fate, want, one.Err)
		}
		if want != smtp.Taken {
			f.judge(t, one.Err, s.stage, s.refusal)
		} else if one.Err != nil {
			t.Errorf("recipient %d was taken: %v", i, one.Err)
		}
	}
	if result.Recipients[0].Fate == smtp.Taken {
		if err != nil {
			t.Errorf("taken, but %v", err)
		}
	} else {
		f.judge(t, err, s.stage, s.refusal)
	}

	alive := f.alive && !m.quit
	if c.IsConnected() != alive {
		t.Errorf("IsConnected() = %v", !alive)
	}
	if _, err := c.Noop(t.Context()); (err == nil) != alive {
		t.Errorf("NOOP afterwards: %v", err)
	} else if !alive && !m.quit {
		f.judge(t, err, s.stage, s.refusal) // the same error for ever
	}
	c.Close()
	session := r.heard(0)
	if !f.alive && !m.has("PIPELINING") && len(session.Commands) != s.heard {
		t.Errorf("the server heard %q", session.Commands)
	}
	if n := len(session.Messages); n > 1 || n == 1 && !whole && s.name != "QUIT" && !f.alive {
		t.Errorf("the server got %q", session.Messages)
	}
}
