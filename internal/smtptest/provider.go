package smtptest

import (
	"bytes"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"
)

// The providers below refuse what the real ones refuse, in their words. They read
// a message with net/mail, which is stricter than we are and not ours.

// SES judges as Amazon SES does for an account with a verified domain.
func SES(domain string) func(Delivery) error {
	return func(d Delivery) error {
		m, err := readMail(d)
		if err != nil {
			return refuse(554, 0, 0, "Transaction failed: %v", err)
		}
		for _, name := range []string{"From", "Sender", "To", "Cc", "Reply-To", "Subject", "Date", "Message-Id", "Content-Type", "Mime-Version"} {
			if len(m.Header[name]) > 1 && name != "To" && name != "Cc" {
				return refuse(554, 0, 0, "Transaction failed: Duplicate header '%s'.", name)
			}
		}
		if m.Header.Get("From") == "" {
			return refuse(554, 0, 0, "Transaction failed: Missing required header 'From'.")
		}
		if m.Header.Get("To") == "" && m.Header.Get("Cc") == "" {
			return refuse(554, 0, 0, "Transaction failed: Empty required header 'To'.")
		}
		var failed []string
		for _, a := range slices.Concat(addresses(m, "From", "Sender", "Return-Path"), []string{d.From}) {
			if at := strings.LastIndexByte(a, '@'); at < 0 {
				return refuse(554, 0, 0, "Transaction failed: Missing final '@domain'")
			} else if host := "." + strings.ToLower(a[at+1:]); !strings.HasSuffix(host, "."+domain) {
				failed = append(failed, a)
			}
		}
		if failed != nil {
			return refuse(554, 0, 0, "Message rejected: Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: %s",
				strings.Join(failed, ", "))
		}
		return nil
	}
}

// Microsoft365 judges as Exchange Online does for the mailbox that logged in.
func Microsoft365(mayAlso ...string) func(Delivery) error {
	return func(d Delivery) error {
		m, err := readMail(d)
		if err != nil {
			return refuse(550, 5, 6, "STOREDRV.Submission; %v", err)
		}
		may := func(a string) bool { return strings.EqualFold(a, d.User) || slices.Contains(mayAlso, a) }
		if !may(d.From) {
			return refuse(550, 5, 7, "SMTP; Client does not have permissions to send as this sender")
		}
		authors := addresses(m, "From", "Sender")
		if len(authors) == 0 {
			return refuse(550, 5, 6, "SMTP; no author")
		}
		for _, a := range authors {
			if !may(a) {
				return refuse(554, 5, 2, "SendAsDenied; %s not allowed to send as %s; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied", d.User, a)
			}
		}
		return nil
	}
}

// Gmail judges as Google does for the account that logged in, where the domain's
// administrator does not let it rewrite senders.
func Gmail(aliases ...string) func(Delivery) error {
	id := regexp.MustCompile(`^<[^<>@\s]+@[^<>@\s]+>$`)
	return func(d Delivery) error {
		m, err := readMail(d)
		if err != nil {
			return refuse(550, 5, 7, "Our system has detected that this message is not RFC 5322 compliant: %v", err)
		}
		if !id.MatchString(m.Header.Get("Message-ID")) {
			return refuse(550, 5, 7, "Messages missing a valid messageId header are not accepted.")
		}
		authors := addresses(m, "From")
		if len(authors) != 1 || len(m.Header["From"]) != 1 {
			return refuse(550, 5, 7, "Messages missing a valid address in From: header, or having multiple addresses in From: header, are not accepted.")
		}
		for _, a := range append(authors, d.From) {
			if !strings.EqualFold(a, d.User) && !slices.Contains(aliases, a) {
				return refuse(550, 5, 7, "The user %s is not allowed to send as %s", d.User, a)
			}
		}
		return nil
	}
}

func readMail(d Delivery) (*mail.Message, error) { return mail.ReadMessage(bytes.NewReader(d.Data)) }

// addresses are those of the fields; what cannot be read is one that nobody owns.
func addresses(m *mail.Message, names ...string) (list []string) {
	for _, name := range names {
		for _, value := range m.Header[name] {
			found, err := mail.ParseAddressList(value)
			if err != nil {
				list = append(list, value)
			}
			for _, a := range found {
				list = append(list, a.Address)
			}
		}
	}
	return list
}

func refuse(code, class, detail int, format string, args ...any) error {
	e := &smtp.SMTPError{Code: code, Message: fmt.Sprintf(format, args...), EnhancedCode: smtp.NoEnhancedCode}
	if class > 0 {
		e.EnhancedCode = smtp.EnhancedCode{class, detail, 1}
	}
	return e
}
