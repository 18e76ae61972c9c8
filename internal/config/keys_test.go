package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	want := strings.Fields(`domain aliases from postmaster timeout
		smarthost.name smarthost.profile smarthost.senders smarthost.recipients
		smarthost.host smarthost.port smarthost.lookup smarthost.tls smarthost.verify smarthost.ca_file
		smarthost.server_name smarthost.fingerprint smarthost.client_cert smarthost.client_key smarthost.username
		smarthost.password smarthost.password_file smarthost.password_command smarthost.password_env
		smarthost.token_file smarthost.token_command smarthost.auth smarthost.allow_plaintext_auth smarthost.ehlo
		smarthost.source_address smarthost.socket smarthost.proxy smarthost.connect_command
		smarthost.connect_timeout smarthost.command_timeout smarthost.require_tls smarthost.mail_options
		smarthost.rcpt_options smarthost.own smarthost.rewrite smarthost.rewrite_to smarthost.envelope_from smarthost.header_from
		smarthost.reply_to smarthost.add_to smarthost.fix_message_id smarthost.redirect_to smarthost.capture smarthost.max_connections smarthost.window smarthost.rate
		headers.received headers.from_name headers.add
		spool.dir spool.deliver spool.patience spool.retry_min spool.retry_max spool.expire spool.warn
		spool.fallback_dir spool.known_hosts spool.identity_file spool.passphrase_file spool.certificate_file
		spool.password_file spool.connect_timeout spool.command_timeout
		service.socket service.listen service.max_connections service.user_connections service.user_rate service.max_size
		log.to log.format log.metrics`)
	if got := Keys(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A key of Keys is known to the decoder, and no key is known besides.
func TestKeysAreWhatIsAccepted(t *testing.T) {
	problem := func(key string) string {
		_, err := Source{}.parse("/f", key+" = 1979-05-27\n", 0o600) // no key takes a date
		if err == nil {
			t.Fatalf("%s takes a date", key)
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if rest, ok := strings.CutPrefix(line, "/f:1: "+key+": "); ok {
				return rest
			}
		}
		t.Fatalf("%s is not in the error: %v", key, err)
		return ""
	}
	for _, key := range Keys() {
		if got := problem(key); !strings.HasPrefix(got, "must be ") {
			t.Errorf("%s: %s", key, got)
		}
	}
}

// The manual page has an entry for every key below the heading of its table,
// in the same order, and for no other.
func TestManualPage(t *testing.T) {
	page, err := os.ReadFile("../../man/smarthost.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	table := ""
	for line := range strings.SplitSeq(string(page), "\n") {
		if name, ok := strings.CutPrefix(line, ".Ss "); ok {
			table = ""
			if open := strings.IndexByte(name, '['); open >= 0 {
				table = strings.Trim(name[open:], "[]")
			}
		}
		if key, ok := strings.CutPrefix(line, ".It Va "); ok {
			key, _, _ = strings.Cut(key, " ")
			documented = append(documented, join(table, key))
		}
	}
	if keys := Keys(); !slices.Equal(documented, keys) {
		t.Errorf("the manual page has\n%q\nand the program takes\n%q", documented, keys)
	}
}

func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../packaging/examples/*.toml")
	if err != nil || len(files) < 9 {
		t.Fatalf("found %d examples, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n > 15 {
			t.Errorf("%s has %d lines, more than 15", file, n)
		}
		c, err := Source{}.parse("/etc/postern/smarthost.toml", string(text), 0o640)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if len(c.Warnings) > 0 {
			t.Errorf("%s: %q", file, c.Warnings)
		}
	}
}
