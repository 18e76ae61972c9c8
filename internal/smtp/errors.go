package smtp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
)

// Kinds of errors, for errors.Is. They form a tree: a refused recipient is also
// a response error, a connect timeout is also a timeout.
var (
	// ErrResponse is any reply that says no.
	ErrResponse = errors.New("smtp: the server said no")
	// ErrGreeting is a greeting other than 220; also ErrConnect and ErrResponse.
	ErrGreeting = errors.New("smtp: greeting refused")
	// ErrHello is a refusal of EHLO and HELO; also ErrResponse.
	ErrHello = errors.New("smtp: EHLO and HELO refused")
	// ErrAuth is an authentication that the server refused; also ErrResponse.
	ErrAuth = errors.New("smtp: authentication refused")
	// ErrSenderRefused is a refusal of MAIL; also ErrResponse.
	ErrSenderRefused = errors.New("smtp: sender refused")
	// ErrRecipientRefused is a refusal of RCPT; also ErrResponse.
	ErrRecipientRefused = errors.New("smtp: recipient refused")
	// ErrData is a refusal of DATA, BDAT or the content; also ErrResponse.
	ErrData = errors.New("smtp: message refused")

	// ErrConnect is a connection that could not be made or greeted badly.
	ErrConnect = errors.New("smtp: no connection")
	// ErrNoSuchHost is a name that does not exist; also ErrConnect.
	ErrNoSuchHost = errors.New("smtp: no such host")
	// ErrConnectTimeout is both ErrConnect and ErrTimeout.
	ErrConnectTimeout = errors.New("smtp: connecting timed out")
	// ErrTimeout is a deadline that passed.
	ErrTimeout = errors.New("smtp: timed out")
	// ErrReadTimeout is a reply that did not come in time; also ErrTimeout.
	ErrReadTimeout = errors.New("smtp: no reply in time")
	// ErrDisconnected is a connection that was lost or is closed.
	ErrDisconnected = errors.New("smtp: disconnected")
	// ErrProtocol is an answer that is no SMTP reply, or one too many.
	ErrProtocol = errors.New("smtp: protocol error")

	// ErrTLS is a failure to secure the connection: not offered, bad certificate.
	ErrTLS = errors.New("smtp: TLS failed")
	// ErrCertificate is a certificate that is not good enough; also ErrTLS.
	ErrCertificate = errors.New("smtp: certificate not accepted")
	// ErrNotOffered is STARTTLS that has to be and is not offered.
	ErrNotOffered = errors.New("smtp: STARTTLS is not offered")
	// ErrNotSupported is something that the message needs and the server lacks.
	ErrNotSupported = errors.New("smtp: not supported by the server")
	// ErrUTF8 is an address in UTF-8 for a server without SMTPUTF8; also
	// ErrNotSupported.
	ErrUTF8 = errors.New("smtp: SMTPUTF8 is not offered")
	// ErrAuthUnavailable is a server without a mechanism that we may use.
	ErrAuthUnavailable = errors.New("smtp: no usable authentication mechanism")
	// ErrPlaintextAuth is a login that would show the secret on the wire.
	ErrPlaintextAuth = errors.New("smtp: login without TLS is not allowed")
	// ErrTooLarge is a message over the server's SIZE; also ErrNotSupported.
	ErrTooLarge = errors.New("smtp: message too large for the server")
	// ErrTransactionLimit is a connection that takes no more messages (LIMITS
	// MAILMAX, RFC 9422); another connection will.
	ErrTransactionLimit = errors.New("smtp: no more messages on this connection")
	// ErrInvalid is an argument that cannot be sent.
	ErrInvalid = errors.New("smtp: invalid argument")
	// ErrNoSender and ErrNoRecipients are envelopes that are not complete.
	ErrNoSender     = errors.New("smtp: no sender")
	ErrNoRecipients = errors.New("smtp: no recipients")
	// ErrMessage is a message that could not be read to its end; nothing of it
	// was completed on the wire.
	ErrMessage = errors.New("smtp: message cannot be read")
)

// Stage says which step of a session an Error belongs to.
type Stage string

// The stages, in the order of a session.
const (
	StageResolve  Stage = "name look-up"
	StageConnect  Stage = "connect"
	StageGreeting Stage = "greeting"
	StageHello    Stage = "EHLO"
	StageTLS      Stage = "TLS"
	StageAuth     Stage = "AUTH"
	StageMail     Stage = "MAIL"
	StageRcpt     Stage = "RCPT"
	StageData     Stage = "DATA"
	StageContent  Stage = "end of message"
	StageReset    Stage = "RSET"
	StageQuit     Stage = "QUIT"
	StageCommand  Stage = "command"
)

// Error is a failure of one step. Code is 0 when there was no reply, and
// CodeInvalidResponse when what came was none.
type Error struct {
	Stage    Stage
	Code     int
	Enhanced Enhanced
	Text     string // the server's words on one line, escaped
	Addr     string // the address that was refused, if one was
	Host     string // the server, "name[address]:port"
	Err      error  // a kind above, perhaps with its cause
}

