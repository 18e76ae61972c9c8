package config

import (
	"strings"
	"testing"
)

// at puts a line below [smarthost].
func at(line string) string { return where + line + "\n" }

func TestBadValues(t *testing.T) {
	runMistakes(t, []mistake{
		{"tls", at(`tls = "startls"`), `FILE:3: smarthost.tls: bad value "startls"; did you mean "starttls"?`, "a typo"},
		{"tlsTrue", at(`tls = true`), `FILE:3: smarthost.tls: must be text, not true or false; put it in double quotes`, "the type"},
		{"tlsEmpty", at(`tls = ""`), `FILE:3: smarthost.tls: bad value ""; write "auto", "starttls", "implicit" or "none"`,
			"nothing is no TLS mode"},
		{"lookup", at(`lookup = "dns"`), `FILE:3: smarthost.lookup: bad value "dns"; write "address", "mx" or "srv"`, "the choices"},
		{"verify", at(`verify = "false"`), `FILE:3: smarthost.verify: must be true or false, not text; write false without quotes`,
			"text would be true in other programs"},
		{"verifyNumber", at(`verify = 0`), `FILE:3: smarthost.verify: must be true or false, not a number`, "the type"},
		{"portBig", at(`port = 65536`), `FILE:3: smarthost.port: 65536 is not between 1 and 65535`, "the range"},
		{"portFraction", at(`port = 25.5`), `FILE:3: smarthost.port: must be a number, not a number with a fraction`, "the type"},
		{"timeNumber", at(`connect_timeout = 30`), `FILE:3: smarthost.connect_timeout: must be a time such as "30s", not a number; write "30s" for seconds`,
			"30 of what?"},
		{"timeBad", at(`command_timeout = "30"`), `FILE:3: smarthost.command_timeout: bad time "30"; write "30s", "5m", "4h" or "5d"`, "30 of what?"},
		{"timeZero", at(`command_timeout = "0s"`), `FILE:3: smarthost.command_timeout: must be more than 0`, "nothing would ever be in time"},
		{"timeNegative", at(`command_timeout = "-1m"`), `FILE:3: smarthost.command_timeout: must be more than 0`, "the same"},
		{"timeDays", at(`command_timeout = "1d-1h"`), `FILE:3: smarthost.command_timeout: bad time "1d-1h"; write "30s", "5m", "4h" or "5d"`, "no signs inside"},
		{"timeHuge", at(`command_timeout = "65536d"`), `FILE:3: smarthost.command_timeout: bad time "65536d"; write "30s", "5m", "4h" or "5d"`, "it would overflow"},
		{"fingerprintShort", at(`fingerprint = "ab:cd"`), `FILE:3: smarthost.fingerprint: is not a SHA-256 fingerprint: it must have 64 hexadecimal digits; see: openssl x509 -noout -fingerprint -sha256`, "the length"},
		{"fingerprintSHA1", at(`fingerprint = ["` + strings.Repeat("AB:", 19) + `AB"]`), `FILE:3: smarthost.fingerprint: item 1 is a SHA-1 fingerprint, 40 digits; SHA-256 has 64; see: openssl x509 -noout -fingerprint -sha256`, "the usual mistake"},
		{"fingerprintWord", at(`fingerprint = "SHA256=xy"`), `FILE:3: smarthost.fingerprint: is not a fingerprint in hexadecimal digits: "SHA256=xy"; see: openssl x509 -noout -fingerprint -sha256`, "the digits"},
		{"auth", at(`auth = ["PLAINN"]`), `FILE:3: smarthost.auth: item 1 is no known mechanism: "PLAINN"; did you mean "PLAIN"?`, "a typo"},
		{"authText", at(`auth = "PLAIN"`), `FILE:3: smarthost.auth: must be a list, not text; write ["…", "…"], one word each`, "the type"},
		{"command", at(`connect_command = "ssh relay"`), `FILE:3: smarthost.connect_command: must be a list, not text; write ["…", "…"], one word each`, "no shell splits it"},
		{"commandEmpty", at(`connect_command = ["", "x"]`), `FILE:3: smarthost.connect_command: item 1 is empty`, "no program has no name"},
	})
}

