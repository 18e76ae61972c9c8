package config

import (
	"errors"
	"strings"
	"testing"
)

const where = "[smarthost]\nhost = \"h.example\"\n"

type mistake struct {
	name, text string
	want       string // "FILE" stands for the path
	why        string
}

func runMistakes(t *testing.T, rows []mistake) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := Source{}.parse("/d/smarthost.toml", row.text, 0o600)
			if err == nil {
				t.Fatalf("accepted; it must not be: %s\n%s", row.why, row.text)
			}
			if want := strings.ReplaceAll(row.want, "FILE", "/d/smarthost.toml"); err.Error() != want {
				t.Errorf("%s\n got %s\nwant %s", row.why, err, want)
			}
			var e *Error
			if !errors.As(err, &e) || e.File != "/d/smarthost.toml" {
				t.Errorf("no *Error with the file inside: %#v", err)
			}
		})
	}
}

func TestUnknownKeys(t *testing.T) {
	runMistakes(t, []mistake{
		{"transposed", where + "prot = 25\n", `FILE:3: smarthost.prot: unknown key; did you mean "port"?`,
			"a typo must not be read as a default"},
		{"plural", "[smarthost]\nhosts = \"h\"\n", `FILE:2: smarthost.hosts: unknown key; did you mean "host"?`,
			"the missing host is the same mistake and not told twice"},
		{"underscore", where + "cafile = \"x\"\n", `FILE:3: smarthost.cafile: unknown key; did you mean "ca_file"?`,
			"other programs spell it so"},
		{"capital", where + "TLS = \"none\"\n", `FILE:3: smarthost.TLS: unknown key; did you mean "tls"?`,
			"keys of TOML have a case"},
		{"far", where + "frobnicate = 1\n", `FILE:3: smarthost.frobnicate: unknown key`,
			"no guess is better than a wild one"},
		{"table", "[smarthst]\nhost = \"h\"\n", `FILE:1: smarthst: unknown key; did you mean "smarthost"?`, "the missing [smarthost] is the same mistake"},
		{"belowTable", where + "domain = \"d.example\"\n",
			`FILE:3: smarthost.domain: unknown key; it belongs above the first [table]`,
			"a key below [smarthost] is in it, which many do not expect"},
		{"aboveTable", "username = \"u\"\n" + where, `FILE:1: username: unknown key; it belongs below [smarthost]`,
			"the reverse"},
		{"nested", where + "[smarthost.host2]\nx = 1\n",
			`FILE:3: smarthost.host2: unknown key; did you mean "host"?`, "tables in tables are keys"},
		{"control", where + "\"a\\u001b[2J\" = 1\n", `FILE:3: smarthost."a\x1b[2J": unknown key`,
			"a key must not steer the terminal"},
	})
}

func TestOtherVersions(t *testing.T) {
	runMistakes(t, []mistake{
		{"aliasesHome", "aliases = \"~/aliases\"\n" + where,
			`FILE:1: aliases: begins with "~", which only a shell replaces; write the full path`, "it would be a file in a directory named ~"},
		{"spoolWithoutDir", where + "[spool]\nexpire = \"2d\"\n", `FILE: spool.dir: is missing; add dir = "/var/spool/postern" below [spool]`,
			"the times would mean nothing"},
		{"spoolElsewhere", where + "[spool]\ndir = \"ftp://u@h/x\"\n",
			`FILE:4: spool.dir: a spool by "ftp" is not supported; write the full path of a directory, or "sftp://user@host/path"`, "mail would be lost in a local directory of that name"},
		{"spoolRelative", where + "[spool]\ndir = \"queue\"\n", `FILE:4: spool.dir: is not the full path of a directory: "queue"`,
			"each caller has another working directory"},
		{"spoolRetry", where + "[spool]\ndir = \"/x\"\nretry_min = \"2h\"\n", "FILE:5: spool.retry_min: is longer than retry_max",
			"the back-off could not grow"},
		{"spoolExpire", where + "[spool]\ndir = \"/x\"\nexpire = \"10m\"\n", "FILE:5: spool.expire: is shorter than retry_max",
			"a message might expire before it is tried again"},
		{"rate", where + "rate = \"fast\"\n", `FILE:3: smarthost.rate: bad rate "fast"; write "30/min", with s, min, h or d`, "no number"},
		{"window", where + "window = 0\n", "FILE:3: smarthost.window: 0 is not between 1 and 100", "nothing could be sent"},
		{"several", where + "[[log]]\n", "FILE:3: log: several [[log]] are not supported by this version; write one [log]",
			"only one is used"},
		{"order", "[smarthost]\nzzz = 1\nport = 0\nhost = 1\n\n[log]\nformat = \"xml\"\n",
			"FILE:2: smarthost.zzz: unknown key\n" +
				"FILE:3: smarthost.port: 0 is not between 1 and 65535\n" +
				"FILE:4: smarthost.host: must be text or a list of texts, not a number; put it in double quotes\n" +
				`FILE:7: log.format: bad value "xml"; write "text" or "json"`,
			"all faults at once, in the order of the file"},
	})
}

