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

// helpText is --help, of the command that has the name.
func helpText(name string) string {
	var b strings.Builder
	switch name {
	case "mailq":
		b.WriteString("usage: mailq [options]\n\nLists the messages that wait to be sent.\n")
		listing := slices.DeleteFunc(queueFlags(), func(f flag) bool { return f.name == "q" || f.name == "due" })
		section{"Options", listing}.write(&b)
		b.WriteString("\nmailq(1), sendmail(8), smarthost.toml(5)\n")
	case "newaliases":
		b.WriteString("usage: newaliases\n\nSays what is wrong with the alias file that smarthost.toml names.\n" +
			"\nnewaliases(1), sendmail(8), smarthost.toml(5)\n")
	default:
		fmt.Fprintf(&b, "usage: %s [options] [address ...] < message\n\nReads a message and relays it to the smarthost of smarthost.toml.\n", name)
		for _, s := range sections() {
			s.write(&b)
		}
		b.WriteString("\nOther options of Sendmail and Postfix are accepted and do nothing.\nsendmail(8), smarthost.toml(5)\n")
	}
	return b.String()
}

func (s section) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s:\n", s.title)
	for _, f := range s.flags {
		fmt.Fprintf(b, "  %-19s %s\n", f.usage(), strings.ReplaceAll(f.help, "\n", "\n"+strings.Repeat(" ", 22)))
	}
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
