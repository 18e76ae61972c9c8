// Package config reads smarthost.toml, or the POSTERN_ variables that stand in
// for it, and checks it strictly: what is not understood is an error.
//
// Nothing here talks to a server and no secret is read before [Secret.Read].
package config

import (
	"errors"
	"time"
)

// SystemPath is the file that applies to every user of the host.
const SystemPath = "/etc/postern/smarthost.toml"

const (
	defaultTimeout        = 5 * time.Minute
	defaultConnectTimeout = 30 * time.Second
	defaultCommandTimeout = time.Minute
)

// Config is a whole, checked configuration with the defaults filled in.
type Config struct {
	Path    string        // of the file; "" when from the environment
	Domain  string        // for names without one; "" when not given
	Aliases string        // the alias file, a full path; "" for none
	From    string        // envelope sender when the caller gives none; "" when not given
	Timeout time.Duration // upper limit of one delivery
	// Postmaster gets what cannot go back to its sender; "" for nobody.
	Postmaster string
	Smarthosts []*Smarthost // at least one, in the order of the file
	Headers    Headers
	Spool      Spool
	Service    Service
	Log        Log
	// HandOver is set where the submission service does the work; see [HandOver].
	HandOver bool
	Warnings []string // for the user to see; none stops a delivery
}

// Smarthost says how to reach the server and what to tell it. Exactly one of
// Hosts, Socket and ConnectCommand says where it is; Hosts may come with
// ConnectCommand as the name to verify.
type Smarthost struct {
	Name       string    // for messages; "" when not given
	Senders    []Pattern // envelope senders that go here; empty: all
	Recipients []Pattern // recipients that go here; empty: all

	Hosts        []string // names or addresses, without brackets or port
	Port         int      // 0: by TLS mode
	Lookup       string   // address, mx or srv
	TLS          string   // auto, starttls, implicit or none
	Verify       bool
	CAFile       string
	ServerName   string
	Fingerprints []string // SHA-256, 64 lower-case hexadecimal digits
	ClientCert   string
	ClientKey    string // "": in the file of ClientCert

	Username           string
	Secret             Secret   // the password
	Token              Secret   // for XOAUTH2 and OAUTHBEARER
	Auth               []string // upper case; empty: any
	AllowPlaintextAuth bool

	EHLO           string
	SourceAddress  string // "ip" or "ip:port"
	Socket         string // path of a unix socket
	Proxy          string // socks5://[user:password@]host:port
	ConnectCommand []string
	ConnectTimeout time.Duration
	CommandTimeout time.Duration

	RequireTLS  bool
	MailOptions []string // esmtp-params
	RcptOptions []string

	Rewriting

	// In a run of the queue:
	MaxConnections int
	Window         int // messages in flight on a connection
	Rate           Rate
}

// Log says where the log goes.
type Log struct {
	To     string // syslog, journal, stderr, none or an absolute path
	Format string // text or json
	// Metrics is a file that gets figures for Prometheus; "" for none.
	Metrics string
}

// ErrNoConfig says that there is neither a file nor POSTERN_SMARTHOST.
var ErrNoConfig = errors.New("no smarthost.toml and no POSTERN_SMARTHOST")

// Hint says in three lines how to write the smallest file.
func Hint() string {
	return "write " + SystemPath + ", or ~/.config/postern/smarthost.toml, with at least:\n" +
		"    [smarthost]\n" +
		"    host = \"smtp.example.com\"\n"
}

// Keys names every key that smarthost.toml may hold, in the order of the
// manual page: "domain", "smarthost.host", "log.to" and so on.
func Keys() []string {
	var names []string
	for _, t := range tables(new(Config), new(hostSettings)) {
		for _, f := range t.fields {
			names = append(names, join(t.name, f.name))
		}
	}
	return names
}

func defaults() Config {
	return Config{Timeout: defaultTimeout, Spool: defaultSpool(),
		Service: defaultService(), Log: Log{To: "syslog", Format: "text"}}
}

func defaultSmarthost() *Smarthost {
	return &Smarthost{
		Lookup:         "address",
		TLS:            "auto",
		Verify:         true,
		ConnectTimeout: defaultConnectTimeout,
		CommandTimeout: defaultCommandTimeout,
		MaxConnections: 4,
		Window:         1,
	}
}
