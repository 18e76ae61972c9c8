package headers

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func block(t *testing.T, in string) *Block {
	t.Helper()
	b, _, err := Read(strings.NewReader(in), DefaultLimit)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestField(t *testing.T) {
	f := block(t, "SuBject :  a\n\tb \n \n").Fields()[0]
	if f.Name() != "SuBject" || f.Value() != "  a\r\n\tb \r\n " || f.Unfolded() != "a\tb" {
		t.Errorf("%q %q %q", f.Name(), f.Value(), f.Unfolded())
	}
	if string(f.Raw()) != "SuBject:  a\r\n\tb \r\n \r\n" {
		t.Errorf("%q", f.Raw())
	}
	for name, want := range map[string]bool{"subject": true, "SUBJECT": true, "Subjec": false, "Subject:": false, "": false, "ſubject": false} {
		if f.Is(name) != want {
			t.Errorf("Is(%q) is %v", name, !want)
		}
	}
}

func TestBlock(t *testing.T) {
	b := block(t, "A: 1\nB: 2\na:\n 3\nC:\nBcc: x\nBCC : y\n")
	if v, ok := b.Get("a"); v != "1" || !ok {
		t.Errorf("%q %v", v, ok)
	}
	if v, ok := b.Get("C"); v != "" || !ok || !b.Has("c") {
		t.Errorf("%q %v", v, ok)
	}
	if _, ok := b.Get("D"); ok || b.Has("D") || b.Count("D") != 0 || b.All("D") != nil {
		t.Error("there is no D")
	}
	if got := b.All("A"); !slices.Equal(got, []string{"1", "3"}) || b.Count("A") != 2 {
		t.Errorf("%q", got)
	}
	if n := b.Remove("bcc", "B", "D"); n != 3 {
		t.Errorf("%d removed", n)
	}
	if got := string(b.Bytes()); got != "A: 1\r\na:\r\n 3\r\nC:\r\n\r\n" || b.Size() != len(got) {
		t.Errorf("%q, %d", got, b.Size())
	}
}

func TestPrepend(t *testing.T) {
	const trace = "Received: a\nRETURN-PATH: b\nDelivered-To: c\nX-Original-To: d\nDKIM-Signature: e\n" +
		"Authentication-Results: f\nARC-Seal: g\nARC-Message-Signature: h\nARC-Authentication-Results: i\n"
	for _, rest := range []string{"", "Subject: x\n", "Subject: x\nReceived: late\n"} {
		b := block(t, trace+rest)
		if err := b.Prepend("N", "v"); err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(trace+"N: v\n"+rest+"\n", "\n", "\r\n")
		if got := string(b.Bytes()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	long := strings.Repeat("n", maxName+1)
	for _, bad := range [][2]string{{"A", "x\r\nBcc: y"}, {"A", "x\n y"}, {"A", "x\r"}, {"A\r\n", "x"}, {"A B", "x"}, {"A ", "x"},
		{"", "x"}, {"A", "a\x00"}, {"A:", "x"}, {"Ä", "x"}, {long, "x"}} {
		b := &Block{}
		if err := b.Prepend(bad[0], bad[1]); !errors.Is(err, ErrBadField) || len(b.Fields()) != 0 {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestReceivedCount(t *testing.T) {
	if n := block(t, "Received: a\nX: b\nreceived : c\nX-Received: d\n").ReceivedCount(); n != 2 {
		t.Error(n)
	}
}
