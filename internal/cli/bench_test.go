package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// spoolOnly makes a configuration with a spool and a smarthost that is not there.
func spoolOnly(b *testing.B) (configuration string) {
	b.Helper()
	dir := b.TempDir()
	name := filepath.Join(dir, "c.toml")
	text := fmt.Sprintf("domain = \"bench.example\"\n[smarthost]\nhost = \"127.0.0.1\"\nport = 9\n[spool]\ndir = %q\n[log]\nto = \"none\"\n",
		filepath.Join(dir, "spool"))
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return name
}

// once runs a command in this process.
func once(b *testing.B, in *os.File, argv ...string) {
	b.Helper()
	a := &app{name: argv[0], argv: argv, in: in, out: io.Discard, err: os.Stderr, now: time.Now,
		getenv: func(string) string { return "" }, host: func() string { return "host.example" }}
	if status := a.run(context.Background()); status != exOK {
		b.Fatalf("%q: status %d", argv, status)
	}
	a.flushFigures()
}

// queued puts messages into the spool.
func queued(b *testing.B, configuration string) {
	b.Helper()
	in, err := os.Open(configuration) // as good a text as any
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	once(b, in, "sendmail", "--config", configuration, "-odq", "-i", "-f", "app@bench.example", "ops@bench.example")
}

// BenchmarkQueue is what sendmail -odq does, without the start of the process.
func BenchmarkQueue(b *testing.B) {
	configuration := spoolOnly(b)
	b.ReportAllocs()
	for b.Loop() {
		queued(b, configuration)
	}
}

// BenchmarkMailq lists a thousand messages in each form.
func BenchmarkMailq(b *testing.B) {
	configuration := spoolOnly(b)
	for range 1000 {
		queued(b, configuration)
	}
	for name, argv := range map[string][]string{
		"table": {"mailq", "--config", configuration},
		"json":  {"mailq", "--config", configuration, "--json"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				once(b, nil, argv...)
			}
		})
	}
}
