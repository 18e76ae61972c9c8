package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxReplyLine     = 8192  // octets of a reply line
	maxAuthReplyLine = 12288 // in an AUTH exchange (RFC 4954 4)
	maxReply         = 32768 // octets of a whole reply
)

// Reply is what a server answers to one command.
type Reply struct {
	Code     int      // 200 … 599
	Enhanced Enhanced // zero if the server gave none
	Lines    []string // text of each line, without code and enhanced code; not to be changed
}

// Text is the lines joined with LF, each without blanks around it.
func (r Reply) Text() string { return strings.Join(r.Lines, "\n") }

// String is the reply on one line, fit for people and logs: control characters
// and what is not UTF-8 are escaped.
func (r Reply) String() string {
	if r.Code == 0 {
		return ""
	}
	enhanced, text := r.Enhanced.String(), oneLine(r.Lines)
	if enhanced != "" {
		enhanced = " " + enhanced
	}
	if text != "" {
		text = " " + text
	}
	return strconv.Itoa(r.Code) + enhanced + text
}

// Positive reports a 2yz reply.
func (r Reply) Positive() bool { return r.Code/100 == 2 }

// Enhanced is an enhanced status code (RFC 3463): class, subject, detail.
type Enhanced [3]int

// String gives "5.1.1", or "" for none.
func (e Enhanced) String() string {
	if e == (Enhanced{}) {
		return ""
	}
	return strconv.Itoa(e[0]) + "." + strconv.Itoa(e[1]) + "." + strconv.Itoa(e[2])
}

// oneLine joins the lines of a reply and escapes what could act on a terminal
// or begin a new log line.
func oneLine(lines []string) string {
	if len(lines) == 1 {
		return printable(lines[0])
	}
	var b strings.Builder
	for i, l := range lines {
		if i > 0 && b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(printable(l))
	}
	return b.String()
}

// printable escapes control characters, format characters that reorder text,
// and octets that are not UTF-8.
func printable(s string) string {
	if isPrintableASCII(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strconv.IsPrint(r):
			b.WriteString(s[:n])
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		s = s[n:]
	}
	return b.String()
}

func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// errSyntax is the cause of an *Error for what is no reply.
var errSyntax = errors.New("not an SMTP reply")

// said is the last reply of one line: most servers say the same about each of a
// thousand recipients, which need not be read a thousand times.
type said struct {
	line  []byte
	reply Reply
}

// readReply reads one reply of lines of at most maxLine octets. Its errors are
// those of r, io.ErrUnexpectedEOF for an end within the reply, and errors that
// wrap errSyntax.
func readReply(r *bufio.Reader, maxLine int, last *said, each func(line []byte)) (Reply, error) {
	var reply Reply
	total := 0
	for {
		line, err := readLine(r, maxLine)
		if err != nil {
			if err == io.EOF && len(reply.Lines) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return Reply{}, err
		}
		if each != nil {
			each(line)
		}
		if total == 0 && last.reply.Code != 0 && bytes.Equal(line, last.line) {
			return last.reply, nil
		}
		if total += len(line) + 2; total > maxReply {
			return Reply{}, fmt.Errorf("%w: longer than %d octets", errSyntax, maxReply)
		}
		code, text, more, err := parseLine(line)
		if err != nil {
			return Reply{}, err
		}
		if reply.Code != 0 && code/100 != reply.Code/100 {
			return Reply{}, fmt.Errorf("%w: lines with the codes %d and %d", errSyntax, reply.Code, code)
		}
		reply.Code = code
		reply.add(text)
		if !more {
			if len(reply.Lines) == 1 {
				last.line, last.reply = append(last.line[:0], line...), reply
			}
			return reply, nil
		}
	}
}

// add takes the enhanced code off the text of a line and keeps the rest.
func (r *Reply) add(text string) {
	e, rest, ok := cutEnhanced(text)
	if ok && e[0] == r.Code/100 && (r.Enhanced == Enhanced{} || r.Enhanced == e) {
		r.Enhanced, text = e, rest
	}
	r.Lines = append(r.Lines, strings.Trim(text, " \t"))
}

// readLine reads up to LF and returns the line without its end. The result is
// valid until the next read.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		long := bytes.Clone(line)
		for err == bufio.ErrBufferFull && len(long) <= limit {
			line, err = r.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if len(line) > limit {
		return nil, fmt.Errorf("%w: a line longer than %d octets", errSyntax, limit)
	}
	if err == io.EOF && len(line) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	line = line[:len(line)-1]
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// parseLine takes a reply line apart (RFC 5321 4.2): three digits, the first
// from 2 to 5, then a hyphen, a blank, or nothing.
func parseLine(l []byte) (code int, text string, more bool, err error) {
	if len(l) < 3 || l[0] < '2' || l[0] > '5' || !digit(l[1]) || !digit(l[2]) || len(l) > 3 && l[3] != ' ' && l[3] != '-' {
		return 0, "", false, fmt.Errorf("%w: %q", errSyntax, l[:min(len(l), 60)])
	}
	code = int(l[0]-'0')*100 + int(l[1]-'0')*10 + int(l[2]-'0')
	if len(l) == 3 {
		return code, "", false, nil
	}
	return code, string(l[4:]), l[3] == '-', nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// cutEnhanced takes an enhanced status code off the front of text (RFC 2034 4).
func cutEnhanced(text string) (e Enhanced, rest string, ok bool) {
	word, rest, _ := strings.Cut(text, " ")
	class, word, ok1 := strings.Cut(word, ".")
	subject, detail, ok2 := strings.Cut(word, ".")
	if !ok1 || !ok2 || class != "2" && class != "4" && class != "5" {
		return e, text, false
	}
	e[0] = int(class[0] - '0')
	if e[1], ok = number(subject); !ok {
		return Enhanced{}, text, false
	}
	if e[2], ok = number(detail); !ok {
		return Enhanced{}, text, false
	}
	return e, rest, true
}

// number reads one to three digits.
func number(s string) (int, bool) {
	if len(s) < 1 || len(s) > 3 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if !digit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
