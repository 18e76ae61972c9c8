// Package smtpd takes messages in over SMTP (RFC 5321): from the caller of
// sendmail -bs on standard input, and from every user of the host at the
// submission service. What is done with a message is the [Handler]'s business.
//
// The dialogue is go-smtp's server. It is made for the network and for callers
// that follow the standard; a drop-in sendmail has others. So go-smtp does not
// see the connection but a [wire], which hands it one line a read and looks at
// the line first:
//
//   - Lines are bounded: go-smtp holds a command line without its line limit
//     however long it is, and with it refuses content with long lines.
//   - Paths are read by package headers and written anew, so that a bare <root>
//     gets the domain, which go-smtp refuses, and a quoted local part keeps its
//     meaning, which go-smtp loses.
//   - Content after DATA is read by [content], which never takes the dot of
//     another line end for the end of the message (SMTP smuggling), and copies
//     lines rather than octets.
//   - A connection that ends within a BDAT chunk is an error. go-smtp would take
//     the message for whole.
//   - When a message in chunks was broken off, no other comes in chunks on the same
//     connection. go-smtp would mix up their answers.
//   - MAIL needs no HELO before it.
//   - Every wait has a deadline, also within the content, and a server that stops
//     says so between two commands, not within one.
//
// CHUNKING, DSN and SMTPUTF8, the parameters of MAIL and RCPT, and the order of
// commands are go-smtp's.
package smtpd
