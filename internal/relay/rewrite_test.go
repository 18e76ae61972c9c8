package relay

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/message"
	"postern/internal/smtp"
	"postern/internal/smtptest"
)

func TestEnvelopeRewriting(t *testing.T) {
	all := config.Smarthost{Rewriting: config.Rewriting{Own: []config.Pattern{"*@own.example"}, EnvelopeFrom: "app@own.example",
		Rewrite: []config.Rule{{Match: "*@*.lan", To: "alerts+%l@own.example"}, {Match: "lit@*", To: "%l@%d.own.example"}}}}
	onlyMap := all
	onlyMap.EnvelopeFrom, onlyMap.Own = "", nil
	for _, row := range []struct {
		why    string
		h      config.Smarthost
		sender string
		want   string
	}{
		{"the null sender stays", all, "", ""},
		{"what is owned stays", all, "joe@OWN.example", "joe@OWN.example"},
		{"the map goes before the fixed address", all, "root@web1.lan", "alerts+root@own.example"},
		{"else the fixed one", all, "root@web1.example", "app@own.example"},
		{"without a fixed one it stays", onlyMap, "root@web1.example", "root@web1.example"},
		{"a quoted local part is quoted again", all, `"a b"@web1.lan`, `"alerts+a b"@own.example`},
		{"no command can be made of it", all, `"a> SIZE=1"@web1.lan`, `"alerts+a> SIZE=1"@own.example`},
		{"what would be no address does not happen", onlyMap, "lit@[192.0.2.1]", "lit@[192.0.2.1]"},
		{"UTF-8", all, "jö@büro.lan", "alerts+jö@own.example"},
	} {
		r := &Relay{Config: &config.Config{}}
		got, rule := r.SenderFor(&row.h, row.sender)
		if got != row.want || (rule != "") != (got != row.sender) {
			t.Errorf("%s: got %q by %q, want %q", row.why, got, rule, row.want)
		}
	}
}

