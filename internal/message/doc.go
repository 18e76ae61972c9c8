// Package message holds a message between standard input and the wire: it
// reads the input by sendmail's rules, keeps the body once (in memory up to
// 1 MiB, then in an unlinked temporary file), knows its facts, and recodes it
// for servers that cannot take it as it is.
//
// # Bytes
//
// A Body is in wire form: CRLF line ends, a last line with its end, nothing
// dot-stuffed. LF and bare CR become CRLF when it is read; that is all that
// ReadBody changes. The header is the caller's, already in wire form; octets
// above 127 in it travel raw, with and without 8BITMIME, as Sendmail, Postfix
// and Exim send them.
//
// # Recoding
//
// Message.For returns the message itself when it fits. Otherwise lines over 998
// octets (RFC 5321 4.5.3.1.6), NUL, and octets above 127 on a wire without
// 8BITMIME (RFC 6152) are taken out of the body so that the recipient decodes
// what the caller wrote:
//
//   - Text (no Content-Type, text/*, reports in message/*, types that are no
//     types) becomes quoted-printable, anything else base64. Only the
//     Content-Transfer-Encoding field is replaced or added; a message without
//     MIME fields also gets MIME-Version and Content-Type, with charset
//     us-ascii, utf-8 if it is valid UTF-8, else unknown-8bit (RFC 1428).
//   - Multiparts and message/rfc822 are walked, and only the parts that do not
//     fit are changed. Every other octet stays: delimiters, headers, other
//     parts. A multipart that said 8bit or binary says what it now is.
//   - Content that is already quoted-printable gets soft line breaks and "=XX",
//     base64 gets line breaks: neither changes what is decoded.
//   - A private "x-" encoding, and a multipart whose parts cannot be found, are
//     broken after 998 octets with CRLF and a blank, as Postfix does. If they
//     have other faults the first becomes base64, the second quoted-printable.
//   - Text around the parts of a multipart, which no reader shows, is broken in
//     the same way, and its octets that may not travel are written "=XX". In
//     the header of a part such octets become encoded-words (RFC 2047), NUL is
//     dropped and long lines are folded. A part whose header is over 1 MiB is
//     treated like text around parts.
//   - Within multipart/signed the same is done. Signed content that needs it
//     breaks RFC 1847 2.1 and RFC 3156 3 already, so it is rare; the choice is
//     between a mail that arrives with a broken signature and one that is
//     refused or cut by the server, and a mail that arrives is better. Signed
//     parts that fit keep every octet even if other parts do not.
//
// # Why an own walk through the MIME tree
//
// The multipart readers of go-message and of the standard library throw away
// preamble, epilogue and blanks after a boundary, stop at headers that they do
// not like, and have to be written back with a writer of their own; the third
// promise of postern (what the caller wrote is what arrives) cannot be kept
// with them. So a small scanner finds the delimiter lines, and the libraries do
// what they do well: parameters (mime), encoded-words (mime), the encodings
// (mime/quotedprintable, encoding/base64). The tests decode with go-message, so
// that the two check each other.
//
// Memory does not depend on the size of the message or the number of its parts:
// a part is looked at to find its end and its facts, then read again to be
// written.
package message
