package headers

import (
	"testing"
)

func TestPrepend(t *testing.T) {
	for _, bad := range [][2]string{{"A", "x\r\nBcc: y"}, {"A\r\n", "x"}, {"A B", "x"}, {"", "x"}, {"A", "a\x00"}, {"A:", "x"}} {
		b := &Block{}
		if err := b.Prepend(bad[0], bad[1]); err != ErrBadField {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}
