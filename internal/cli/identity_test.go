package cli

import (
	"os"
	"testing"
)

// A line of passwd(5) and who it is; what is none is nobody.
func TestAccountIn(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/bash\n#gone:x:5:5::/:\n+nis:x:6:6::/:\n-nis:x:7:7::/:\n:x:8:8::/:\nshort:x:9:9\n" +
		"joe:x:1000:1000:Joe & Co,,,:/home/joe:/bin/sh\ntwin:x:1000:1000::/:\nlast:x:10:10:no line end:/:"
	for uid, want := range map[int][2]string{
		0: {"root", "root"}, 1000: {"joe", "Joe & Co,,,"}, 10: {"last", "no line end"},
		1: {}, 5: {}, 6: {}, 7: {}, 8: {}, 9: {}, -1: {}, 100: {},
	} {
		if login, gecos := accountIn([]byte(passwd), uid); login != want[0] || gecos != want[1] {
			t.Errorf("%d: %q %q, want %q", uid, login, gecos, want)
		}
	}
	if login, gecos := accountIn(nil, 0); login+gecos != "" {
		t.Error(login, gecos)
	}
}

// An account is looked up without the environment, which all threads share.
func TestAccountLeavesEnvironment(t *testing.T) {
	t.Setenv("USER", "forged")
	done := make(chan bool)
	go func() {
		defer close(done)
		for range 300 {
			if who, _ := personOf(os.Getuid()); who.login == "forged" {
				t.Error("$USER was believed")
			}
		}
	}()
	for {
		if os.Getenv("USER") != "forged" {
			t.Error("$USER is gone meanwhile")
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
