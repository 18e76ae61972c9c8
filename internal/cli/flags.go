package cli

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// valueKind says whether an option takes a value.
type valueKind int

const (
	noValue    valueKind = iota
	needsValue           // attached or the next argument
	mayAttach            // attached only
)

// flag is an option: one letter, or a word for two dashes.
type flag struct {
	name  string
	value valueKind
	arg   string // name of the value, for people
	help  string // "" for options that are only accepted
	apply func(o *options, value string) error
}

// flags are all options that are known. What Sendmail, Postfix or Exim know and
// we have no use for is accepted and does nothing.
func flags() []flag {
	list := ignoredFlags()
	for _, s := range sections() {
		list = append(list, s.flags...)
	}
	return list
}

func inMode(m mode) func(*options, string) error {
	return func(o *options, _ string) error { o.mode = m; return nil }
}

func checkFlags() []flag {
	return []flag{
		{"check", noValue, "", "does this set-up work? goes through all of it, sends nothing", inMode(modeCheck)},
		{"server-info", noValue, "", "what the smarthost is and offers", inMode(modeServerInfo)},
		{"health", noValue, "", "does mail leave this machine? status 0 or 75", inMode(modeHealth)},
		{"dry-run", noValue, "", "print envelope and header, send nothing", func(o *options, _ string) error { o.dryRun = true; return nil }},
		{"report", needsValue, "json", "what became of each recipient, on standard output;\nalso with --server-info and --health", setReport},
		{"v", noValue, "", "show the dialogue with the smarthost", func(o *options, _ string) error { o.verbose = true; return nil }},
		{"X", needsValue, "file", "append the dialogue to file", func(o *options, v string) error { o.trace = v; return nil }},
	}
}

func setReport(o *options, v string) error {
	if v != "json" {
		return usagef("--report=%s: only json is known", v)
	}
	o.report = v
	return nil
}

func queueFlags() []flag {
	return []flag{
		{"q", mayAttach, "[time]", "run the queue once, or with a time (-q15m) for ever; -qIx, -qRx, -qSx:\nwhat has x in the id, a recipient, the sender", setQueueRun},
		{"due", noValue, "", "with -q: only messages whose time has come", func(o *options, _ string) error { o.dueOnly = true; return nil }},
		{"json", noValue, "", "list the queue, one object a message", func(o *options, _ string) error { o.jsonList = true; return nil }},
		{"show", needsValue, "ID", "print a queued message", act("show")},
		{"retry", needsValue, "ID|all", "try it now", act("retry")},
		{"hold", needsValue, "ID|all", "do not try it until it is released", act("hold")},
		{"release", needsValue, "ID|all", "undo --hold, or queue a failed message again", act("release")},
		{"delete", needsValue, "ID|all", "remove it", act("delete")},
	}
}

func otherFlags() []flag {
	return []flag{
		{"b", needsValue, "mode", "m send (default), s SMTP on standard input, p list the queue, v verify\naddresses, i check aliases, D submission service (d: detached)", setMode},
		{"I", noValue, "", "as -bi", inMode(modeAliases)},
		{"config", needsValue, "FILE", "read FILE instead of smarthost.toml", setConfig},
		{"C", needsValue, "file", "as --config", setConfig},
		{"import", noValue, "FILE...", "print the smarthost.toml that does what another mailer's files do", inMode(modeImport)},
		{"L", needsValue, "tag", "name in the log", func(o *options, v string) error { o.logTag = v; return nil }},
		{"help", noValue, "", "this text", inMode(modeHelp)},
		{"version", noValue, "", "version, commit, Go", inMode(modeVersion)},
	}
}

// act is an option of mailq that does something with a message.
func act(what string) func(*options, string) error {
	return func(o *options, v string) error {
		if o.act != "" {
			return usagef("--%s and --%s do not go together", o.act, what)
		}
		o.mode, o.act, o.actOn = modeQueueAct, what, v
		return nil
	}
}

