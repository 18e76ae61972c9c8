package headers

import (
	"slices"
	"testing"
)

func TestMerge(t *testing.T) {
	a, _ := ParseList(`a@X.example, "a"@x.example, A@x.example, b@münchen.example, b@xn--mnchen-3ya.example`, "")
	var got []string
	for _, one := range Merge(a) {
		got = append(got, one.String())
	}
	want := []string{"a@X.example", "A@x.example", "b@münchen.example"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseSender(t *testing.T) {
	tests := []struct {
		why, in, want string
		null, bad     bool
	}{
		{"plain", "a@b", "a@b", false, false},
		{"brackets", "<a@b>", "a@b", false, false},
		{"name", "N <a@b>", "a@b", false, false},
		{"bare", "joe", "joe@client.example", false, false},
		{"null", "<>", "", true, false},
		{"empty", "", "", true, false},
		{"two", "a@b, c@d", "", false, true},
		{"a line end would be a command", "a@b\r\nRCPT TO:<c@d>", "", false, true},
		{"none", "a@", "", false, true},
		{"an empty list", ",", "", false, true},
	}
	for _, test := range tests {
		a, null, err := ParseSender(test.in, "client.example")
		if (err != nil) != test.bad || null != test.null || err == nil && !null && a.String() != test.want {
			t.Errorf("%s: %q: got %v %v %v", test.why, test.in, a, null, err)
		}
	}
}
