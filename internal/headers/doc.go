// Package headers reads and edits the header of a message (RFC 5322) and the
// address lists in it and on command lines. It is pure: bytes in, bytes out.
//
// A field that needs no change keeps its bytes: folding, tabs, the case of its
// name, its place. Edits patch: a field is dropped, put in front, or has
// "@domain" inserted behind a bare local name; nothing is parsed and written
// anew, so signatures over what we did not touch stay valid.
//
// Addresses are read by one tokenizer that never decodes anything: the text of
// an encoded-word (RFC 2047) may hold commas and at signs, and decoding it first
// would let a display name become a recipient.
package headers
