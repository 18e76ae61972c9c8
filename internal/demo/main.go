// Demo shows the main job on loopback: it builds sendmail, starts a throw-away
// smarthost, pipes a message through "sendmail -t -i", and prints what the
// smarthost got. Run it with "go run ./internal/demo" at the top of the module.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"postern/internal/smtptest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "postern-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sink, err := smtptest.StartSink(smtptest.SinkOptions{})
	if err != nil {
		return err
	}
	defer sink.Close()
	sendmail := filepath.Join(dir, "sendmail")
	fmt.Println("$ go build -o sendmail ./cmd/sendmail")
	build := exec.Command("go", "build", "-o", sendmail, "./cmd/sendmail")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	config := filepath.Join(dir, "smarthost.toml")
	text := fmt.Sprintf("domain = \"web1.example.com\"\n\n[smarthost]\nhost = \"127.0.0.1\"\nport = %d\n\n[log]\nto = \"stderr\"\n", sink.Port())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	fmt.Printf("\n$ cat smarthost.toml\n%s", text)
	message := filepath.Join("testdata", "messages", "report.eml")
	in, err := os.Open(message)
	if err != nil {
		return err
	}
	defer in.Close()
	fmt.Printf("\n$ sendmail -t -i -f backup@web1.example.com < %s\n", message)
	send := exec.Command(sendmail, "--config", config, "-t", "-i", "-f", "backup@web1.example.com")
	send.Stdin, send.Stdout, send.Stderr = in, os.Stdout, os.Stdout
	if err := send.Run(); err != nil {
		return fmt.Errorf("sendmail: %w", err)
	}
	fmt.Println("(exit status 0: every recipient was accepted)")
	return show(sink.Deliveries())
}

// show prints what arrived and holds it against what was promised.
func show(all []smtptest.Delivery) error {
	if len(all) != 1 {
		return fmt.Errorf("the smarthost got %d messages, not 1", len(all))
	}
	d := all[0]
	fmt.Printf("\nThe smarthost got\n  MAIL FROM:<%s>\n", d.From)
	for _, to := range d.To {
		fmt.Printf("  RCPT TO:<%s>\n", to)
	}
	fmt.Println()
	for line := range strings.Lines(string(d.Data)) {
		fmt.Print("  | ", strings.TrimRight(line, "\r\n"), "\n")
	}
	header, _, _ := bytes.Cut(d.Data, []byte("\r\n\r\n"))
	if bytes.Contains(bytes.ToLower(header), []byte("bcc")) || bytes.Contains(header, []byte("auditor")) {
		return errors.New("the Bcc field is in the message")
	}
	if want := 6; len(d.To) != want {
		return fmt.Errorf("%d recipients, not %d", len(d.To), want)
	}
	fmt.Println("\nAll 6 recipients are there, the Bcc field is not.")
	return nil
}