func TestBadNames(t *testing.T) {
	runMistakes(t, []mistake{
		{"proxyScheme", at(`proxy = "http://p:1"`), `FILE:3: smarthost.proxy: is not a SOCKS5 proxy; write socks5://host:port or socks5://user:password@host:port`, "only SOCKS5 is spoken"},
		{"proxyPort", at(`proxy = "socks5://u:pw@p"`), `FILE:3: smarthost.proxy: lacks a host and a port; write socks5://host:port or socks5://user:password@host:port`, "and the password is not shown"},
		{"proxyPath", at(`proxy = "socks5://p:1/x"`), `FILE:3: smarthost.proxy: has more than a host and a port; write socks5://host:port or socks5://user:password@host:port`, "it would be ignored"},
		{"proxyURL", at(`proxy = "socks5://u:p%w@p:1"`), `FILE:3: smarthost.proxy: is not a URL; write socks5://host:port or socks5://user:password@host:port`, "and the password is not shown"},
		{"source", at(`source_address = "eth0"`), `FILE:3: smarthost.source_address: is not an address: "eth0"; write "192.0.2.1", "192.0.2.1:port", "2001:db8::1" or "[2001:db8::1]:port"`, "no interfaces"},
		{"ehlo", at(`ehlo = "a b"`), `FILE:3: smarthost.ehlo: must be one word in ASCII`, "it is one word of a command"},
		{"option", at(`mail_options = ["RET=HDRS", "ENVID="]`), `FILE:3: smarthost.mail_options: item 2 is not an ESMTP parameter: "ENVID="; write "KEYWORD" or "KEYWORD=value"`, "RFC 5321 4.1.2"},
		{"optionBlank", at(`rcpt_options = ["A B"]`), `FILE:3: smarthost.rcpt_options: item 1 is not an ESMTP parameter: "A B"; write "KEYWORD" or "KEYWORD=value"`, "a blank would begin another"},
		{"optionCRLF", at(`rcpt_options = ["A\r\nDATA"]`), `FILE:3: smarthost.rcpt_options: item 1 holds a control character`, "it would be another command"},
		{"env", at("username = \"u\"\npassword_env = \"$PW\""), `FILE:4: smarthost.password_env: is not the name of an environment variable`, "the name, without $; it may be the password and is not shown"},
		{"tilde", at(`ca_file = "~/ca.pem"`), `FILE:3: smarthost.ca_file: begins with "~", which only a shell replaces; write the full path`, "there would be a directory ~"},
		{"passwordNumber", at("username = \"u\"\npassword = 12345"), `FILE:4: smarthost.password: must be text, not a number; put it in double quotes`, "the value is not shown"},
		{"passwordControl", at("username = \"u\"\npassword = \"a\\u0000b\""), `FILE:4: smarthost.password: holds a control character`, "NUL ends a password of PLAIN"},
		{"hostPort", "[smarthost]\nhost = \"h:587\"\n", `FILE:2: smarthost.host: is a host with a port: "h:587"; write "h" and port = 587`, "the usual mistake"},
		{"hostURL", "[smarthost]\nhost = \"smtp://u:pw@h\"\n", `FILE:2: smarthost.host: is a URL, not a host; write the host alone, and set port and tls`, "and a password in it is not shown"},
		{"hostBlank", "[smarthost]\nhost = [\"a\", \"b c\"]\n", `FILE:2: smarthost.host: item 2 is not a host name: "b c"`, "no blanks"},
		{"hostIDN", "[smarthost]\nhost = \"größe.example\"\n", `FILE:2: smarthost.host: is not in ASCII: "größe.example"; write the form that begins with xn--`, "DNS has ASCII"},
		{"domain", "domain = \"a..b\"\n" + where, `FILE:1: domain: is not a host name: "a..b"`, "an empty label"},
		{"from", "from = \"a b@c\"\n" + where, `FILE:1: from: is not an address: "a b@c"; write "user@example.com"`, "no blanks"},
		{"fromBrackets", "from = \"<a@b>\"\n" + where, `FILE:1: from: is not a plain address: "<a@b>"; write it without the angle brackets`, "the usual mistake"},
		{"fromNoUser", "from = \"@b\"\n" + where, `FILE:1: from: is not an address: "@b"; write "user@example.com"`, "no user"},
		{"logTo", where + "[log]\nto = \"sislog\"\n", `FILE:4: log.to: bad value "sislog"; did you mean "syslog"?`, "a typo"},
		{"logRelative", where + "[log]\nto = \"mail.log\"\n", `FILE:4: log.to: bad value "mail.log"; write "syslog", "journal", "stderr" or "none", or a file's full path`, "relative to what?"},
	})
}

