package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"

	"postern/internal/config"
	"postern/internal/message"
	"postern/internal/relay"
	"postern/internal/smtp"
)

// statusOf is the exit status of a delivery: 0 if every recipient was accepted,
// 75 if trying again can help any of them, else what befell the first that was
// refused.
func statusOf(outcomes []relay.Outcome) int {
	status := exOK
	for _, o := range outcomes {
		one := statusOfOutcome(o)
		if one == exTempFail {
			return one
		}
		if status == exOK {
			status = one
		}
	}
	return status
}

func statusOfOutcome(o relay.Outcome) int {
	switch o.Status {
	case relay.Sent, relay.Queued:
		return exOK
	case relay.Unknown:
		return exTempFail
	}
	return statusOfError(o.Err)
}

// statusOfError maps a failure to sysexits(3). What it does not know is
// temporary: to try again is the safe answer.
func statusOfError(err error) int {
	var e *smtp.Error
	var c *config.Error
	var store *message.StoreError
	switch {
	case errors.As(err, &c):
		return exConfig
	case errors.As(err, &store), errors.Is(err, smtp.ErrTimeout):
		return exTempFail
	case errors.As(err, &e) && e.Code > 0:
		return statusOfReply(e)
	case errors.Is(err, smtp.ErrNoSuchHost):
		return exNoHost
	case errors.Is(err, smtp.ErrTLS):
		return statusOfTLS(err)
	case errors.Is(err, smtp.ErrPlaintextAuth), errors.Is(err, smtp.ErrAuthUnavailable):
		return exNoPerm
	case errors.Is(err, smtp.ErrProtocol):
		return exProtocol
	case errors.Is(err, smtp.ErrUTF8), errors.Is(err, smtp.ErrInvalid):
		return exDataErr
	case errors.Is(err, smtp.ErrNotSupported):
		return exUnavailable
	}
	return exTempFail
}

// statusOfTLS is 69 for a certificate or server that will stay as it is, and 75
// for a connection that was lost on the way.
func statusOfTLS(err error) int {
	if errors.Is(err, smtp.ErrDisconnected) {
		return exTempFail
	}
	return exUnavailable
}

// statusOfReply is for a server that said no.
func statusOfReply(e *smtp.Error) int {
	policy := e.Enhanced[1] == 7 // RFC 3463 3.8: security or policy
	switch {
	case e.Code/100 != 5:
		return exTempFail
	case e.Stage == smtp.StageAuth || e.Code == smtp.CodeAccessDenied || e.Code == smtp.CodeAuthFailed:
		return exNoPerm
	case e.Stage == smtp.StageMail && e.Code == smtp.CodeStorageExceeded:
		return exUnavailable
	case (e.Stage == smtp.StageMail || e.Stage == smtp.StageRcpt) && policy:
		return exNoPerm
	case e.Stage == smtp.StageMail:
		return exDataErr
	case e.Stage == smtp.StageRcpt && (e.Enhanced[1] == 1 || e.Enhanced == smtp.Enhanced{} && isNoUser(e.Code)):
		return exNoUser
	}
	return exUnavailable
}

// isNoUser reports codes that speak of the mailbox (RFC 5321 4.2.3).
func isNoUser(code int) bool {
	return code == smtp.CodeMailboxDoesNotExist || code == smtp.CodeUserNotLocal || code == smtp.CodeMailboxNameInvalid
}

// explain writes one line for each recipient that did not get the message, and
// once what can be done.
func (a *app) explain(cfg *config.Config, outcomes []relay.Outcome) {
	told := ""
	for _, o := range outcomes {
		if o.Status == relay.Sent || o.Status == relay.Queued {
			continue
		}
		text := o.Text
		if o.Status == relay.Unknown {
			text = "perhaps delivered, the answer was lost: " + text
		}
		if o.Relay != "" {
			text += " (" + o.Relay + ")"
		}
		a.say("%s: %s", o.Recipient, text)
		if h := hint(cfg, o.Err); h != "" && h != told {
			a.say("%s", h)
			told = h
		}
	}
}

// whence is where the configuration comes from, for people.
func whence(cfg *config.Config) string { return cmp.Or(cfg.Path, "the environment") }

// hint is the one thing to change, where there is one.
func hint(cfg *config.Config, err error) string {
	file := whence(cfg)
	switch {
	case errors.Is(err, smtp.ErrNoSuchHost):
		return "check host in " + file
	case errors.Is(err, smtp.ErrNotOffered):
		return `set tls = "implicit" with port 465 in ` + file + `, or another port`
	case errors.Is(err, smtp.ErrPlaintextAuth):
		return `set tls = "starttls" or "implicit" in ` + file + ", or allow_plaintext_auth = true if nobody can listen"
	case errors.Is(err, smtp.ErrAuthUnavailable):
		return "check username, auth and tls in " + file
	case errors.Is(err, smtp.ErrAuth) && !smtp.Temporary(err):
		return "authentication was refused: check username and password in " + file
	case errors.Is(err, smtp.ErrTLS) && strings.Contains(err.Error(), "unknown authority"):
		return "set ca_file (a private authority) or fingerprint (this certificate) in " + file
	case errors.Is(err, smtp.ErrUTF8):
		return "the smarthost takes only addresses in ASCII"
	case refusesSender(err):
		return senderHint(file)
	case needsLogin(err):
		return "the smarthost wants a login: set username and password in " + file
	}
	return ""
}

// senderHint is for a smarthost that takes mail only from its own senders.
func senderHint(file string) string {
	return "the smarthost does not take this sender: set profile, or envelope_from and header_from, in " + file +
		" (smarthost.toml(5), PROFILES)"
}

// refusesSender reports a refusal of the sender, or of the author once the header
// was seen, for which there is no code of its own: these are the words of Amazon
// SES, Microsoft 365 and Google. A hint is all that depends on it.
func refusesSender(err error) bool {
	var e *smtp.Error
	if !errors.As(err, &e) || e.Code/100 != 5 || needsLogin(err) {
		return false
	}
	if e.Stage == smtp.StageMail {
		return e.Code != smtp.CodeStorageExceeded
	}
	text := strings.ToLower(e.Text)
	for _, words := range []string{"is not verified", "sendasdenied", "send as this sender", "allowed to send as"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

func needsLogin(err error) bool {
	var e *smtp.Error
	return errors.As(err, &e) && e.Code == smtp.CodeAccessDenied
}

// reported is one recipient in --report=json. The keys are promised to scripts.
type reported struct {
	ID        string `json:"id"`
	Recipient string `json:"recipient"`
	Status    string `json:"status"` // sent, queued, failed, deferred, unknown
	Code      int    `json:"code"`   // of the reply, 0 without one
	Enhanced  string `json:"dsn"`
	Reply     string `json:"reply"`
	Relay     string `json:"relay"`
	TLS       string `json:"tls"`
	DelayMS   int64  `json:"delay_ms"`
}

// reportJSON writes an object a line to standard output.
func (a *app) reportJSON(id string, outcomes []relay.Outcome) error {
	w := json.NewEncoder(a.out)
	w.SetEscapeHTML(false)
	for _, o := range outcomes {
		err := w.Encode(reported{ID: id, Recipient: o.Recipient, Status: o.Status.String(), Code: o.Code, Enhanced: o.DSN(),
			Reply: o.Text, Relay: o.Relay, TLS: o.TLS, DelayMS: o.Delay.Milliseconds()})
		if err != nil {
			return err
		}
	}
	return nil
}