// The same message, three ways in: at once, from the spool, and from the spool to
// a server that takes 7 bits. What is in the spool stays as it was.
func TestRewriteOnTheWay(t *testing.T) {
	h := config.Rewriting{EnvelopeFrom: "app@own.example", HeaderFrom: config.Mailbox{Name: "{user} at {host}", Address: "app@own.example"},
		AddTo: true, Own: []config.Pattern{"*@own.example"}}
	b, err := message.ReadBody(strings.NewReader("grüße\n"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	msg := message.New([]byte("From: root@web1.example\r\nSubject: x\r\nDKIM-Signature: a;\r\n\tb\r\n\r\n"), b)
	const want = "To: undisclosed-recipients:;\r\nReply-To: root@web1.example\r\nFrom: \"user7 at client.example\" <app@own.example>\r\nSubject: x\r\nDKIM-Signature: a;\r\n\tb\r\n"
	for _, row := range []struct {
		why   string
		offer string
		queue bool
		body  string
	}{
		{"at once", "8BITMIME", false, "\r\ngrüße\r\n"},
		{"from the spool", "8BITMIME", true, "\r\ngrüße\r\n"},
		{"from the spool, with CHUNKING", "CHUNKING", true, "gr=C3=BC=C3=9Fe\r\n"},
		{"to a server of 7 bits", "HELP", true, "gr=C3=BC=C3=9Fe\r\n"},
	} {
		w, s := newWorld(t, smtptest.Polite("PIPELINING", row.offer, "SIZE 100000"))
		w.Relay.Host = "client.example"
		w.Relay.User = func(uid int) string { return "user" + strconv.Itoa(uid) }
		w.Relay.Config.Smarthosts[0].Rewriting = h
		env := Envelope{Sender: "root@web1.example", Recipients: smtp.RecipientsOf("a@x"), UID: 7}
		if row.queue {
			if _, err := w.Put(context.Background(), "", env, msg, nil, 7, w.clock.Now()); err != nil {
				t.Fatal(err)
			}
			entries, _, _ := w.Spool.List("queue")
			if st, err := w.Spool.Read(entries[0]); err != nil || st.Sender != "root@web1.example" {
				t.Errorf("%s: %+v %v", row.why, st, err)
			}
			w.run()
		} else if o := w.Relay.Deliver(context.Background(), "id1", env, msg); o[0].Status != Sent {
			t.Errorf("%s: %+v", row.why, o)
		}
		got := s.Sessions()[0]
		text := string(got.Messages[0])
		if !strings.HasPrefix(text, want) || !strings.HasSuffix(text, row.body) {
			t.Errorf("%s: got\n%s", row.why, text)
		}
		if mail := got.Commands[1]; !strings.HasPrefix(mail, "MAIL FROM:<app@own.example> SIZE=") {
			t.Errorf("%s: %q", row.why, mail)
		}
	}
}

// Redirected, all recipients are one on the wire, which decides for all of them;
// the log tells whom the message was for.
func TestRedirect(t *testing.T) {
	for answer, want := range map[string]Status{"250 2.1.5 ok": Sent, "550 5.1.1 no": Failed} {
		w, s := newWorld(t, smtptest.Polite("DSN").With("RCPT", smtptest.Say(answer)))
		w.Relay.Config.Smarthosts[0].RedirectTo = "qa@own.example"
		r, log := relayTo(t, s.Port())
		r.Config = w.Relay.Config
		o := r.Deliver(context.Background(), "id1", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x", "b@x")}, newMessage(t, ""))
		if o[0].Status != want || o[1].Status != want || o[0].Recipient != "a@x" || o[1].Recipient != "b@x" {
			t.Errorf("%s: %+v", answer, o)
		}
		if got := heard(s); !slices.Equal(got, []string{"qa@own.example"}) {
			t.Errorf("heard %v", got)
		}
		if !strings.Contains(log.String(), "to=<qa@own.example>, orig_to=<b@x>") {
			t.Errorf("log %s", log)
		}
		if want == Sent && !strings.HasPrefix(string(s.Sessions()[0].Messages[0]), "X-Original-To: a@x\r\nX-Original-To: b@x\r\n") {
			t.Errorf("got %s", s.Sessions()[0].Messages[0])
		}
	}
}

// rewrite_to merges recipients that become the same, and their outcomes are told
// apart again; from the spool as well.
func TestRewriteRecipients(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite("PIPELINING").With("RCPT TO:<BAD", smtptest.Say("550 5.1.1 no such user")))
	h := w.Relay.Config.Smarthosts[0]
	h.RewriteTo, h.Rewrite = true, []config.Rule{{Match: "bad@*.lan", To: "bad@own.example"}, {Match: "*@*.lan", To: "all@own.example"}}
	list := []string{"a@x.lan", "bad@y.lan", "c@out.example", "b@y.lan"}
	o := w.Relay.Deliver(context.Background(), "id1", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf(list...)}, newMessage(t, ""))
	for i, want := range []Status{Sent, Failed, Sent, Sent} {
		if o[i].Status != want || o[i].Recipient != list[i] {
			t.Errorf("%d: %+v", i, o[i])
		}
	}
	want := []string{"all@own.example", "bad@own.example", "c@out.example"}
	if got := heard(s); !slices.Equal(got, want) {
		t.Errorf("heard %v", got)
	}
	w.put("", list...)
	w.run()
	if got := heard(s)[3:]; !slices.Equal(got, want) {
		t.Errorf("from the spool: heard %v", got)
	}
	if got := w.waiting("failed"); len(got) != 1 {
		t.Errorf("failed: %v", got)
	}
}

// Captured mail is written with its envelope, and nobody is asked; from the spool
// too. What cannot be written waits.
func TestCapture(t *testing.T) {
	w, s := newWorld(t, smtptest.Polite())
	dir := filepath.Join(t.TempDir(), "Maildir")
	h := w.Relay.Config.Smarthosts[0]
	h.Capture, h.EnvelopeFrom = dir, "app@own.example"
	o := w.Relay.Deliver(context.Background(), "id1", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x", "b@x")}, newMessage(t, "at once\n"))
	if o[0].Status != Sent || o[1].Status != Sent || o[0].Relay != dir || !strings.HasPrefix(o[1].Text, "captured in "+dir+"/new/") {
		t.Errorf("%+v", o)
	}
	w.put("s@x", "c@x")
	w.run()
	if got := w.waiting("queue"); got != nil {
		t.Errorf("waiting %v", got)
	}
	var texts []string
	names, err := filepath.Glob(dir + "/new/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	slices.Sort(texts)
	want := []string{"X-Envelope-From: <app@own.example>\nX-Envelope-To: <a@x>\nX-Envelope-To: <b@x>\nSubject: x\n\nat once\n",
		"X-Envelope-From: <app@own.example>\nX-Envelope-To: <c@x>\nSubject: x\n\nbody of s@x\n"}
	if !slices.Equal(texts, want) {
		t.Errorf("got %q", texts)
	}
	h.Capture = filepath.Join(dir, "no", "parent")
	o = w.Relay.Deliver(context.Background(), "id1", Envelope{Sender: "s@x", Recipients: smtp.RecipientsOf("a@x")}, newMessage(t, ""))
	if o[0].Status != Deferred || o[0].Err == nil {
		t.Errorf("%+v", o)
	}
	w.put("s@x", "d@x")
	w.run()
	if got := w.waiting("queue"); len(got) != 1 {
		t.Errorf("waiting %v", got)
	}
	if n := len(s.Sessions()); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// A plan is what Deliver does.
func TestPlan(t *testing.T) {
	r := &Relay{Config: &config.Config{Smarthosts: []*config.Smarthost{{Rewriting: config.Rewriting{RewriteTo: true, EnvelopeFrom: "app@own.example",
		Rewrite: []config.Rule{{Match: "*@*.lan", To: "%l@own.example"}}}}}}}
	msg := message.New([]byte("From: root@web1.lan\r\nTo: a@x.lan\r\n\r\n"), newMessage(t, "x").Body())
	env := Envelope{Sender: "s@web1.example", Recipients: smtp.RecipientsOf("a@x.lan", "b@x")}
	p, err := r.Plan(r.Groups(env.Sender, env.Recipients)[0], env, msg)
	if err != nil {
		t.Fatal(err)
	}
	want := []headers.Change{
		{Field: "envelope sender", Rule: "s@web1.example becomes app@own.example, by envelope_from"},
		{Field: "recipient", Rule: `a@x.lan becomes a@own.example, by rewrite "*@*.lan" = "%l@own.example"`},
		{Field: "From", Rule: `root@web1.lan becomes root@own.example, by rewrite "*@*.lan" = "%l@own.example"`},
		{Field: "To", Rule: `a@x.lan becomes a@own.example, by rewrite "*@*.lan" = "%l@own.example"`},
	}
	if !slices.Equal(p.Changes, want) || !slices.Equal(p.Recipients, []string{"a@own.example", "b@x"}) {
		t.Errorf("%q\n%q", p.Changes, p.Recipients)
	}
}

// The author that was gets the answers, but never those to a report, which would
// make another.
func TestAnswers(t *testing.T) {
	h := &config.Smarthost{Rewriting: config.Rewriting{HeaderFrom: config.Mailbox{Address: "app@own.example"}}}
	r := &Relay{Config: &config.Config{}}
	for _, row := range []struct{ sender, author, want string }{
		{"joe@web1.example", "joe@web1.example", "Reply-To: joe@web1.example\r\n"},
		{"", "mailer-daemon@web1.example", ""},
		{"joe@web1.lan", "joe@web1.lan", ""}, // nobody outside reaches it
		{"joe@x", "joe@[192.0.2.1]", ""},
	} {
		got, _, err := r.wanted(h, row.sender, 0).header([]byte("From: J <"+row.author+">\r\n\r\n"), nil, nil)
		if want := row.want + "From: J <app@own.example>\r\n\r\n"; err != nil || string(got) != want {
			t.Errorf("%q from <%s>: got %q, want %q, %v", row.author, row.sender, got, want, err)
		}
	}
}

// A recipient that becomes another is told as ORCPT, which can be in ASCII only;
// what the caller said about it stays.
func TestRewrittenORCPT(t *testing.T) {
	w := wanted{h: &config.Smarthost{Rewriting: config.Rewriting{RewriteTo: true, Rewrite: []config.Rule{{Match: "*@*.lan", To: "%l@own.example"}}}}}
	for _, row := range []struct{ address, original, want string }{
		{"a@x.lan", "", "rfc822;a@x.lan"},
		{"a@x.lan", "rfc822;root@x", "rfc822;root@x"},
		{"jö@x.lan", "", ""},
		{"a@out.example", "", ""},
	} {
		wire, _ := w.recipients([]smtp.Recipient{{Address: row.address, Original: row.original}})
		if len(wire) != 1 || wire[0].Original != row.want {
			t.Errorf("%s: %+v, want %q", row.address, wire, row.want)
		}
	}
}

// The header ends where the empty line is, wherever reads end, and nowhere else.
func TestReadHeader(t *testing.T) {
	long := "X: " + strings.Repeat("y", 4091)
	for _, row := range []struct{ why, text, want string }{
		{"plain", "A: b\r\n\r\nbody\r\n\r\n", "A: b\r\n\r\n"},
		{"none", "\r\nbody\r\n\r\n", "\r\n"},
		{"over the end of a read", long + "\r\n\r\nbody", long + "\r\n\r\n"},
		{"no body", "A: b\r\n\r\n", "A: b\r\n\r\n"},
		{"no end", "A: b\r\n", "A: b\r\n"},
	} {
		for cut := range 4 {
			got, err := readHeader(&cutReader{text: row.text, most: 4094 + cut})
			if err != nil || string(got) != row.want {
				t.Errorf("%s: got %d octets, want %d, %v", row.why, len(got), len(row.want), err)
			}
		}
		got, err := readHeader(&cutReader{text: row.text, most: 1})
		if err != nil || string(got) != row.want {
			t.Errorf("%s, octet by octet: got %d octets, want %d, %v", row.why, len(got), len(row.want), err)
		}
	}
}

type cutReader struct {
	text string
	most int
}

func (c *cutReader) Read(p []byte) (int, error) {
	if c.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.most)], c.text)
	c.text = c.text[n:]
	return n, nil
}

// Whatever an address is made of, what stands for it is an address that can be
// said in MAIL: no command, and no second address, comes of it.
func FuzzSender(f *testing.F) {
	for _, seed := range [][2]string{{"root", "web1.lan"}, {"a b", "x"}, {"a> SIZE=1", "x"}, {"a\r\nRCPT TO:<b@c", "x"}, {`a"\\`, "x"}, {"%d", "[192.0.2.1]"}, {"jö", "büro.lan"}, {"", "x"}} {
		f.Add(seed[0], seed[1], "%l=%d+%%@own.example")
		f.Add(seed[0], seed[1], "%l@%d.own.example")
	}
	f.Fuzz(func(t *testing.T, local, domain, to string) {
		h := &config.Smarthost{Rewriting: config.Rewriting{Rewrite: []config.Rule{{Match: "*@*", To: to}}}}
		sender := headers.Address{Local: local, Domain: domain}.String()
		r := &Relay{Config: &config.Config{}}
		got, rule := r.SenderFor(h, sender)
		if rule == "" {
			if got != sender {
				t.Fatalf("%q became %q by no rule", sender, got)
			}
			return
		}
		a, null, err := headers.ParseSender(got, "")
		if err != nil || null || a.String() != got || strings.ContainsAny(got, "\r\n\x00") {
			t.Fatalf("%q became %q, %v", sender, got, err)
		}
	})
}
