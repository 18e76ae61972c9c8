package smtpd

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

const hello = "EHLO x\r\n"

func TestDialogues(t *testing.T) {
	const mail = "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\n"
	for _, c := range []struct {
		name, in string
		codes    string
		got      []string
	}{
		// The whole script at once, as a shell pipes it; two messages, then QUIT.
		{"two messages", hello + mail + "DATA\r\nSubject: 1\r\n\r\nx\r\n.\r\n" + mail + "DATA\r\n\r\ny\r\n.\r\nQUIT\r\n",
			"220 250 250 250 354 250 250 250 354 250 221", []string{"s@x→a@x|Subject: 1\r\n\r\nx\r\n", "s@x→a@x|\r\ny\r\n"}},
		// A caller that closes without a word has its message nevertheless.
		{"end without QUIT", hello + mail + "DATA\r\nx\r\n.\r\n", "220 250 250 250 354 250", []string{"s@x→a@x|x\r\n"}},
		// Callers name users without a domain.
		{"bare names", "HELO x\r\nMAIL FROM:<root>\r\nRCPT TO:<www-data>\r\nDATA\r\n.\r\n", "220 250 250 250 354 250",
			[]string{"root→www-data|"}},
		{"no brackets, blanks, small letters", "helo x\r\nmail from: root\r\nrcpt to: a@x \r\ndata\r\n.\r\nquit\r\n",
			"220 250 250 250 354 250 221", []string{"root→a@x|"}},
		{"bare and not are one", hello + "MAIL FROM:<s@x>\r\nRCPT TO:<root>\r\nRCPT TO:<root@client.example>\r\nDATA\r\n.\r\n", "220 250 250 250 250 354 250",
			[]string{"s@x→root|"}},
		{"null sender", hello + "MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n.\r\n", "220 250 250 250 354 250", []string{"<>→a@x|"}},
		// What is quoted stays one mailbox, and what is not quoted is none.
		{"quoted", hello + "MAIL FROM:<\"a b\"@x>\r\nRCPT TO:<\"a@b>,c\"@x>\r\nDATA\r\n.\r\n", "220 250 250 250 354 250",
			[]string{`"a b"@x→"a@b>,c"@x|`}},
		{"two at signs", hello + "MAIL FROM:<a@b@c>\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@b@c>\r\nRCPT TO:<>\r\nRCPT TO:<a@x,b@x>\r\n",
			"220 250 501 250 501 501 501", nil},
		{"program and file", hello + "MAIL FROM:<s@x>\r\nRCPT TO:<|sh>\r\nRCPT TO:</etc/passwd>\r\nRCPT TO:<:include:/x>\r\n", "220 250 250 501 501 501", nil},
		{"control characters", hello + "MAIL FROM:<a\rb@x>\r\nMAIL FROM:<s@x> ENVID=a\x01\r\nNO\x00OP\r\n", "220 250 501 501 501", nil},
		{"not UTF-8", hello + "MAIL FROM:<a\xff@x>\r\n", "220 250 501", nil},
		{"UTF-8", hello + "MAIL FROM:<ü@x> SMTPUTF8\r\nRCPT TO:<ö@x>\r\nDATA\r\n.\r\n", "220 250 250 250 354 250", []string{"ü@x→ö@x|"}},
		{"DSN", hello + "MAIL FROM:<s@x> RET=HDRS ENVID=a+2Bb BODY=8BITMIME SIZE=10\r\nRCPT TO:<a@x> NOTIFY=success,delay ORCPT=rfc822;l+2B@x\r\nRCPT TO:<b@x> NOTIFY=NEVER\r\nDATA\r\n.\r\n",
			"220 250 250 250 250 354 250", []string{"s@x HDRS a+b→a@x SUCCESS,DELAY rfc822;l+@x,b@x NEVER|"}},
		{"bad parameters", hello + "MAIL FROM:<s@x> RET=ALL\r\nMAIL FROM:<s@x> X=1\r\nMAIL FROM:<s@x> ENVID=" + strings.Repeat("a", 101) + "\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@x> NOTIFY=NEVER,DELAY\r\n",
			"220 250 501 500 501 250 501", nil},
		{"each once", hello + "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<a@X>\r\nRCPT TO:<A@x>\r\nDATA\r\n.\r\n", "220 250 250 250 250 250 354 250",
			[]string{"s@x→a@x,A@x|"}},
		{"order", "RCPT TO:<a@x>\r\nDATA\r\n" + hello + "RCPT TO:<a@x>\r\nDATA\r\nMAIL FROM:<s@x>\r\nMAIL FROM:<t@x>\r\nRSET\r\nRCPT TO:<a@x>\r\nVRFY a\r\nNOOP\r\nHELP\r\n",
			"220 502 502 250 502 502 250 503 250 502 252 250 502", nil},
		// Sendmail and Postfix do not wait to be greeted.
		{"no HELO", mail + "DATA\r\nx\r\n.\r\nMAIL FROM:root\r\nEHLO x\r\nRCPT TO:<a@x>\r\n" + mail + "DATA\r\ny\r\n.\r\n",
			"220 250 250 354 250 250 250 502 250 250 354 250", []string{"s@x→a@x|x\r\n", "s@x→a@x|y\r\n"}},
		{"EHLO without a name", "EHLO\r\n" + mail, "220 501 250 250", nil},
		{"EHLO forgets", hello + mail + "EHLO y\r\nDATA\r\n", "220 250 250 250 250 502", nil},
		{"refused", hello + "MAIL FROM:<bad@x>\r\nMAIL FROM:<s@x>\r\nRCPT TO:<bad@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n.\r\n", "220 250 550 250 550 250 354 250",
			[]string{"s@x→a@x|"}},
		{"dots", hello + mail + "DATA\r\n..\r\n..a\r\n.b\r\nc.\r\n.\r\n", "220 250 250 250 354 250", []string{"s@x→a@x|.\r\n.a\r\nb\r\nc.\r\n"}},
		{"no TLS, no login", hello + "STARTTLS\r\nAUTH PLAIN AA==\r\n", "220 250 502 523", nil},
		// BDAT
		{"chunks", hello + mail + "BDAT 3\r\nabcBDAT 2 LAST\r\n\r\n", "220 250 250 250 250 250", []string{"s@x→a@x|abc\r\n"}},
		{"dots in a chunk", hello + mail + "BDAT 9 LAST\r\na\r\n.\r\nb\r\nNOOP\r\n", "220 250 250 250 250 250", []string{"s@x→a@x|a\r\n.\r\nb\r\n"}},
		{"chunk refused", hello + "BDAT 10\r\nMAIL FROM:NOOP\r\n", "220 250 502 250", nil},
		{"chunk in pieces given up", hello + mail + "BDAT 3\r\nabcRSET\r\nNOOP\r\n", "220 250 250 250 250 250 250", nil},
		{"a chunk that is none", hello + mail + "BDAT x\r\nBDAT 1 2 3\r\nBDAT\r\nNOOP\r\n", "220 250 250 250 501 501 501 250", nil},
	} {
		splits(c.in, func(name string, in io.Reader) {
			r := &recorder{refuse: map[string]error{"bad@x": &Reply{550, [3]int{5, 1, 1}, "no"}}}
			out := talk(t, testOptions(t, r), in)
			if got := codes(out); got != c.codes {
				t.Errorf("%s, %s: replies %s, want %s\n%s", c.name, name, got, c.codes, out)
			}
			if !slices.Equal(r.got, c.got) {
				t.Errorf("%s, %s: took %q, want %q", c.name, name, r.got, c.got)
			}
		})
	}
}