func TestSyntaxMistakes(t *testing.T) {
	const newline = "not TOML: expected a top-level item to end with a newline, comment, or EOF; put text in double quotes"
	runMistakes(t, []mistake{
		{"noQuotes", where + "password = hunter2\n", "FILE:3: not TOML: expected value; put text in double quotes",
			"the value may be a password and is not shown"},
		{"number", where + "password = 1234_\n", "FILE:3: not TOML: bad number; put text in double quotes", "the same"},
		{"bigNumber", where + "password = 123456789012345678901234567890\n",
			"FILE:3: not TOML: bad number; put text in double quotes", "the same"},
		{"date", where + "password = 2026-99-99\n", "FILE:3: not TOML: invalid datetime; put text in double quotes", "the same"},
		{"mixed", where + "password = 12ab\n", "FILE:3: " + newline, "the same"},
		{"escape", where + "password = \"a\\q\"\n", "FILE:3: not TOML: invalid escape in string", "the same"},
		{"open", where + "password = \"abc\nport = 25\n", "FILE:3: not TOML: strings cannot contain newlines",
			"the line where the string begins"},
		{"twice", where + "port = 25\nport = 26\n", "FILE:4: smarthost.port: is set twice", "which would count?"},
		{"tableTwice", where + "[smarthost]\n", "FILE:3: smarthost: is set twice", "which would count?"},
		{"bracket", "[smarthost\nhost = \"h\"\n", "FILE:2: not TOML: expected '.' or ']' to end table name",
			"the place is where the parser noticed"},
		{"nul", "domain\x00 = 1\n", "FILE:1: not TOML: TOML files cannot contain control characters",
			"an editor of another system"},
		{"empty", "", "FILE: smarthost: nothing says where the server is; add host = \"smtp.example.com\" below [smarthost]",
			"an empty file says nothing"},
		{"bom", "\ufeffdomain = 1\n" + where, "FILE:1: domain: must be text, not a number; put it in double quotes",
			"a byte order mark does not move the lines"},
		{"multiline", where + "ca_file = \"\"\"\na\nb\"\"\"\n", "FILE:3: smarthost.ca_file: holds a control character",
			"a newline is one; the line is where the value begins"},
		{"array", where + "auth = [\n  \"PLAIN\",\n  1,\n]\n", "FILE:3: smarthost.auth: item 2 must be text, not a number",
			"the same for a list"},
		{"dotted", "smarthost.host = \"h\"\nsmarthost.port = \"25\"\n",
			"FILE:2: smarthost.port: must be a number, not text; write 25 without quotes", "dotted keys have lines"},
		{"inline", "\nsmarthost = { host = \"h\", port = 0 }\n", "FILE:2: smarthost.port: 0 is not between 1 and 65535",
			"inline tables have lines"},
		{"notTable", "smarthost = \"h\"\n", "FILE:1: smarthost: must be a table, not text; write [smarthost] on a line of its own",
			"it cannot hold keys"},
	})
}

func TestContradictions(t *testing.T) {
	const user = where + "username = \"u\"\n"
	runMistakes(t, []mistake{
		{"twoPasswords", user + "password = \"p\"\npassword_file = \"f\"\n",
			"FILE:5: smarthost.password_file: contradicts password; keep one of them", "which would count?"},
		{"threePasswords", user + "password_env = \"E\"\npassword_command = [\"c\"]\npassword_file = \"f\"\n",
			"FILE:5: smarthost.password_command: contradicts password_env; keep one of them\n" +
				"FILE:6: smarthost.password_file: contradicts password_env; keep one of them", "all but the first"},
		{"passwordAndToken", user + "token_file = \"t\"\npassword = \"p\"\n",
			"FILE:5: smarthost.password: contradicts token_file; keep one of them", "a login uses one"},
		{"twoTokens", user + "token_file = \"t\"\ntoken_command = [\"c\"]\n",
			"FILE:5: smarthost.token_command: contradicts token_file; keep one of them", "which would count?"},
		{"noUser", where + "password = \"p\"\n", "FILE:3: smarthost.password: stands without username",
			"every mechanism that sends a password needs a user"},
		{"noSecret", user, "FILE:3: smarthost.username: stands without a password; " +
			"add password, password_file, password_command or password_env, or token_file or token_command",
			"the mail would go out without a login and be refused"},
		{"key", where + "client_key = \"k\"\n", "FILE:3: smarthost.client_key: stands without client_cert", "a key alone proves nothing"},
	})
}

