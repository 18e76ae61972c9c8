package smtp_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/smtp"
	"postern/internal/smtptest"
)

// What tests log in with. No trace and no error may have the secrets.
const (
	testUser   = "user@example.org"
	testSecret = "correct-horse-Battery"
	testToken  = "ya29.staple-Token"
)

func giveSecret(context.Context) (string, error) { return testSecret, nil }
func giveToken(context.Context) (string, error)  { return testToken, nil }

// diary is all that a caller can see of a dialogue.
type diary struct {
	mu   sync.Mutex
	text strings.Builder
}

// keepDiary makes one that fails the test if a secret is in it at the end.
func keepDiary(t testing.TB) *diary {
	d := new(diary)
	t.Cleanup(func() {
		text := d.String()
		for _, hidden := range hiddenForms() {
			if strings.Contains(text, hidden) {
				t.Errorf("%q is in:\n%s", hidden, text)
			}
		}
		if t.Failed() {
			t.Logf("dialogue:\n%s", text)
		}
	})
	return d
}

// hiddenForms are the secrets as they stand and in base64, wherever they begin
// in a group of three octets.
func hiddenForms() []string {
	out := []string{testSecret, testToken}
	for _, s := range []string{testSecret, testToken} {
		for shift := range 3 {
			coded := base64.StdEncoding.EncodeToString([]byte("\x00\x00"[:shift] + s))
			out = append(out, coded[4:len(coded)-4])
		}
	}
	return out
}

func (d *diary) trace(direction byte, line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(&d.text, "%c %s\n", direction, line)
}

// note keeps an error, and returns it.
func (d *diary) note(err error) error {
	if err != nil {
		d.trace('!', err.Error())
	}
	return err
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// rig is a scripted server, what is needed to reach it, and what was seen.
type rig struct {
	*smtptest.Server
	t     *testing.T
	cfg   smtp.Config
	diary *diary
	pipe  net.Conn // to a server that does not listen
	used  []*smtp.Client
}

// serve starts a server with this script; it speaks TLS after STARTTLS.
func serve(t *testing.T, script smtptest.Script) *rig {
	t.Helper()
	return serveWith(t, smtptest.Options{Script: script})
}

func serveWith(t *testing.T, o smtptest.Options) *rig {
	t.Helper()
	if o.TLS == nil {
		o.TLS = serverTLS(t)
	}
	r := newRig(t)
	r.Server = smtptest.New(t, o)
	if o.Unix == "" {
		r.cfg.Port = r.Port()
	}
	return r
}

// serveOver is serve for the fake time of synctest: there is one client, and no
// socket.
func serveOver(t *testing.T, script smtptest.Script) *rig {
	t.Helper()
	r := newRig(t)
	ours, theirs := net.Pipe()
	r.pipe = ours
	r.Server = smtptest.Over(t, theirs, smtptest.Options{Script: script, TLS: serverTLS(t)})
	return r
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, diary: keepDiary(t)}
	r.cfg = smtp.Config{
		Hosts: []string{"127.0.0.1"}, TLS: smtp.None, LocalName: "client.test",
		ConnectTimeout: 5 * time.Second, CommandTimeout: 5 * time.Second, Trace: r.diary.trace,
	}
	return r
}

// connect and dial fail the test if there is no connection.
func (r *rig) connect() *smtp.Client {
	r.t.Helper()
	return r.client(func() (*smtp.Client, error) { return smtp.Connect(r.t.Context(), r.cfg) })
}

func (r *rig) dial() *smtp.Client {
	r.t.Helper()
	return r.client(r.dialed)
}

// dialed is Dial.
func (r *rig) dialed() (*smtp.Client, error) {
	if r.pipe != nil {
		return smtp.NewClient(r.t.Context(), r.pipe, r.cfg)
	}
	return smtp.Dial(r.t.Context(), r.cfg)
}

func (r *rig) client(how func() (*smtp.Client, error)) *smtp.Client {
	r.t.Helper()
	c, err := how()
	if err != nil {
		r.t.Fatal(err)
	}
	r.used = append(r.used, c)
	r.t.Cleanup(func() { c.Close() })
	return c
}

// dialFails fails the test unless Dial fails with an error of these kinds.
func (r *rig) dialFails(kinds ...error) error {
	r.t.Helper()
	c, err := r.dialed()
	if err == nil {
		c.Close()
		r.t.Fatal("no error")
	}
	mustBe(r.t, r.diary.note(err), kinds...)
	return err
}

// heard is what the n-th session said, once all have left.
func (r *rig) heard(n int) *smtptest.Session {
	r.t.Helper()
	for _, c := range r.used {
		c.Close()
	}
	r.Wait()
	all := r.Sessions()
	if n >= len(all) {
		r.t.Fatalf("%d sessions", len(all))
	}
	return all[n]
}

// wantHeard compares the commands of the only session.
func (r *rig) wantHeard(want ...string) {
	r.t.Helper()
	if got := r.heard(0).Commands; !slices.Equal(got, want) {
		r.t.Errorf("the server heard %q, want %q", got, want)
	}
}

// mustBe fails the test unless err is of all these kinds.
func mustBe(t testing.TB, err error, kinds ...error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, kind := range kinds {
		if !errors.Is(err, kind) {
			t.Errorf("%v (%#v) is not %q", err, err, kind)
		}
	}
}

// must fails the test if a step that has to work does not.
func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var testAuthority = sync.OnceValues(smtptest.NewAuthority)

// serverCert is a certificate of the one authority of all tests.
func serverCert(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	a := must[*smtptest.Authority](t)(testAuthority())
	return must[tls.Certificate](t)(a.Server(names...))
}

// serverTLS is for 127.0.0.1 and localhost. Without tickets, since on a net.Pipe
// nobody reads those while the client writes.
func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	return &tls.Config{
		Certificates:           []tls.Certificate{serverCert(t, "127.0.0.1", "localhost")},
		SessionTicketsDisabled: true,
	}
}

// authorityFile has the certificate of the one authority.
func authorityFile(t testing.TB) string {
	t.Helper()
	a := must[*smtptest.Authority](t)(testAuthority())
	return fileOf(t, a.PEM())
}

func fileOf(t testing.TB, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
