package cli

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/smtptest"
)

// lockedBuffer is standard error of a service.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// station is a service with a smarthost behind it.
type station struct {
	t      *testing.T
	dir    string
	sink   *smtptest.Sink
	notify *net.UnixConn
	stderr *lockedBuffer
	stop   func() int
}

func (st *station) path(name string) string { return filepath.Join(st.dir, name) }

func (st *station) configure(smarthost, more string) {
	st.t.Helper()
	text := fmt.Sprintf("domain = \"service.example\"\n%s\n[spool]\ndir = %q\n[service]\nsocket = %q\n%s\n[log]\nto = %q\n",
		smarthost, st.path("spool"), st.path("s"), more, st.path("log"))
	if err := os.WriteFile(st.path("c.toml"), []byte(text), 0o600); err != nil {
		st.t.Fatal(err)
	}
}

func at(port int) string {
	return fmt.Sprintf("[smarthost]\nhost = \"127.0.0.1\"\nport = %d", port)
}

func newStation(t *testing.T, more string) *station {
	t.Helper()
	st := &station{t: t, dir: t.TempDir(), sink: smtptest.NewSink(t, smtptest.SinkOptions{})}
	var err error
	if st.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: st.path("n"), Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.notify.Close() })
	st.configure(at(st.sink.Port()), more)
	st.start(nil)
	return st
}

// start runs the service until stop, which gives its status.
func (st *station) start(env map[string]string) {
	st.t.Helper()
	st.stderr = &lockedBuffer{}
	a := st.app(nil, "-bD")
	a.err = st.stderr
	a.getenv = func(name string) string {
		if name == "NOTIFY_SOCKET" {
			return st.path("n")
		}
		return env[name]
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() { ended <- a.run(ctx) }()
	st.stop = sync.OnceValue(func() int {
		cancel()
		return <-ended
	})
	st.t.Cleanup(func() { st.stop() })
	st.told("READY=1")
}

// told waits until the service manager has heard of a state.
func (st *station) told(state string) {
	st.t.Helper()
	buf := make([]byte, 4096)
	for {
		if err := st.notify.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			st.t.Fatal(err)
		}
		n, err := st.notify.Read(buf)
		if err != nil {
			st.t.Fatalf("%v instead of %s\n%s", err, state, st.stderr)
		}
		if strings.Contains(string(buf[:n]), state) {
			return
		}
	}
}

// app is a command; in is its standard input.
func (st *station) app(in *os.File, args ...string) *app {
	argv := append([]string{"sendmail", "--config", st.path("c.toml")}, args...)
	return &app{name: "sendmail", argv: argv, in: in, out: &lockedBuffer{}, err: &lockedBuffer{}, now: time.Now,
		getenv: func(string) string { return "" }, host: func() string { return "host.example" }}
}

// user runs sendmail as somebody without a configuration.
func (st *station) user(text string, args ...string) (status int, out, stderr string) {
	st.t.Helper()
	return st.userWithin(context.Background(), text, args...)
}

func (st *station) userWithin(ctx context.Context, text string, args ...string) (status int, out, stderr string) {
	st.t.Helper()
	in, err := os.CreateTemp(st.dir, "in")
	if err != nil {
		st.t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.WriteString(text); err != nil {
		st.t.Fatal(err)
	}
	if _, err := in.Seek(0, 0); err != nil {
		st.t.Fatal(err)
	}
	a := st.app(in)
	a.argv = append([]string{"sendmail"}, args...)
	if args[0] == "mailq" {
		a.argv = args
	}
	a.getenv = func(name string) string {
		return map[string]string{"POSTERN_SOCKET": st.path("s"), "HOME": st.dir}[name]
	}
	status = a.run(ctx)
	return status, a.out.(*lockedBuffer).String(), a.err.(*lockedBuffer).String()
}

// taken waits until the smarthost has n messages.
func (st *station) taken(n int) []smtptest.Delivery {
	st.t.Helper()
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		if got := st.sink.Deliveries(); len(got) >= n {
			return got
		}
	}
	st.t.Fatalf("%d of %d messages arrived\n%s", len(st.sink.Deliveries()), n, st.stderr)
	return nil
}

func (st *station) queued() (list []string) {
	st.t.Helper()
	for _, place := range []string{"queue", "active"} {
		entries, err := os.ReadDir(st.path("spool/" + place))
		if err != nil {
			st.t.Fatal(err)
		}
		for _, e := range entries {
			list = append(list, e.Name())
		}
	}
	return list
}