func TestContradictoryPlaces(t *testing.T) {
	runMistakes(t, []mistake{
		{"socketHost", where + "socket = \"/s\"\n", "FILE:2: smarthost.host: contradicts socket; keep one of them", "two places"},
		{"socketAll", "[smarthost]\nsocket = \"/s\"\nlookup = \"mx\"\nport = 25\nproxy = \"socks5://p:1\"\nconnect_command = [\"c\"]\n",
			"FILE:3: smarthost.lookup: contradicts socket; keep one of them\n" +
				"FILE:4: smarthost.port: contradicts socket; keep one of them\n" +
				"FILE:5: smarthost.proxy: contradicts socket; keep one of them\n" +
				"FILE:6: smarthost.connect_command: contradicts socket; keep one of them", "two places"},
		{"commandProxy", where + "connect_command = [\"c\"]\nproxy = \"socks5://p:1\"\n",
			"FILE:4: smarthost.proxy: contradicts connect_command; keep one of them", "the command makes the connection"},
		{"commandLookup", where + "connect_command = [\"c\"]\nlookup = \"srv\"\n",
			"FILE:4: smarthost.lookup: contradicts connect_command; keep one of them", "nothing is looked up"},
		{"socketSource", "[smarthost]\nsocket = \"/s\"\nsource_address = \"192.0.2.1\"\n",
			"FILE:3: smarthost.source_address: contradicts socket; keep one of them", "a socket has no address"},
		{"commandSource", where + "connect_command = [\"x\"]\nsource_address = \"192.0.2.1\"\n",
			"FILE:4: smarthost.source_address: contradicts connect_command; keep one of them", "the command makes the connection"},
		{"nowhere", "[smarthost]\nport = 25\n",
			"FILE:1: smarthost: nothing says where the server is; add host = \"smtp.example.com\" below [smarthost]", "no default is safe"},
	})
}

func TestContradictoryTLS(t *testing.T) {
	const user = where + "username = \"u\"\n"
	runMistakes(t, []mistake{
		{"requireTLS", where + "tls = \"none\"\nrequire_tls = true\n",
			"FILE:4: smarthost.require_tls: contradicts tls = \"none\"", "REQUIRETLS is only for secured connections"},
		{"requireTLSUnverified", where + "verify = false\nrequire_tls = true\n",
			"FILE:4: smarthost.require_tls: contradicts verify = false", "RFC 8689 wants the server verified"},
		{"noneCert", where + "tls = \"none\"\nclient_cert = \"c\"\n",
			"FILE:3: smarthost.tls: \"none\" contradicts client_cert and fingerprint", "a certificate needs TLS"},
		{"noneFingerprint", where + "tls = \"none\"\nfingerprint = \"" + strings.Repeat("ab", 32) + "\"\n",
			"FILE:3: smarthost.tls: \"none\" contradicts client_cert and fingerprint", "a pin needs TLS"},
		{"clear", user + "tls = \"none\"\npassword = \"p\"\n",
			"FILE:4: smarthost.tls: \"none\" would send the password in clear; " +
				`write tls = "starttls", or allow_plaintext_auth = true if you must`, "anyone on the way could read it"},
		{"clearOneRemote", "[smarthost]\nhost = [\"localhost\", \"h\"]\nusername = \"u\"\ntls = \"none\"\ntoken_file = \"t\"\n",
			"FILE:4: smarthost.tls: \"none\" would send the password in clear; " +
				`write tls = "starttls", or allow_plaintext_auth = true if you must`, "one remote host is enough"},
		{"noName", "[smarthost]\nsocket = \"/s\"\ntls = \"implicit\"\n",
			"FILE:3: smarthost.tls: there is no name to verify the certificate against; add server_name or fingerprint",
			"every certificate would be refused"},
	})
}