// Where a message ends depends on how the caller ends its lines, and never on what
// somebody wrote into the text (SMTP smuggling).
func TestEndOfContent(t *testing.T) {
	begin := hello + "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nDATA"
	second := "MAIL FROM:<evil@x>\r\nRCPT TO:<victim@x>\r\nDATA\r\nx\r\n.\r\n"
	for _, dot := range []string{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\n.\r", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n.\r\r\n"} {
		splits(begin+"\r\na"+dot+second, func(name string, in io.Reader) {
			r := &recorder{}
			if talk(t, testOptions(t, r), in); len(r.got) != 1 || strings.Contains(r.got[0][:6], "evil") {
				t.Errorf("%q, %s: %q", dot, name, r.got)
			}
		})
	}
	for _, c := range []struct{ in, want string }{
		// a caller that speaks LF
		{strings.ReplaceAll(begin+"\r\na\r\n..b\r\n.\r\nQUIT\r\n", "\r\n", "\n"), "a\n.b\n"},
		// ... with a CRLF text in it
		{strings.ReplaceAll(begin, "\r\n", "\n") + "\na\r\n.\r\nQUIT\n", "a\r\n"},
		// a CR too many belongs to the text
		{begin + "\r\na\r\r\n.\r\nQUIT\r\n", "a\r\r\n"},
		{begin + "\r\n.\rX\r\n.\r\nQUIT\r\n", "\rX\r\n"},
	} {
		splits(c.in, func(name string, in io.Reader) {
			r := &recorder{}
			out := talk(t, testOptions(t, r), in)
			if len(r.got) != 1 || r.got[0] != "s@x→a@x|"+c.want || !strings.HasSuffix(codes(out), "354 250 221") {
				t.Errorf("%q, %s: %q\n%s", c.in, name, r.got, out)
			}
		})
	}
}

