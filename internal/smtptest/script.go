package smtptest

import (
	"crypto/tls"
	"strings"
)

// Action is what a Server does after an answer.
type Action int

const (
	GoOn     Action = iota
	Close           // end the connection
	Reset           // end it with a TCP reset
	Silence         // say nothing until the client leaves
	StartTLS        // do the handshake
)

// Answer is what to say: Text with its line ends, as it goes on the wire.
type Answer struct {
	Text      string
	Then      Action
	EveryByte bool // one write for each octet
	// Make, if set, makes the answer out of what the client said; state is nil
	// without TLS.
	Make func(said string, state *tls.ConnectionState) Answer
}

// Say is an answer of whole lines.
func Say(lines ...string) Answer { return Answer{Text: strings.Join(lines, "\r\n") + "\r\n"} }

// Half is the beginning of an answer, after which the server closes.
func Half(text string) Answer { return Answer{Text: text, Then: Close} }

// And gives an answer an action.
func (a Answer) And(then Action) Answer {
	a.Then = then
	return a
}

// Slowly writes each octet by itself.
func (a Answer) Slowly() Answer {
	a.EveryByte = true
	return a
}

// Script says what to answer to what. A key is the beginning of what the client
// says, in upper case, the longest that fits wins; its answers are given one
// after the other, the last one for ever. Further keys:
//
//	_banner   when a client connects
//	_content  after the final dot, and after the octets of BDAT LAST
//	_chunk    after the octets of another BDAT
//	_line     to a line that follows an answer 334
type Script map[string][]Answer

// Polite is a server that takes everything and offers these extensions.
func Polite(extensions ...string) Script {
	ehlo := "250-smarthost.test"
	lines := append([]string{ehlo}, extensions...)
	for i := 1; i < len(lines); i++ {
		lines[i] = "250-" + lines[i]
	}
	lines[len(lines)-1] = "250 " + lines[len(lines)-1][4:]
	return Script{
		"_banner":  {Say("220 smarthost.test ESMTP")},
		"EHLO":     {Say(lines...)},
		"HELO":     {Say("250 smarthost.test")},
		"MAIL":     {Say("250 2.1.0 sender ok")},
		"RCPT":     {Say("250 2.1.5 recipient ok")},
		"DATA":     {Say("354 go on")},
		"_content": {Say("250 2.0.0 queued as Q1")},
		"_chunk":   {Say("250 2.0.0 more")},
		"RSET":     {Say("250 2.0.0 reset")},
		"NOOP":     {Say("250 2.0.0 ok")},
		"HELP":     {Say("214-help", "214 yourself")},
		"VRFY":     {Say("252 2.5.0 try it")},
		"EXPN":     {Say("250 2.1.5 <a@x.example>")},
		"AUTH":     {Say("235 2.7.0 welcome")},
		"STARTTLS": {Say("220 2.0.0 go ahead").And(StartTLS)},
		"QUIT":     {Say("221 2.0.0 bye")},
		"":         {Say("500 5.5.2 what?")},
	}
}

// With is a copy in which these answers are others.
func (s Script) With(key string, answers ...Answer) Script {
	out := make(Script, len(s)+1)
	for k, v := range s {
		out[k] = v
	}
	out[key] = answers
	return out
}

// find is the key of the answer to a line.
func (s Script) find(line string) string {
	upper, best := strings.ToUpper(line), ""
	for key := range s {
		if !strings.HasPrefix(key, "_") && strings.HasPrefix(upper, key) && len(key) > len(best) {
			best = key
		}
	}
	return best
}
