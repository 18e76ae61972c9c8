package smtp

import (
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/xdg-go/scram"
	"github.com/xdg-go/stringprep"
	"golang.org/x/text/unicode/norm"
)

// The examples of RFC 5802 5 and RFC 7677 3.
func TestSCRAMExamples(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		hash                      func() hash.Hash
		nonce                     string
		first, server, last, done string
	}{
		"SCRAM-SHA-1": {sha1.New, "fyko+d2lbbFgONRv9qkxdawL",
			"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		"SCRAM-SHA-256": {sha256.New, "rOprNGfwEbeRWgbNEkqO",
			"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		s := &scramClient{name: name, hash: test.hash, username: "user", password: "pencil", header: "n,,", nonce: test.nonce}
		if mechanism, first, err := s.Start(); err != nil || mechanism != name || string(first) != test.first {
			t.Errorf("%s begins %s %q, %v", name, mechanism, first, err)
		}
		if last, err := s.Next([]byte(test.server)); err != nil || string(last) != test.last {
			t.Errorf("%s: %q, %v", name, last, err)
		}
		if s.proven() {
			t.Errorf("%s: proven too early", name)
		}
		if answer, err := s.Next([]byte(test.done)); err != nil || len(answer) > 0 || !s.proven() {
			t.Errorf("%s: %q, %v, proven %v", name, answer, err, s.proven())
		}
		if _, err := s.Next([]byte(test.done)); err == nil {
			t.Errorf("%s goes on after its end", name)
		}
	}
}

// A server of another make accepts the right password with every way of channel
// binding, and proves itself; it refuses a wrong one.
func TestSCRAMOtherServer(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"user", "a=b,c", "jos\u00e9", "jose\u0301\u00ad"} {
		for _, password := range []string{"pencil", "p\u00e4ss\u00a0w\u2168rd", "\u0627\u0644\u0639", ",=", ""} {
			if password == "" && user == "user" {
				continue // no library takes it
			}
			for _, plus := range []bool{false, true} {
				for _, wrong := range []bool{false, true} {
					if password != "" {
						talk(t, user, password, plus, wrong)
					}
				}
			}
		}
	}
}

func talk(t *testing.T, user, password string, plus, wrong bool) {
	t.Helper()
	known := password
	if wrong {
		known += "x"
	}
	library, err := scram.SHA256.NewClient(user, known, "")
	if err != nil {
		library, err = scram.SHA256.NewClient(user, "another", "")
	}
	if err != nil {
		t.Fatal(err)
	}
	stored, err := library.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt and pepper", Iters: fewestIterations})
	if err != nil {
		t.Fatal(err)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		t.Fatal(err)
	}
	conversation := server.NewConversation()
	name, perr := saslprep(user)
	secret, serr := saslprep(password)
	if perr != nil || serr != nil {
		t.Fatal(perr, serr)
	}
	s := &scramClient{hash: sha256.New, username: name, password: secret, header: "n,,", nonce: "our+nonce"}
	if plus {
		binding := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: []byte("thirty-two octets of the channel")}
		s.header, s.binding = "p=tls-exporter,,", binding.Data
		conversation = server.NewConversationWithChannelBindingRequired(binding)
	}
	_, message, err := s.Start()
	for range 2 {
		if err != nil {
			t.Fatal(err)
		}
		answer, serr := conversation.Step(string(message))
		if answer == "" {
			t.Fatalf("%q: the server says nothing: %v", message, serr)
		}
		message, err = s.Next([]byte(answer))
	}
	if err != nil || conversation.Valid() == wrong || s.proven() == wrong {
		t.Errorf("%q %q plus %v, wrong %v: %v, accepted %v, proven %v", user, password, plus, wrong, err, conversation.Valid(), s.proven())
	}
}

// What a server must not say, at its first turn and at its last.
func TestSCRAMRefuses(t *testing.T) {
	t.Parallel()
	const salt = ",s=c2FsdA==,i=4096"
	for name, first := range map[string]string{
		"nothing":              "",
		"another nonce":        "r=theirs" + salt,
		"our nonce alone":      "r=ours" + salt,
		"an extension":         "m=x,r=ours+more" + salt,
		"no salt":              "r=ours+more,i=4096",
		"a salt not in base64": "r=ours+more,s=!,i=4096",
		"no iterations":        "r=ours+more,s=c2FsdA==",
		"iterations in words":  "r=ours+more,s=c2FsdA==,i=many",
		"too few iterations":   "r=ours+more,s=c2FsdA==,i=4095",
		"fewer than none":      "r=ours+more,s=c2FsdA==,i=-1",
		"too many iterations":  "r=ours+more,s=c2FsdA==,i=1000001",
	} {
		s := &scramClient{hash: sha256.New, username: "u", password: "p", header: "n,,", nonce: "ours"}
		s.Start()
		if answer, err := s.Next([]byte(first)); err == nil {
			t.Errorf("%s: answered by %q", name, answer)
		}
	}
	for name, last := range map[string]string{
		"nothing": "", "no proof": "v=", "a wrong proof": "v=c2FsdA==", "no base64": "v=!", "our own proof": "p=c2FsdA==", "an error": "e=invalid-proof",
	} {
		s := &scramClient{hash: sha256.New, username: "u", password: "p", header: "n,,", nonce: "ours"}
		s.Start()
		if _, err := s.Next([]byte("r=ours+more" + salt)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next([]byte(last)); (err == nil) != (name == "an error") || s.proven() {
			t.Errorf("%s: %v, proven %v", name, err, s.proven())
		}
	}
}

// Every character, alone and among letters, comes out as the library has it. Only
// those that Unicode got after version 3.2, and mixtures of directions, are allowed
// here and not there.
func TestSASLprepCharacters(t *testing.T) {
	t.Parallel()
	check := func(s string) {
		want, refused := stringprep.SASLprep.Prepare(s)
		got, err := saslprep(s)
		if strings.ContainsRune(s, 0x1806) { // RFC 3454 B.1 has it, the library has not
			want = strings.ReplaceAll(want, "\u1806", "")
		}
		younger := strings.ContainsFunc(norm.NFKC.String(strings.Map(prepared, s)), stringprep.TableA1.Contains)
		mixed := refused != nil && strings.Contains(refused.Error(), "BiDi")
		switch {
		case younger || mixed:
		case (err != nil) != (refused != nil):
			t.Errorf("%+q: %v, the library says %v", s, err, refused)
		case err == nil && got != want:
			t.Errorf("%+q becomes %+q, by the library %+q", s, got, want)
		}
	}
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		check(string(r))
		if r < 0x3000 {
			check("a" + string(r) + "b")
			check("\u0627" + string(r) + "\u0628")
		}
	}
	for _, s := range []string{"", "\xff", "a\xc3", "\u06271", "1\u0627", "\u0627a\u0628", "I\u00adX", "\u2168", "\u00aa", "user\t"} {
		check(s)
	}
	if got, err := saslprep("p\U0001f600"); err != nil || got != "p\U0001f600" {
		t.Errorf("%q %v", got, err)
	}
}
