// Package digest makes mail of a stream that has no end: the log of a program or
// container. What comes within a time becomes one message; a flood becomes its
// first and last part with a count of what is between them, so that memory is
// bounded whatever comes.
//
// The stream is never held up by the sending of mail. What cannot be sent now
// waits, one digest at most, while the next one gathers behind it; what is lost
// in the end is counted and told.
//
// Text for mail is UTF-8 without control characters: the sequences that colour a
// terminal are taken out, octets that are not UTF-8 are written as \xNN, and a
// carriage return begins a new line.
//
// The clock is a parameter, and sending is too.
package digest