func messageFlags() []flag {
	return []flag{
		{"t", noValue, "", "take recipients from To, Cc, Bcc", func(o *options, _ string) error { o.fromHeader = true; return nil }},
		{"i", noValue, "", "a line with a lone dot does not end the message", func(o *options, _ string) error { o.ignoreDots = true; return nil }},
		{"F", needsValue, "name", "full name for a From field that is missing", func(o *options, v string) error { o.fullName = v; return nil }},
		{"B", needsValue, "type", "7BIT or 8BITMIME", func(o *options, v string) error {
			if !slices.Contains([]string{"7BIT", "8BITMIME"}, strings.ToUpper(v)) {
				return usagef("-B %s: neither 7BIT nor 8BITMIME", v)
			}
			return nil // what the body needs is measured
		}},
	}
}

func deliveryFlags() []flag {
	return []flag{
		{"o", needsValue, "x[value]", "i as -i; di try now, db in the background, dq or dd queue only; e as -e", setOld},
		{"O", needsValue, "name=value", "IgnoreDots, DeliveryMode, ErrorMode, DeadLetterDrop", setNamed},
		{"e", needsValue, "mode", "refusals: p on standard error (default), m by mail too, q by status only", setErrors},
	}
}

func setConfig(o *options, v string) error {
	o.config = v
	return nil
}

// setOld is -o: a letter and its value, which may look like other options.
func setOld(o *options, v string) error {
	switch {
	case v == "i":
		o.ignoreDots = true
	case strings.HasPrefix(v, "d"):
		return o.setDelivery(v[1:])
	case strings.HasPrefix(v, "e"):
		return setErrors(o, v[1:])
	}
	return nil
}

// setNamed is -O; names do not depend on case.
func setNamed(o *options, v string) error {
	name, value, _ := strings.Cut(v, "=")
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "ignoredots":
		o.ignoreDots = value == "" || strings.HasPrefix(strings.ToLower(value), "t") || value == "1" || strings.EqualFold(value, "yes")
	case "deliverymode":
		return o.setDelivery(strings.ToLower(value))
	case "errormode":
		return setErrors(o, strings.ToLower(value))
	case "deadletterdrop":
		return o.setDeadLetter(value)
	}
	return nil
}

// setErrors is the error mode. A mode that nobody knows is like none.
func setErrors(o *options, v string) error {
	if v != "" && strings.Contains("mepqw", v[:1]) {
		o.errors = v[0]
	}
	return nil
}

// setDeadLetter takes the file for what could be neither sent nor kept.
func (o *options) setDeadLetter(v string) error {
	if !filepath.IsAbs(v) {
		return usagef("DeadLetterDrop=%s: not the full path of a file", v)
	}
	o.deadLetter = v
	return nil
}

// setDelivery is the delivery mode. Names in full are Sendmail's.
func (o *options) setDelivery(v string) error {
	if v == "" || !strings.Contains("ibqd", v[:1]) {
		return usagef("delivery mode %q is none of i, b, q, d", v)
	}
	o.delivery = v[0]
	return nil
}

func envelopeFlags() []flag {
	sender := func(o *options, v string) error { o.sender = &v; return nil }
	return []flag{
		{"f", needsValue, "address", "envelope sender; \"\" or \"<>\" for none", sender},
		{"r", needsValue, "address", "as -f", sender},
		{"N", needsValue, "list", "delivery reports: never, or of success,failure,delay", func(o *options, v string) error {
			o.notify = strings.ToUpper(v)
			for word := range strings.SplitSeq(o.notify, ",") {
				if o.notify != "NEVER" && word != "SUCCESS" && word != "FAILURE" && word != "DELAY" {
					return usagef("-N %s: neither never nor a list of success, failure, delay", v)
				}
			}
			return nil
		}},
		{"R", needsValue, "full|hdrs", "what a delivery report returns", func(o *options, v string) error {
			o.ret = strings.ToUpper(v)
			if o.ret != "FULL" && o.ret != "HDRS" {
				return usagef("-R %s: neither full nor hdrs", v)
			}
			return nil
		}},
		{"V", needsValue, "id", "envelope id for delivery reports", func(o *options, v string) error {
			if v == "" || len(v) > 100 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
				return usagef("-V %q: not 1 to 100 printable ASCII characters", v)
			}
			o.envid = v
			return nil
		}},
	}
}

