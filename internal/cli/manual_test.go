package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/internal/config"
)

func manual(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "man", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every option is in sendmail(8), and nothing else is.
func TestManualHasOptions(t *testing.T) {
	var inManual []string
	for _, m := range regexp.MustCompile(`(?m)^\.It Fl (-?[\w-]+)`).FindAllStringSubmatch(manual(t, "sendmail.8"), -1) {
		inManual = append(inManual, strings.TrimPrefix(m[1], "-"))
	}
	known := flagNames()
	for _, name := range known {
		if !slices.Contains(inManual, name) {
			t.Errorf("option %s is not in sendmail.8", name)
		}
	}
	for _, name := range inManual {
		if !slices.Contains(known, name) {
			t.Errorf("sendmail.8 has an option %s that is not known", name)
		}
	}
}

// Every key is in smarthost.toml(5), and nothing else is.
func TestManualHasKeys(t *testing.T) {
	table := ""
	var inManual []string
	item := regexp.MustCompile(`^\.It Va (\w+)`)
	for line := range strings.Lines(manual(t, "smarthost.toml.5")) {
		if strings.HasPrefix(line, ".Ss ") || strings.HasPrefix(line, ".Sh ") {
			table = ""
			for _, name := range []string{"smarthost", "headers", "spool", "service", "log"} {
				if strings.Contains(line, "["+name+"]") || strings.Contains(line, "Bq "+name) {
					table = name + "."
				}
			}
		}
		if m := item.FindStringSubmatch(line); m != nil {
			inManual = append(inManual, table+m[1])
		}
	}
	for _, key := range config.Keys() {
		if !slices.Contains(inManual, key) {
			t.Errorf("key %s is not in smarthost.toml.5", key)
		}
	}
	for _, key := range inManual {
		if !slices.Contains(config.Keys(), key) {
			t.Errorf("smarthost.toml.5 has a key %s that is not known", key)
		}
	}
}

// Every exit status is in sendmail(8).
func TestManualHasStatuses(t *testing.T) {
	text := manual(t, "sendmail.8")
	for _, status := range []string{"64", "65", "66", "67", "68", "69", "70", "74", "75", "76", "77", "78"} {
		if !strings.Contains(text, "\n.It "+status+"\n") {
			t.Errorf("status %s is not in sendmail.8", status)
		}
	}
}
