// Package smtp is an SMTP submission client (RFC 5321, RFC 6409): it reaches a
// smarthost, secures and authenticates the connection, and hands messages over
// with one result per recipient.
//
// # Three ways to use it
//
//   - Send does it all: connect, log in, transfer, quit.
//   - Dial gives a Client that is ready for mail; Client.Send, SendAndQuit and
//     Drain transfer messages with as few round trips as the server allows.
//   - Connect gives a Client that has read the greeting and nothing more; each
//     command is a method: Ehlo, StartTLS, Login, Mail, Rcpt, Data, Quit …
//
// A Client is one connection and serves one goroutine at a time; work side by
// side takes more clients.
//
// # Errors
//
// Every error that concerns the dialogue is an *Error: where it happened
// (Stage), what the server said (Code, Enhanced, Text), about whom (Addr), and
// whether trying again can help (Temporary). errors.Is finds its kind
// (ErrTimeout, ErrRecipientRefused, …); no caller needs to read the text.
//
// After an I/O error, a timeout, a reply that is no reply or a 421 the
// connection is closed and every later call returns that same error: a late
// reply must never be taken for the answer to a later command.
//
// # Limits
//
// A reply line has at most 8,192 octets (12,288 in authentication, RFC 4954 4),
// a reply at most 32,768; what goes beyond is ErrProtocol. Each wait for a reply
// and each write has a deadline (Config.CommandTimeout); the answer to a
// message's end may take ten times as long, since servers scan content there
// (RFC 5321 4.5.3.2.6). The context bounds the whole of a call.
//
// # What never happens
//
// No octet of an address, parameter or name can end a command early: control
// characters, and blanks and angle brackets in paths, are refused before
// anything is written. A secret is sent only over TLS, to loopback, to a unix
// socket or a connect command, or when Config.AllowPlaintextAuth says so, and is
// never given to Config.Trace or put into an error. Text that a server (or
// someone before it) sends ahead of the TLS handshake ends the connection
// (RFC 3207 6, command injection).
package smtp