// setMode is -b.
func setMode(o *options, v string) error {
	switch v {
	case "m":
		o.mode = modeSubmit
	case "s":
		o.mode = modeSMTP
	case "p":
		o.mode = modeQueueList
	case "P":
		o.mode = modeQueueCount
	case "i":
		o.mode = modeAliases
	case "v":
		o.mode = modeVerify
	case "h", "H":
		o.mode = modeHostStat
	case "d", "D":
		o.mode, o.detach = modeService, v == "d"
	case "l":
		return usagef("-b%s: this is not a daemon", v)
	case "t", "a":
		return usagef("-b%s is not supported", v)
	default:
		return usagef("-b%s is no mode", v)
	}
	return nil
}

// setQueueRun is -q with a time, a filter, or nothing.
func setQueueRun(o *options, v string) error {
	if o.mode != modeService { // which runs the queue as well
		o.mode = modeQueueRun
	}
	if v == "" || v == "f" || v == "p" {
		return nil
	}
	if v[0] == 'G' || v[0] == 'Q' {
		return usagef("-q%s: there are no queue groups and no quarantine", v)
	}
	if v[0] == 'p' || v[0] >= '0' && v[0] <= '9' {
		var ok bool
		if o.interval, ok = parseInterval(strings.TrimPrefix(v, "p")); !ok {
			return usagef("-q%s: not a time such as 15m or 1h30m", v)
		}
		return nil
	}
	text, not := strings.CutPrefix(v, "!")
	if len(text) < 2 || !strings.Contains("IRS", text[:1]) {
		return usagef("-q%s is not known", v)
	}
	o.filters = append(o.filters, filter{not: not, kind: text[0], text: text[1:]})
	return nil
}

// parseInterval reads a time as Sendmail writes it: numbers with s, m, h, d, w; a
// number alone is minutes.
func parseInterval(s string) (total time.Duration, ok bool) {
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.ParseUint(s[:digits], 10, 20)
		if err != nil {
			return 0, false
		}
		unit := time.Minute
		if s = s[digits:]; s != "" {
			switch s[0] {
			case 's':
				unit = time.Second
			case 'm':
			case 'h':
				unit = time.Hour
			case 'd':
				unit = 24 * time.Hour
			case 'w':
				unit = 7 * 24 * time.Hour
			default:
				return 0, false
			}
			s = s[1:]
		}
		total += time.Duration(n) * unit
	}
	return total, total > 0
}

// ignoredFlags have no meaning here, but callers pass them.
func ignoredFlags() []flag {
	nothing := func(*options, string) error { return nil }
	var list []flag
	for _, name := range []string{"m", "n", "G", "U", "x", "s", "c"} {
		list = append(list, flag{name: name, apply: nothing})
	}
	for _, name := range []string{"A", "D", "M", "p"} {
		list = append(list, flag{name: name, value: needsValue, apply: nothing})
	}
	return append(list,
		flag{name: "d", value: mayAttach, apply: nothing},
		flag{name: "h", value: needsValue, apply: func(_ *options, v string) error {
			if _, err := strconv.Atoi(v); err != nil {
				return usagef("-h %s: not a number", v)
			}
			return nil
		}})
}

// flagNames are all options as the man page has them.
func flagNames() []string {
	var names []string
	for _, f := range flags() {
		names = append(names, f.name)
	}
	return names
}
