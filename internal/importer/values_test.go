package importer

import "testing"

// Values as the programs themselves were seen to read them.
func TestEsmtpValue(t *testing.T) {
	for in, want := range map[string]struct {
		value string
		odd   bool
	}{
		`plain`: {"plain", false}, `plain # comment`: {"plain", false}, `"with # in it" # comment`: {"with # in it", false},
		`"a\\b"`: {`a\b`, false}, `"tab\tx"`: {"tab\tx", false}, `'a\b'`: {"a\b", false}, `"dollar\$x"`: {"dollar$x", false},
		`"q\"x"`: {`q"x`, true}, `'q\'x'`: {"q'x", true}, `'q\"x'`: {`q"x`, false}, `"x\101"`: {"x101", true},
		`"no end`: {`"no end`, false}, `"no end\`: {`"no end\`, false}, ``: {"", false}, `""`: {"", false},
	} {
		if value, odd := esmtpValue(in); value != want.value || odd != want.odd {
			t.Errorf("%s: %q %v, want %q %v", in, value, odd, want.value, want.odd)
		}
	}
}

func TestSsmtpPair(t *testing.T) {
	for in, want := range map[string]struct {
		name, value string
		cut         bool
	}{
		"mailhub=h:25": {"mailhub", "h:25", false}, "mailhub = h": {"mailhub", "h", false}, "AuthPass=pass=word": {"AuthPass", "pass", true},
		"AuthPass=pass#1": {"AuthPass", "pass", true}, "AuthPass=two words": {"AuthPass", "two", true}, `AuthPass="q"`: {"AuthPass", `"q"`, false},
		"AuthPass=": {"AuthPass", "", false}, "AuthPass=#": {"AuthPass", "", true}, "UseTLS=YES ": {"UseTLS", "YES", false},
	} {
		if name, value, cut := ssmtpPair(in); name != want.name || value != want.value || cut != want.cut {
			t.Errorf("%s: %q %q %v, want %+v", in, name, value, cut, want)
		}
	}
}
