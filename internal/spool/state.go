package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"time"
)

// stateVersion is written into each line. A program that meets a greater one
// leaves the file alone.
const stateVersion = 1

// State is all that is known of a message but its octets.
type State struct {
	ID      string    `json:"id"`
	Size    int64     `json:"size"` // octets of the message in front of the log
	Sum     uint32    `json:"sum"`  // CRC-32C of the message
	Created time.Time `json:"created"`

	Sender     string      `json:"sender"` // "" is the null sender
	Recipients []Recipient `json:"recipients"`
	Failed     []Recipient `json:"failed,omitempty"` // refused for good, the sender not told yet
	Done       int         `json:"done,omitempty"`   // recipients that have it

	EightBit   bool   `json:"eightbit,omitempty"` // octets above 127 in the body
	Return     string `json:"ret,omitempty"`
	EnvelopeID string `json:"envid,omitempty"`

	Attempts int       `json:"attempts,omitempty"`
	Tried    time.Time `json:"tried,omitzero"` // last attempt
	Warned   bool      `json:"warned,omitempty"`
	Report   string    `json:"report,omitempty"` // what report of ours it is: nobody is told of its delay, nor its sender of its failure
	UID      int       `json:"uid"`              // who submitted it
}

// Recipient is one address still to be reached, or not to be reached.
type Recipient struct {
	Address string `json:"address"`
	Notify  string `json:"notify,omitempty"`
	// Original is what the sender knows the recipient by (ORCPT, RFC 3461 4.2):
	// "rfc822;address", not in xtext.
	Original string `json:"orcpt,omitempty"`
	Code     int    `json:"code,omitempty"` // of the last answer
	DSN      string `json:"dsn,omitempty"`
	Answer   string `json:"answer,omitempty"` // the server's words, on one line
	Relay    string `json:"relay,omitempty"`
	Maybe    bool   `json:"maybe,omitempty"` // an answer was lost: perhaps delivered
}

// ErrDamaged is a file without a valid state, or whose message is not what the
// state says. It is never sent and never deleted.
var ErrDamaged = errors.New("spool: the file is damaged")

// ErrVersion is a file that a later version has written.
var ErrVersion = errors.New("spool: the file is of a later version")

// linePrefix begins each line of the log; the checksum and JSON follow.
const linePrefix = "postern "

// line is the state as a line of the log: "postern VERSION CRC JSON".
func (s *State) line() ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s%d %08x %s\n", linePrefix, stateVersion, checksumOf(text), text), nil
}

// parseLine reads a line of the log without its LF.
func parseLine(line []byte) (*State, error) {
	rest, ok := bytes.CutPrefix(line, []byte(linePrefix))
	version, rest, ok2 := bytes.Cut(rest, []byte(" "))
	sum, text, ok3 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || !ok3 || !isChecksum(sum, crc32.Checksum(text, castagnoli())) {
		return nil, ErrDamaged
	}
	if string(version) != strconv.Itoa(stateVersion) {
		return nil, ErrVersion
	}
	s := &State{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, ErrDamaged
	}
	return s, nil
}

// isChecksum reports whether text is sum as line writes it.
func isChecksum(text []byte, sum uint32) bool {
	var raw [4]byte
	binary.BigEndian.PutUint32(raw[:], sum)
	return string(text) == hex.EncodeToString(raw[:])
}

const (
	tailFirst = 1 << 10  // octets looked at first from the end of a file
	tailMost  = 64 << 20 // a state is never longer
)

// readState finds the last valid line of a file for a message of that id. torn
// says that the file does not end with a whole line. room is used for what is
// read, and kept for the next call; nil for none.
func readState(f Source, id string, room *[]byte) (s *State, torn bool, err error) {
	if room == nil {
		room = new([]byte)
	}
	for want := int64(tailFirst); ; want *= 4 {
		from := max(0, f.Size()-want)
		tail := slices.Grow((*room)[:0], int(f.Size()-from))[:f.Size()-from]
		*room = tail
		if n, err := f.ReadAt(tail, from); n < len(tail) {
			return nil, false, errors.Join(err, io.ErrUnexpectedEOF)
		}
		torn = !bytes.HasSuffix(tail, []byte("\n"))
		s, err = lastState(tail, from, id)
		if err == nil || errors.Is(err, ErrVersion) || from == 0 || want >= tailMost {
			return s, torn, err
		}
	}
}

// lastState looks for the last valid line in tail, which begins at from.
func lastState(tail []byte, from int64, id string) (*State, error) {
	for end := bytes.LastIndexByte(tail, '\n'); end >= 0; {
		start := bytes.LastIndexByte(tail[:end], '\n') + 1
		if start == 0 && from > 0 {
			break // the line may begin before
		}
		s, err := parseLine(tail[start:end])
		if errors.Is(err, ErrVersion) {
			return nil, err
		}
		if err == nil && s.ID == id && s.Size >= 0 && s.Size <= from+int64(start) {
			return s, nil
		}
		end = start - 1
	}
	return nil, ErrDamaged
}
