package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/internal/smtp"
)

// Row 72: the named codes.
func TestRow72Codes(t *testing.T) {
	t.Parallel()
	want := []int{-1, 211, 214, 220, 221, 235, 250, 251, 252, 334, 354, 421, 450, 451, 452, 454, 500, 501, 502, 503, 504, 521, 530, 535, 550, 551, 552, 553, 554, 555}
	got := []int{
		smtp.CodeInvalidResponse, smtp.CodeSystemStatusOK, smtp.CodeHelpMessage, smtp.CodeReady, smtp.CodeClosing, smtp.CodeAuthSuccessful,
		smtp.CodeCompleted, smtp.CodeWillForward, smtp.CodeCannotVRFY, smtp.CodeAuthContinue, smtp.CodeStartInput, smtp.CodeServiceNotAvailable,
		smtp.CodeMailboxUnavailable, smtp.CodeErrorProcessing, smtp.CodeInsufficientStorage, smtp.CodeTLSNotAvailable, smtp.CodeUnrecognizedCommand,
		smtp.CodeUnrecognizedParameters, smtp.CodeCommandNotImplemented, smtp.CodeBadCommandSequence, smtp.CodeParameterNotImplemented,
		smtp.CodeDomainDoesNotAcceptMail, smtp.CodeAccessDenied, smtp.CodeAuthFailed, smtp.CodeMailboxDoesNotExist, smtp.CodeUserNotLocal,
		smtp.CodeStorageExceeded, smtp.CodeMailboxNameInvalid, smtp.CodeTransactionFailed, smtp.CodeMailRcptParametersNotStated,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
}

// kinds are all kinds of errors by name.
func kinds() map[string]error {
	return map[string]error{
		"Response": smtp.ErrResponse, "Greeting": smtp.ErrGreeting, "Hello": smtp.ErrHello, "Auth": smtp.ErrAuth, "SenderRefused": smtp.ErrSenderRefused,
		"RecipientRefused": smtp.ErrRecipientRefused, "Data": smtp.ErrData, "Connect": smtp.ErrConnect, "NoSuchHost": smtp.ErrNoSuchHost,
		"ConnectTimeout": smtp.ErrConnectTimeout, "Timeout": smtp.ErrTimeout, "ReadTimeout": smtp.ErrReadTimeout, "Disconnected": smtp.ErrDisconnected,
		"Protocol": smtp.ErrProtocol, "TLS": smtp.ErrTLS, "Certificate": smtp.ErrCertificate, "NotOffered": smtp.ErrNotOffered,
		"NotSupported": smtp.ErrNotSupported, "UTF8": smtp.ErrUTF8, "AuthUnavailable": smtp.ErrAuthUnavailable, "PlaintextAuth": smtp.ErrPlaintextAuth,
		"TooLarge": smtp.ErrTooLarge, "TransactionLimit": smtp.ErrTransactionLimit, "Invalid": smtp.ErrInvalid, "NoSender": smtp.ErrNoSender,
		"NoRecipients": smtp.ErrNoRecipients, "Message": smtp.ErrMessage,
	}
}

// Section 1h: the tree of errors. Each error is of the kinds listed and of no
// other, and says whether trying again can help.
func TestRowsErrors(t *testing.T) {
	t.Parallel()
	said := func(stage smtp.Stage, code int) *smtp.Error { return &smtp.Error{Stage: stage, Code: code} }
	cause := func(stage smtp.Stage, err error) *smtp.Error { return &smtp.Error{Stage: stage, Err: err} }
	for _, test := range []struct {
		row     string
		err     error
		kinds   string
		forever bool
	}{
		{"SMTPResponseException", said(smtp.StageCommand, 550), "Response", true},
		{"SMTPResponseException, temporary", said(smtp.StageReset, 450), "Response", false},
		{"SMTPConnectResponseError", said(smtp.StageGreeting, 554), "Connect Greeting Response", true},
		{"SMTPHeloError", said(smtp.StageHello, 502), "Hello Response", true},
		{"SMTPAuthenticationError", said(smtp.StageAuth, 535), "Auth Response", true},
		{"SMTPAuthenticationError, temporary", said(smtp.StageAuth, 454), "Auth Response", false},
		{"SMTPSenderRefused", said(smtp.StageMail, 550), "Response SenderRefused", true},
		{"SMTPRecipientRefused", said(smtp.StageRcpt, 450), "RecipientRefused Response", false},
		{"SMTPDataError, DATA", said(smtp.StageData, 554), "Data Response", true},
		{"SMTPDataError, content", said(smtp.StageContent, 452), "Data Response", false},
		{"STARTTLS refused", said(smtp.StageTLS, 454), "Response TLS", false},
		{"SMTPServerDisconnected by 421", said(smtp.StageMail, 421), "Disconnected Response SenderRefused", false},
		{"SMTPServerDisconnected", cause(smtp.StageRcpt, smtp.ErrDisconnected), "Disconnected", false},
		{"SMTPConnectError", cause(smtp.StageConnect, smtp.ErrConnect), "Connect", false},
		{"SMTPConnectError, name", cause(smtp.StageResolve, smtp.ErrNoSuchHost), "Connect NoSuchHost", false},
		{"SMTPConnectTimeoutError", cause(smtp.StageConnect, context.DeadlineExceeded), "Connect ConnectTimeout Timeout", false},
		{"SMTPTimeoutError, greeting", cause(smtp.StageGreeting, smtp.ErrTimeout), "Connect ReadTimeout Timeout", false},
		{"SMTPReadTimeoutError", cause(smtp.StageData, context.DeadlineExceeded), "ReadTimeout Timeout", false},
		{"SMTPNotSupported", cause(smtp.StageMail, smtp.ErrNotSupported), "NotSupported", true},
		{"SMTPNotSupported, address", cause(smtp.StageMail, smtp.ErrUTF8), "NotSupported UTF8", true},
		{"SMTPNotSupported, size", cause(smtp.StageMail, smtp.ErrTooLarge), "NotSupported TooLarge", true},
		{"a code of -1", &smtp.Error{Stage: smtp.StageMail, Code: smtp.CodeInvalidResponse, Err: smtp.ErrProtocol}, "Protocol", false},
		{"ValueError", cause(smtp.StageMail, smtp.ErrInvalid), "Invalid", true},
		{"no recipients", cause(smtp.StageRcpt, smtp.ErrNoRecipients), "NoRecipients", true},
		{"no sender", cause(smtp.StageMail, smtp.ErrNoSender), "NoSender", true},
		{"a message that cannot be read", cause(smtp.StageContent, smtp.ErrMessage), "Message", false},
		{"another connection will do", cause(smtp.StageMail, smtp.ErrTransactionLimit), "TransactionLimit", false},
		{"SMTPRecipientsRefused", &smtp.RecipientsError{Refused: []*smtp.Error{said(smtp.StageRcpt, 550), said(smtp.StageRcpt, 551)}}, "RecipientRefused Response", true},
		{"SMTPRecipientsRefused, one temporary", &smtp.RecipientsError{Refused: []*smtp.Error{said(smtp.StageRcpt, 550), said(smtp.StageRcpt, 450)}}, "RecipientRefused Response", false},
	} {
		t.Run("1h: "+test.row, func(t *testing.T) {
			for _, err := range []error{test.err, fmt.Errorf("wrapped: %w", test.err)} {
				var got []string
				for name, kind := range kinds() {
					if errors.Is(err, kind) {
						got = append(got, name)
					}
				}
				slices.Sort(got)
				if s := strings.Join(got, " "); s != test.kinds {
					t.Errorf("is %s, want %s", s, test.kinds)
				}
				if smtp.Temporary(err) == test.forever {
					t.Errorf("Temporary() = %v", !test.forever)
				}
			}
		})
	}
	t.Run("what nobody knows is temporary", func(t *testing.T) {
		if !smtp.Temporary(errors.New("?")) || !smtp.Temporary(&smtp.Error{}) || !(&smtp.Error{Code: 250}).Temporary() {
			t.Error("it is not")
		}
	})
	t.Run("the text says where, which step, about whom, what was said", func(t *testing.T) {
		e := &smtp.Error{Stage: smtp.StageRcpt, Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no\x1b[m such", Addr: "a\r@x", Host: "mx.test"}
		if got := e.Error(); got != `smtp: mx.test: RCPT <a\u{d}@x>: 550 5.1.1 no\u{1b}[m such` {
			t.Error(got)
		}
	})
}