const goodFile = `domain = "web.example."
from = "<>"
timeout = "1d12h"
[smarthost]
host = ["h.example", "[2001:db8::1]", "192.0.2.1"]
port = 587
lookup = "SRV"
tls = "STARTTLS"
fingerprint = "ABABABABABABABAB:abababababababab:ABABABABABABABAB:abababababababab"
ca_file = ""
auth = ["plain", "scram-sha-256"]
username = "u"
password = "p ä"
source_address = "[2001:db8::2]:0"
proxy = "socks5://u:p@[::1]:1080"
mail_options = ["RET=HDRS", "X-Y"]
client_cert = "tls/c.pem"
client_key = "/k.pem"
connect_timeout = "90s"
require_tls = true
[log]
to = "/var/log/../log/p"
format = "JSON"
`

func TestGoodValues(t *testing.T) {
	c, err := Source{}.parse("/d/smarthost.toml", goodFile, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	h := c.Smarthosts[0]
	for name, pair := range map[string][2]string{
		"domain":  {c.Domain, "web.example"},
		"from":    {c.From, ""},
		"timeout": {c.Timeout.String(), "36h0m0s"},
		"hosts":   {strings.Join(h.Hosts, " "), "h.example 2001:db8::1 192.0.2.1"},
		"lookup":  {h.Lookup, "srv"},
		"tls":     {h.TLS, "starttls"},
		"pin":     {strings.Join(h.Fingerprints, " "), strings.Repeat("ab", 32)},
		"auth":    {strings.Join(h.Auth, " "), "PLAIN SCRAM-SHA-256"},
		"source":  {h.SourceAddress, "[2001:db8::2]:0"},
		"cert":    {h.ClientCert, "/d/tls/c.pem"},
		"key":     {h.ClientKey, "/k.pem"},
		"connect": {h.ConnectTimeout.String(), "1m30s"},
		"command": {h.CommandTimeout.String(), "1m0s"},
		"log":     {c.Log.To + " " + c.Log.Format, "/var/log/p json"},
		"path":    {c.Path, "/d/smarthost.toml"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", name, pair[0], pair[1])
		}
	}
	if h.Port != 587 || !h.Verify || !h.RequireTLS || len(c.Warnings) != 0 {
		t.Errorf("port %d, verify %v, require_tls %v, warnings %q", h.Port, h.Verify, h.RequireTLS, c.Warnings)
	}
}

// What looks like a contradiction and is none.
func TestAllowed(t *testing.T) {
	for name, text := range map[string]string{
		"loopback in clear":        "[smarthost]\nhost = [\"localhost\", \"127.0.0.2\", \"::1\"]\ntls = \"none\"\nusername = \"u\"\npassword = \"p\"\n",
		"socket in clear":          "[smarthost]\nsocket = \"/s\"\ntls = \"none\"\nusername = \"u\"\npassword = \"p\"\n",
		"in clear on demand":       where + "tls = \"none\"\nusername = \"u\"\npassword = \"p\"\nallow_plaintext_auth = true\n",
		"user with a certificate":  where + "username = \"u\"\nclient_cert = \"c\"\nauth = [\"EXTERNAL\"]\n",
		"host names the command":   where + "connect_command = [\"ssh\", \"-W\", \"h:25\", \"gate\", \"\"]\ntls = \"starttls\"\n",
		"empty is unset":           where + "socket = \"\"\npassword = \"\"\npassword_command = []\nproxy = \"\"\nauth = []\nehlo = \"\"\n",
		"defaults with the socket": "[smarthost]\nsocket = \"s\"\nhost = \"\"\nlookup = \"address\"\n",
	} {
		if _, err := (Source{}).parse("/d/f", text, 0o600); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