// A message that did not arrive whole is never taken, wherever the caller died.
func TestCutShort(t *testing.T) {
	for _, whole := range []string{
		hello + "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nDATA\r\nSubject: x\r\n\r\nabc\r\n.\r\n",
		hello + "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nBDAT 10\r\nSubject: xBDAT 7 LAST\r\n\r\n\r\nabc",
	} {
		for i := range len(whole) {
			for _, end := range []error{io.EOF, errors.New("reset")} {
				r := &recorder{}
				out := talk(t, testOptions(t, r), io.MultiReader(strings.NewReader(whole[:i]), failing{end}))
				if len(r.got) != 0 {
					t.Errorf("%q, %v: %q\n%s", whole[:i], end, r.got, out)
				}
			}
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// No reply but the last one says 250 for a message, whatever the handler does.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer error
		unread bool
		want   string
	}{
		{"refused", &Reply{554, [3]int{5, 6, 0}, "no\r\n250 yes\x1b[2J"}, false, "554 5.6.0 no  250 yes [2J"},
		{"without reading", &Reply{452, [3]int{4, 3, 1}, "full"}, true, "452 4.3.1 full"},
		{"good without reading", &Reply{250, [3]int{2, 0, 0}, "yes"}, true, "451 4.3.0 a message was taken without being read"},
		{"unknown", errors.New("strange"), false, "451 4.3.0 strange"},
		{"long", &Reply{554, [3]int{}, strings.Repeat("x", 3000)}, false, "554 5.0.0 " + strings.Repeat("x", 480) + "..."},
	} {
		for _, content := range []string{"DATA\r\nx\r\n.\r\n", "BDAT 3 LAST\r\nx\r\n"} {
			r := &recorder{answer: c.answer, unread: c.unread}
			out := talk(t, testOptions(t, r), strings.NewReader(hello+"MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\n"+content+"NOOP\r\n"))
			lines := strings.Split(out, "\r\n")
			if got := lines[len(lines)-3]; got != c.want || !strings.HasPrefix(lines[len(lines)-2], "250 2.0.0 I have") {
				t.Errorf("%s, %q: %q\n%s", c.name, content, got, out)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	const mail = hello + "MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\n"
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct{ name, in, codes, hears string }{
		{"long command", hello + "NOOP " + long + "\r\nNOOP\r\n", "220 250 500 250", ""},
		{"long path", hello + "MAIL FROM:<" + long + "@x>\r\nNOOP\r\n", "220 250 500 250", ""},
		{"a line without end", hello + strings.Repeat(long, 20), "220 250 421", ""},
		{"size announced", hello + "MAIL FROM:<s@x> SIZE=10001\r\n", "220 250 552", "SIZE 10000"},
		{"content", mail + "DATA\r\n" + long + "\r\n.\r\nNOOP\r\n", "220 250 250 250 354 552 250", ""},
		{"lines of content", mail + "DATA\r\n" + strings.Repeat("x\r\n", 5000) + ".\r\nNOOP\r\n", "220 250 250 250 354 552 250", ""},
		{"a chunk", mail + "BDAT 10001 LAST\r\n" + long[:10001] + "NOOP\r\n", "220 250 250 250 552 250", ""},
		{"chunks", mail + "BDAT 9000\r\n" + long[:9000] + "BDAT 9000 LAST\r\n" + long[:9000] + "NOOP\r\n", "220 250 250 250 250 552 250", ""},
		{"recipients", mail + "RCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nRCPT TO:<d@x>\r\n", "220 250 250 250 250 250 452", "LIMITS RCPTMAX=3"},
		{"nonsense", strings.Repeat("NONSENSE\r\n", 10), "220 501 501 501 501 500", ""},
		{"after QUIT", hello + "QUIT\r\n" + mail + "DATA\r\nx\r\n.\r\n", "220 250 221", ""},
	} {
		r := &recorder{}
		o := testOptions(t, r)
		o.MaxSize, o.MaxRecipients = 10_000, 3
		out := talk(t, o, strings.NewReader(c.in))
		if got := codes(out); got != c.codes || !strings.Contains(out, c.hears) || len(r.got) != 0 {
			t.Errorf("%s: %s, want %s; took %d\n%.2000s", c.name, got, c.codes, len(r.got), out)
		}
	}
}

// Lines of content may have any length: relaying them is message's business.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	r := &recorder{}
	talk(t, testOptions(t, r), strings.NewReader(hello+"MAIL FROM:<s@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n"+long+"\r\n.\r\n"))
	if len(r.got) != 1 || len(r.got[0]) != len("s@x→a@x|")+len(long)+2 {
		t.Errorf("took %d", len(r.got))
	}
}