// Error says which server, which step, and what it said.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("smtp: ")
	if e.Host != "" {
		b.WriteString(e.Host + ": ")
	}
	b.WriteString(string(e.Stage))
	if e.Addr != "" {
		b.WriteString(" <" + printable(e.Addr) + ">")
	}
	if s := e.Said(); s != "" {
		b.WriteString(": " + s)
	}
	return b.String()
}

// Said is the server's reply, or the cause if there was none, on one line.
func (e *Error) Said() string {
	if e.Code > 0 {
		return Reply{Code: e.Code, Enhanced: e.Enhanced, Lines: []string{e.Text}}.String()
	}
	if e.Err == nil {
		return printable(e.Text)
	}
	if errors.Is(e.Err, context.Canceled) { // whose own words tell a programmer something
		return "broken off before an answer came"
	}
	return printable(strings.TrimPrefix(e.Err.Error(), "smtp: "))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports the kinds that follow from stage and code.
func (e *Error) Is(kind error) bool {
	said := e.Code > 0
	switch kind {
	case ErrResponse:
		return said
	case ErrGreeting:
		return said && e.Stage == StageGreeting
	case ErrHello:
		return said && e.Stage == StageHello
	case ErrTLS:
		return said && e.Stage == StageTLS
	case ErrAuth:
		return said && e.Stage == StageAuth
	case ErrSenderRefused:
		return said && e.Stage == StageMail
	case ErrRecipientRefused:
		return said && e.Stage == StageRcpt
	case ErrData:
		return said && (e.Stage == StageData || e.Stage == StageContent)
	case ErrConnect:
		return e.Stage == StageConnect || e.Stage == StageResolve || e.Stage == StageGreeting
	case ErrTimeout:
		return e.Timeout()
	case ErrConnectTimeout:
		return e.Timeout() && (e.Stage == StageConnect || e.Stage == StageResolve)
	case ErrReadTimeout:
		return e.Timeout() && e.Stage != StageConnect && e.Stage != StageResolve
	case ErrNotSupported:
		return errors.Is(e.Err, ErrTooLarge) || errors.Is(e.Err, ErrUTF8)
	case ErrDisconnected:
		return e.Code == CodeServiceNotAvailable
	}
	return false
}

// Timeout reports whether a deadline passed.
func (e *Error) Timeout() bool { return isTimeout(e.Err) }

// Temporary reports whether trying again later can help. It is false only for a
// 5yz reply and for what can never be sent; what is not known is temporary.
func (e *Error) Temporary() bool {
	if e.Code > 0 {
		return e.Code/100 != 5
	}
	return !hopelessly(e.Err)
}

// hopelessly reports what no other attempt can change.
func hopelessly(err error) bool {
	for _, forever := range []error{ErrNotSupported, ErrUTF8, ErrTooLarge, ErrInvalid, ErrNoSender, ErrNoRecipients} {
		if errors.Is(err, forever) {
			return true
		}
	}
	return false
}

// Temporary reports whether trying again can help after err; for an error that
// says nothing about it, it can.
func Temporary(err error) bool {
	var t interface{ Temporary() bool }
	if errors.As(err, &t) {
		return t.Temporary()
	}
	return !hopelessly(err)
}

// RecipientsError says that every recipient was refused.
type RecipientsError struct{ Refused []*Error }

// Error joins what was said about each.
func (e *RecipientsError) Error() string {
	texts := make([]string, len(e.Refused))
	for i, r := range e.Refused {
		texts[i] = r.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap returns the single refusals.
func (e *RecipientsError) Unwrap() []error {
	errs := make([]error, len(e.Refused))
	for i, r := range e.Refused {
		errs[i] = r
	}
	return errs
}

// Temporary reports whether any of them is.
func (e *RecipientsError) Temporary() bool {
	for _, r := range e.Refused {
		if r.Temporary() {
			return true
		}
	}
	return false
}

// kindError is a cause with its kind.
type kindError struct {
	kind  error
	cause error
}

func (e kindError) Error() string   { return e.cause.Error() }
func (e kindError) Unwrap() []error { return []error{e.kind, e.cause} }

// because gives cause the kind.
func because(kind, cause error) error { return kindError{kind, cause} }

func isTimeout(err error) bool {
	if errors.Is(err, ErrTimeout) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// ioKind gives an I/O error its kind.
func ioKind(err error) error {
	switch {
	case errors.Is(err, errSyntax):
		return because(ErrProtocol, err)
	case isTimeout(err):
		return because(ErrTimeout, errors.New("no answer in time"))
	case errors.Is(err, context.Canceled):
		return err
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return because(ErrDisconnected, errors.New("the server closed the connection"))
	}
	return because(ErrDisconnected, err)
}
