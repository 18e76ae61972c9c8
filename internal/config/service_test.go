package config

import (
	"strings"
	"testing"
	"time"
)

func TestService(t *testing.T) {
	const spool = "[spool]\ndir = \"/s\"\n"
	c, err := Source{}.parse("/d/smarthost.toml", where+spool+"[service]\nsocket = \"/run/x/../s\"\nlisten = \"[::1]:25\"\n"+
		"max_connections = 5\nuser_connections = 6\nuser_rate = \"7/h\"\nmax_size = \"2M\"\n", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	want := Service{Socket: "/run/s", Listen: "[::1]:25", MaxConnections: 5, UserConnections: 6, UserRate: Rate{7, time.Hour}, MaxSize: 2 << 20}
	if c.Service != want {
		t.Errorf("%+v", c.Service)
	}
	c, err = Source{}.parse("/d/smarthost.toml", where, 0o600)
	if err != nil || c.Service != defaultService() || c.Service.Socket != SystemSocket {
		t.Errorf("%+v %v", c, err)
	}
	runMistakes(t, []mistake{
		{"no spool", where + "[service]\nmax_size = 1\n",
			`FILE:3: service: needs a spool: what it takes is kept first; add [spool] with dir = "/var/spool/postern"`, "250 means that it is kept"},
		{"all addresses", where + spool + "[service]\nlisten = \"0.0.0.0:25\"\n",
			`FILE:6: service.listen: may only be a loopback address, as there is no TLS and no login: "0.0.0.0:25"; write "127.0.0.1:25"`, "an open relay"},
		{"any address", where + spool + "[service]\nlisten = \":25\"\n",
			`FILE:6: service.listen: is not an address and a port: ":25"; write "127.0.0.1:25"`, "an open relay"},
		{"a name", where + spool + "[service]\nlisten = \"localhost:25\"\n",
			`FILE:6: service.listen: is not an address and a port: "localhost:25"; write "127.0.0.1:25"`, "a name may be anybody's"},
		{"relative", where + spool + "[service]\nsocket = \"s\"\n", `FILE:6: service.socket: is not a full path: "s"`, "sendmail runs anywhere"},
		{"long", where + spool + "[service]\nsocket = \"/" + strings.Repeat("s", 107) + "\"\n",
			`FILE:6: service.socket: is longer than 107 octets, which no socket may be`, "unix(7)"},
		{"size", where + spool + "[service]\nmax_size = \"10MB\"\n", `FILE:6: service.max_size: bad size "10MB"; write "100M", with k, M or G`, ""},
		{"no size", where + spool + "[service]\nmax_size = 0\n", `FILE:6: service.max_size: bad size "0"; write "100M", with k, M or G`, "0 is no limit elsewhere"},
		{"typo", where + spool + "[service]\nuser_rat = \"1/s\"\n", `FILE:6: service.user_rat: unknown key; did you mean "user_rate"?`, ""},
	})
}

func TestHandOverIsAConnection(t *testing.T) {
	c := HandOver("/run/s")
	if h := c.Smarthosts[0]; len(c.Smarthosts) != 1 || h.Socket != "/run/s" || h.TLS != "none" || !c.HandOver || c.Spool.Dir != "" || c.Log.To != "none" {
		t.Errorf("%+v %+v", c, h)
	}
}
