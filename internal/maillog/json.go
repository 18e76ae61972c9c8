package maillog

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// json is the event as one object that goes through whole: where lines are cut,
// the longest values are shortened until it fits.
func (l *Logger) json(severity level, event string, attrs []slog.Attr) string {
	attrs = append([]slog.Attr{slog.String("tag", l.o.Tag), slog.Int("pid", l.o.PID)}, attrs...)
	for {
		text := escaped(l.object(severity, event, attrs))
		over := len(text) - maxLine
		if !l.o.cuts() || over <= 0 || !shorten(attrs, over) {
			return text
		}
	}
}

// shorten takes what is too much from the longest value, but not more than half
// of it. It is false when there is nothing to take from.
func shorten(attrs []slog.Attr, over int) bool {
	longest, most := -1, len(ellipsis)
	for i, a := range attrs {
		if a.Value.Kind() == slog.KindString && len(a.Value.String()) > most {
			longest, most = i, len(a.Value.String())
		}
	}
	if longest < 0 {
		return false
	}
	value := strings.TrimSuffix(attrs[longest].Value.String(), ellipsis)
	n := max(len(value)-over-len(ellipsis), len(value)/2)
	for n > 0 && !utf8.RuneStart(value[n]) {
		n--
	}
	attrs[longest].Value = slog.StringValue(value[:n] + ellipsis)
	return true
}

// ellipsis is where a value was cut.
const ellipsis = "..."

// object is the event. The keys are promised to scripts.
func (l *Logger) object(severity level, event string, attrs []slog.Attr) string {
	var b bytes.Buffer
	h := slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.MessageKey {
			a.Key = "event"
		}
		return a
	}})
	word := slog.LevelInfo
	if severity == levelWarning {
		word = slog.LevelWarn
	}
	r := slog.NewRecord(l.o.Now(), word, event, 0)
	r.AddAttrs(attrs...)
	if err := h.Handle(context.Background(), r); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// escaped is printable for JSON, where a backslash has a meaning of its own. What
// is not ASCII stands within strings only.
func escaped(object string) string {
	var b strings.Builder
	for _, r := range object {
		if r <= '~' || strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
