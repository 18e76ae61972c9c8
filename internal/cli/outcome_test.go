package cli

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"postern/internal/config"
	"postern/internal/message"
	"postern/internal/relay"
	"postern/internal/smtp"
)

func answered(stage smtp.Stage, code int, enhanced ...int) error {
	e := &smtp.Error{Stage: stage, Code: code}
	copy(e.Enhanced[:], enhanced)
	return e
}

func silent(stage smtp.Stage, kind error) error { return &smtp.Error{Stage: stage, Err: kind} }

func TestStatusOfError(t *testing.T) {
	tests := []struct {
		why  string
		err  error
		want int
	}{
		{"no such mailbox", answered(smtp.StageRcpt, 550, 5, 1, 1), exNoUser},
		{"no such mailbox, without enhanced code", answered(smtp.StageRcpt, 550), exNoUser},
		{"user not local", answered(smtp.StageRcpt, 551), exNoUser},
		{"mailbox name", answered(smtp.StageRcpt, 553), exNoUser},
		{"moved domain", answered(smtp.StageRcpt, 550, 5, 1, 2), exNoUser},
		{"relaying denied is a matter of rights", answered(smtp.StageRcpt, 554, 5, 7, 1), exNoPerm},
		{"mailbox full for good", answered(smtp.StageRcpt, 552, 5, 2, 2), exUnavailable},
		{"greylisting", answered(smtp.StageRcpt, 451, 4, 7, 1), exTempFail},
		{"sender refused", answered(smtp.StageMail, 553, 5, 1, 8), exDataErr},
		{"sender not ours", answered(smtp.StageMail, 550, 5, 7, 1), exNoPerm},
		{"login wanted", answered(smtp.StageMail, 530, 5, 7, 0), exNoPerm},
		{"too large", answered(smtp.StageMail, 552, 5, 3, 4), exUnavailable},
		{"spam", answered(smtp.StageContent, 554, 5, 7, 1), exUnavailable},
		{"disk full", answered(smtp.StageContent, 452, 4, 3, 1), exTempFail},
		{"no service", answered(smtp.StageGreeting, 554), exUnavailable},
		{"busy", answered(smtp.StageGreeting, 421), exTempFail},
		{"password wrong", answered(smtp.StageAuth, 535, 5, 7, 8), exNoPerm},
		{"account base away", answered(smtp.StageAuth, 454, 4, 7, 0), exTempFail},
		{"STARTTLS not now", answered(smtp.StageTLS, 454), exTempFail},
		{"certificate", silent(smtp.StageTLS, smtp.ErrTLS), exUnavailable},
		{"link lost in the handshake", silent(smtp.StageTLS, errors.Join(smtp.ErrTLS, smtp.ErrDisconnected)), exTempFail},
		{"handshake too slow", silent(smtp.StageTLS, errors.Join(smtp.ErrTLS, smtp.ErrTimeout)), exTempFail},
		{"no login in the clear", silent(smtp.StageAuth, smtp.ErrPlaintextAuth), exNoPerm},
		{"no mechanism", silent(smtp.StageAuth, smtp.ErrAuthUnavailable), exNoPerm},
		{"no such name", silent(smtp.StageResolve, smtp.ErrNoSuchHost), exNoHost},
		{"no connection", silent(smtp.StageConnect, smtp.ErrConnect), exTempFail},
		{"silence", silent(smtp.StageMail, smtp.ErrTimeout), exTempFail},
		{"link lost", silent(smtp.StageMail, smtp.ErrDisconnected), exTempFail},
		{"garbage", silent(smtp.StageMail, smtp.ErrProtocol), exProtocol},
		{"UTF-8 address", silent(smtp.StageMail, smtp.ErrUTF8), exDataErr},
		{"address that cannot be sent", silent(smtp.StageRcpt, smtp.ErrInvalid), exDataErr},
		{"larger than SIZE", silent(smtp.StageMail, smtp.ErrTooLarge), exUnavailable},
		{"REQUIRETLS", silent(smtp.StageMail, smtp.ErrNotSupported), exUnavailable},
		{"password file", fmt.Errorf("x: %w", &config.Error{Msg: "unreadable"}), exConfig},
		{"temporary file", silent(smtp.StageContent, &message.StoreError{Op: "read", Err: io.ErrUnexpectedEOF}), exTempFail},
		{"what nobody thought of is temporary", errors.New("surprise"), exTempFail},
	}
	for _, test := range tests {
		if got := statusOfError(test.err); got != test.want {
			t.Errorf("%s: got %d, want %d", test.why, got, test.want)
		}
	}
}

func TestStatusOf(t *testing.T) {
	sent := relay.Outcome{Status: relay.Sent}
	noUser := relay.Outcome{Status: relay.Failed, Err: answered(smtp.StageRcpt, 550, 5, 1, 1)}
	spam := relay.Outcome{Status: relay.Failed, Err: answered(smtp.StageContent, 554)}
	later := relay.Outcome{Status: relay.Deferred, Err: answered(smtp.StageRcpt, 451)}
	unknown := relay.Outcome{Status: relay.Unknown, Err: answered(smtp.StageRcpt, 550)}
	tests := []struct {
		why  string
		in   []relay.Outcome
		want int
	}{
		{"all sent", []relay.Outcome{sent, sent}, exOK},
		{"one refused", []relay.Outcome{sent, noUser}, exNoUser},
		{"the first refusal decides", []relay.Outcome{spam, noUser}, exUnavailable},
		{"later wins, else nobody would come again", []relay.Outcome{noUser, later, sent}, exTempFail},
		{"not known is later, whatever was said", []relay.Outcome{sent, unknown}, exTempFail},
	}
	for _, test := range tests {
		if got := statusOf(test.in); got != test.want {
			t.Errorf("%s: got %d, want %d", test.why, got, test.want)
		}
	}
}
