package cli

import (
	"regexp"
	"strconv"
	"strings"

	"postern/internal/digest"
)

// textFlags are for input that is a log and not a message.
func textFlags() []flag {
	return []flag{
		{"text", noValue, "", "all of the input is text, there is no header in it", func(o *options, _ string) error { o.text = true; return nil }},
		{"subject", needsValue, "TEMPLATE", "subject of --text (implied) or --digest; names: {host} {lines} {first} ...", setSubject},
		{"digest", needsValue, "TIME", "mail a stream without end, what came within TIME as one message", setDigest},
		{"digest-size", needsValue, "SIZE", "octets of text in such a message, 1M by default", setDigestSize},
		{"match", needsValue, "REGEXP", "only lines that match, with three lines around each", setMatch},
		{"tee", noValue, "", "with --digest: pass the stream through to standard output", func(o *options, _ string) error { o.tee = true; return nil }},
	}
}

func setSubject(o *options, v string) error {
	s := digest.Subject(v)
	if err := s.Check(); err != nil {
		return usagef("--subject: %v", err)
	}
	o.subject, o.text = &s, true
	return nil
}

// setDigest wants a unit: a bare number would be minutes for Sendmail and
// seconds for most people.
func setDigest(o *options, v string) error {
	d, ok := parseInterval(v)
	if !ok || strings.Trim(v, "0123456789") == "" {
		return usagef("--digest=%s: write a time with its unit, such as 15m, 1h30m or 30s", v)
	}
	if d < digest.MinEvery || d > digest.MaxEvery {
		return usagef("--digest=%s: not between 1s and 7d", v)
	}
	o.mode, o.every = modeDigest, d
	return nil
}

func setDigestSize(o *options, v string) error {
	digits := strings.TrimRight(v, "kKmMiIbB")
	n, err := strconv.ParseInt(digits, 10, 32)
	switch strings.ToLower(v[len(digits):]) {
	case "":
	case "k", "kb", "kib":
		n <<= 10
	case "m", "mb", "mib":
		n <<= 20
	default:
		n = 0
	}
	if err != nil || n < digest.MinSize || n > digest.MaxSize {
		return usagef("--digest-size=%s: write a size between 16K and 16M", v)
	}
	o.digestSize = int(n)
	return nil
}

func setMatch(o *options, v string) error {
	var err error
	if o.match, err = regexp.Compile(v); err != nil {
		return usagef("--match: %v", err)
	}
	return nil
}

// checkText refuses options that mean nothing together: whoever gives them
// believes them to be in force.
func (o *options) checkText() error {
	endless := o.mode == modeDigest
	switch {
	case !endless && (o.tee || o.match != nil || o.digestSize != 0):
		return usagef("--tee, --match and --digest-size go with --digest=TIME")
	case o.text && !endless && o.mode != modeSubmit:
		return usagef("--text and --subject are for sending a message")
	case o.fromHeader && (o.text || endless):
		return usagef("-t takes recipients from a header, but with --text, --subject and --digest all of the input is text; name them as arguments")
	case endless && (o.dryRun || o.report != ""):
		return usagef("--dry-run and --report do not go with --digest")
	case endless && len(o.args) == 0:
		return usagef("no recipients: give addresses as arguments")
	}
	return nil
}
