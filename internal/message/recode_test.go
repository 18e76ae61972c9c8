package message

import (
	"bytes"
	"io"
	"strings"
	"testing"

	gomessage "github.com/emersion/go-message"
)

// fitted is header and body after For.
func fitted(t *testing.T, text string, w Wire) (header, body string, same bool) {
	t.Helper()
	head, rest, _ := strings.Cut(text, "\r\n\r\n")
	m := New([]byte(head+"\r\n\r\n"), mustBody(t, rest))
	out, err := m.For(w)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	got, err := io.ReadAll(out.Body().Open())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(out.Header()), "\r\n"), string(got), out == m
}

func TestForText(t *testing.T) {
	long := strings.Repeat("x", 999)
	const mime = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset="
	const qp = "\r\nContent-Transfer-Encoding: quoted-printable\r\n"
	tests := []struct {
		why, in    string
		w          Wire
		header     string // behind "A: b\r\n"
		body       string
		sameAsItIs bool
	}{
		{"ASCII fits everywhere", wire("A: b", "", "text"), Wire{}, "", wire("text"), true},
		{"8-bit fits 8BITMIME", wire("A: b", "", "grüße"), Wire{EightBitMIME: true}, "", wire("grüße"), true},
		{"SMTPUTF8 asks for 8BITMIME", wire("A: b", "", "grüße"), Wire{UTF8: true}, "", wire("grüße"), true},
		{"998 octets are a line", wire("A: b", "", long[1:]), Wire{}, "", wire(long[1:]), true},
		{"plain text in UTF-8 gets MIME fields", wire("A: b", "", "grüße"), Wire{}, mime + "utf-8" + qp, wire("gr=C3=BC=C3=9Fe"), false},
		{"other 8-bit text: the charset is not guessed", wire("A: b", "", "gr\xfc\xdfe"), Wire{}, mime + "unknown-8bit" + qp, wire("gr=FC=DFe"), false},
		{"a charset that is named stays", wire("A: b", "Content-Type: text/plain; charset=iso-8859-1", "", "gr\xfc\xdfe"), Wire{},
			"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n", wire("gr=FC=DFe"), false},
		{"NUL is kept by encoding, also on 8BITMIME", wire("A: b", "", "a\x00b"), Wire{EightBitMIME: true}, mime + "us-ascii" + qp, wire("a=00b"), false},
		{"8bit becomes quoted-printable", wire("A: b", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", "ü"), Wire{},
			"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n", wire("=C3=BC"), false},
		{"binary data becomes base64", wire("A: b", "MIME-Version: 1.0", "Content-Type: application/x-y", "", "\xff\xfe"), Wire{},
			"MIME-Version: 1.0\r\nContent-Type: application/x-y\r\nContent-Transfer-Encoding: base64\r\n", "//4NCg==\r\n", false},
		{"long base64 lines are broken", wire("A: b", "Content-Transfer-Encoding: base64", "", strings.Repeat("QUJD", 300)), Wire{},
			"Content-Transfer-Encoding: base64\r\n", wire(strings.Repeat("QUJD", 300)[:998], strings.Repeat("QUJD", 300)[998:]), false},
		{"a private encoding is broken as Postfix does", wire("A: b", "Content-Transfer-Encoding: x-uue", "", long), Wire{},
			"Content-Transfer-Encoding: x-uue\r\n", wire(long[1:], " x"), false},
	}
	for _, test := range tests {
		header, body, same := fitted(t, test.in, test.w)
		rest := strings.TrimPrefix(header, "A: b\r\n")
		if len(strings.Split(rest, "\r\n")) != len(strings.Split(test.header, "\r\n")) || body != test.body || same != test.sameAsItIs {
			t.Errorf("%s:\n got %q %q %v\nwant %q %q %v", test.why, rest, body, same, test.header, test.body, test.sameAsItIs)
			continue
		}
		for line := range strings.Lines(test.header) {
			if !strings.Contains(rest, line) {
				t.Errorf("%s: %q is missing in %q", test.why, line, rest)
			}
		}
	}
}

// Only the part that does not fit changes; every other octet stays.
func TestForMultipart(t *testing.T) {
	multi := func(parts ...string) string {
		return "A: b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n" +
			"preamble\r\n--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\nepilogue\r\n"
	}
	const plain = "X-Odd:  kept \r\n\tas it is\r\n\r\nASCII, with blanks at the end  \r\n"
	tests := []struct{ why, in, want string }{
		{"one of two", multi(plain, "Content-Type: text/plain; charset=utf-8\r\n\r\nü"),
			multi(plain, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC")},
		{"an attachment", multi(plain, "Content-Type: image/png\r\n\r\n\xff\xd8"),
			multi(plain, "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n/9g=")},
		{"a part that is encoded already stays", multi(plain, "Content-Transfer-Encoding: base64\r\n\r\n/9g=", "\r\nü"),
			multi(plain, "Content-Transfer-Encoding: base64\r\n\r\n/9g=", "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC")},
		{"a multipart within", multi("Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nü\r\n--c\r\n\r\nASCII\r\n--c--", plain),
			multi("Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n--c\r\n\r\nASCII\r\n--c--", plain)},
		{"a message within", multi("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nü"),
			multi("Content-Type: message/rfc822\r\n\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC")},
		{"text between the parts", strings.Replace(multi(plain), "preamble", "präambel", 1), strings.Replace(multi(plain), "preamble", "pr=C3=A4ambel", 1)},
		{"a part's own header", multi("Content-Disposition: attachment; filename=\"ü\"\r\n\r\nx"), multi("Content-Disposition: attachment; filename=\"=?utf-8?q?=C3=BC?=\"\r\n\r\nx")},
	}
	for _, test := range tests {
		header, body, _ := fitted(t, test.in, Wire{})
		if got := header + "\r\n" + body; got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.why, got, test.want)
		}
	}
}

// odd are messages that strain the walk.
func odd() []string {
	part := "Content-Type: text/plain; charset=utf-8\r\n\r\nü\r\n"
	deep := "Content-Type: text/plain; charset=utf-8\r\n\r\ntief ü\r\n"
	for i := range 40 {
		b := string(rune('a'+i%26)) + strings.Repeat("x", i)
		deep = "Content-Type: multipart/mixed; boundary=" + b + "\r\n\r\n--" + b + "\r\n" + deep + "--" + b + "--\r\n"
	}
	return []string{
		"MIME-Version: 1.0\r\n" + deep,
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + part, // never closed
		"Content-Type: multipart/mixed; boundary=b\r\n\r\nü without any part\r\n",
		"Content-Type: multipart/mixed\r\n\r\n--b\r\n" + part + "--b--\r\n", // no boundary
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--bb\r\n" + part + "--b\r\n" + part + "--b--\r\n",
		"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\nü\r\n--b--\r\n",
		"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" + part + "--b\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--b--\r\n",
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat("ü=C3=BC ", 300) + "\r\n",
		"Subject: x\r\n\r\n" + strings.Repeat("--b ü ", 1000) + "\r\n",
		"Subject: x\r\n\r\n" + strings.Repeat("ü", 100_000) + "\r\n",
	}
}

// Whatever it is, the result fits, is the same the second time, and a foreign
// parser decodes from it what it decodes from the original.
func TestForProperties(t *testing.T) {
	for i, text := range odd() {
		header, body, _ := fitted(t, text, Wire{})
		out := header + "\r\n" + body
		for line := range strings.Lines(body) {
			line = strings.TrimSuffix(line, "\r\n")
			if len(line) > maxLine || strings.ContainsFunc(line, func(r rune) bool { return r > 126 || r == 0 }) {
				t.Errorf("%d: line %.80q", i, line)
			}
		}
		if _, again, same := fitted(t, out, Wire{}); again != body || !same {
			t.Errorf("%d: the second time is not the same", i)
		}
	}
}

// A foreign parser finds the same leaves with the same content.
func TestForDecodes(t *testing.T) {
	for i, text := range odd()[6:] {
		header, body, _ := fitted(t, text, Wire{})
		want, got := leaves(t, text), leaves(t, header+"\r\n"+body)
		if want != got {
			t.Errorf("%d: decoded %.200q, was %.200q", i, got, want)
		}
	}
}

func leaves(t *testing.T, text string) string {
	t.Helper()
	e, err := gomessage.Read(strings.NewReader(text))
	if err != nil && !gomessage.IsUnknownCharset(err) {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = e.Walk(func(_ []int, e *gomessage.Entity, err error) error {
		if err != nil && !gomessage.IsUnknownCharset(err) {
			return err
		}
		if e.MultipartReader() == nil {
			_, err = io.Copy(&b, e.Body)
			b.WriteString("|")
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The end of the last line before a delimiter is no part of the content.
	return strings.ReplaceAll(b.String(), "\r\n|", "|")
}

// A disk that fills up while recoding is an error that says so.
func TestForNoSpace(t *testing.T) {
	body := mustBody(t, strings.Repeat("ü", 2<<20))
	broken := *body
	broken.open = func() (tempFile, error) { return nil, errBoom }
	_, err := New([]byte("A: b\r\n\r\n"), &broken).For(Wire{})
	var store *StoreError
	if !asStore(err, &store) || store.Op != "create" {
		t.Errorf("got %v", err)
	}
}

func asStore(err error, to **StoreError) bool {
	e, ok := err.(*StoreError)
	*to = e
	return ok
}

func FuzzFor(f *testing.F) {
	for _, text := range odd()[1:9] {
		f.Add([]byte(text), false)
	}
	f.Add([]byte("A: b\r\n\r\n\x00\xff"), true)
	f.Fuzz(func(t *testing.T, text []byte, eight bool) {
		head, rest, _ := bytes.Cut(text, []byte("\r\n\r\n"))
		body, err := ReadBody(bytes.NewReader(rest), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		m := New(append(bytes.Clone(head), "\r\n\r\n"...), body)
		w := Wire{EightBitMIME: eight}
		out, err := m.For(w)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if !out.Body().Facts().fits(w) {
			t.Fatalf("does not fit: %+v", out.Body().Facts())
		}
		again, err := out.For(w)
		if err != nil || again != out {
			t.Fatalf("the second time is not the same: %v", err)
		}
		if body.Facts().fits(w) != (out == m) {
			t.Fatal("changed without need, or not although there was need")
		}
	})
}

func BenchmarkFor(b *testing.B) {
	body := mustBody(b, strings.Repeat("a line of text with an ü in it\n", 32_000))
	m := New([]byte("A: b\r\n\r\n"), body)
	b.SetBytes(m.Size())
	b.ReportAllocs()
	for b.Loop() {
		out, err := m.For(Wire{})
		if err != nil {
			b.Fatal(err)
		}
		out.Close()
	}
}
