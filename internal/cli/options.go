package cli

import (
	"regexp"
	"strings"
	"time"

	"postern/internal/digest"
)

// mode is what a run is for.
type mode int

const (
	modeSubmit     mode = iota // -bm: read a message and send it
	modeSMTP                   // -bs
	modeQueueList              // -bp, mailq
	modeQueueCount             // -bP
	modeAliases                // -bi, newaliases
	modeVerify                 // -bv
	modeHostStat               // -bh, -bH, hoststat, purgestat
	modeQueueRun               // -q
	modeQueueAct               // mailq --show, --retry, --hold, --release, --delete
	modeHelp
	modeVersion
	modeService // -bd, -bD
	modeCheck
	modeServerInfo
	modeImport
	modeHealth
	modeDigest // --digest
)

// options is a parsed command line.
type options struct {
	name string // of the command
	mode mode

	fromHeader bool
	ignoreDots bool
	verbose    bool
	dryRun     bool
	jsonList   bool
	sender     *string // -f; nil if not given
	fullName   string
	config     string
	trace      string // file of -X
	logTag     string
	report     string
	notify     string // NEVER, or of SUCCESS,FAILURE,DELAY
	ret        string // FULL or HDRS
	envid      string
	delivery   byte   // i, b, q, d, or 0
	errors     byte   // error mode: m, e, p, q, w, or 0
	deadLetter string // where to append what could be neither sent nor kept

	text       bool            // all of the input is text, there is no header in it
	subject    *digest.Subject // nil if not given
	every      time.Duration   // of --digest
	digestSize int
	match      *regexp.Regexp
	tee        bool

	detach   bool          // -bd
	interval time.Duration // of -q15m; 0: once
	filters  []filter
	dueOnly  bool   // only messages whose time has come
	act      string // show, retry, hold, release, delete
	actOn    string // an id, or "all"

	args []string // addresses
}

// setName takes the mode from the name we are called by.
func (o *options) setName() error {
	switch o.name {
	case "mailq":
		o.mode = modeQueueList
	case "newaliases":
		o.mode = modeAliases
	case "hoststat", "purgestat":
		o.mode = modeHostStat
	case "smtpd":
		return usagef("smtpd: this is not a daemon")
	}
	return nil
}

// finish takes the addresses. An option among them would be one that the caller
// believes to be in force, so it is an error.
func (o *options) finish(args []string, dashes bool) error {
	for i, arg := range args {
		if i > 0 && !dashes && len(arg) > 1 && arg[0] == '-' && !strings.Contains(arg, "@") {
			return usagef("option %s after an address; put options first", arg)
		}
		if strings.TrimSpace(arg) != "" {
			o.args = append(o.args, arg)
		}
	}
	return nil
}
