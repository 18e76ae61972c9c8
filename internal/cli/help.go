package cli

import (
	"fmt"
	"slices"
	"strings"
)

// section is a group of options in --help.
type section struct {
	title string
	flags []flag
}

// sections are the options that do something.
func sections() []section {
	return []section{
		{"Message and envelope", slices.Concat(messageFlags(), envelopeFlags())},
		{"Delivery", deliveryFlags()},
		{"Logs and other text", textFlags()},
		{"Set-up and trouble", checkFlags()},
		{"Queue (mailq takes these too)", queueFlags()},
		{"Other", otherFlags()},
	}
}

// helpText is --help.
func helpText(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s [options] [address ...] < message\n\nReads a message and relays it to the smarthost of smarthost.toml.\n", name)
	for _, s := range sections() {
		fmt.Fprintf(&b, "\n%s:\n", s.title)
		for _, f := range s.flags {
			fmt.Fprintf(&b, "  %-19s %s\n", f.usage(), strings.ReplaceAll(f.help, "\n", "\n"+strings.Repeat(" ", 22)))
		}
	}
	b.WriteString("\nOther options of Sendmail and Postfix are accepted and do nothing.\nsendmail(8), smarthost.toml(5)\n")
	return b.String()
}

// usage is the option with its value, as it is written.
func (f flag) usage() string {
	dashes := "-"
	if len(f.name) > 1 {
		dashes = "--"
	}
	if f.value == mayAttach {
		return dashes + f.name + f.arg
	}
	return strings.TrimSpace(dashes + f.name + " " + f.arg)
}
