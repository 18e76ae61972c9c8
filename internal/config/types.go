package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// check turns one text into its normal form, or says what is wrong.
type check func(s string) (normal, problem, hint string)

// setter gives a value to its place, or says what is wrong and what to do.
type setter func(value any) (problem, hint string)

// text takes a string; "" leaves the default.
func text(to *string, ok check) setter {
	return func(value any) (string, string) {
		if value == "" {
			return "", ""
		}
		return must(to, ok)(value)
	}
}

// must takes a string and checks "" too.
func must(to *string, ok check) setter {
	return func(value any) (string, string) {
		s, isText := value.(string)
		if !isText {
			return "must be text, not " + kindOf(value), quoteHint(value)
		}
		s, problem, hint := checkText(s, ok)
		if problem == "" {
			*to = s
		}
		return problem, hint
	}
}

func checkText(s string, ok check) (normal, problem, hint string) {
	if strings.ContainsFunc(s, isControl) {
		return "", "holds a control character", ""
	}
	if ok == nil {
		return s, "", ""
	}
	return ok(s)
}

// words takes a string or a list of them.
func words[T ~string](to *[]T, ok check) setter {
	return func(value any) (string, string) {
		switch value.(type) {
		case string:
			var one string
			problem, hint := text(&one, ok)(value)
			if one != "" {
				*to = []T{T(one)}
			}
			return problem, hint
		case []any:
			return list(to, ok)(value)
		}
		return "must be text or a list of texts, not " + kindOf(value), quoteHint(value)
	}
}

// list takes a list of strings.
func list[T ~string](to *[]T, ok check) setter {
	return func(value any) (string, string) {
		items, isList := value.([]any)
		if !isList {
			hint := ""
			if _, isText := value.(string); isText {
				hint = `write ["…", "…"], one word each`
			}
			return "must be a list, not " + kindOf(value), hint
		}
		var all []T
		for i, item := range items {
			s, isText := item.(string)
			if !isText {
				return fmt.Sprintf("item %d must be text, not %s", i+1, kindOf(item)), ""
			}
			s, problem, hint := checkText(s, ok)
			if problem == "" && s == "" && (ok != nil || i == 0) {
				problem = "is empty"
			}
			if problem != "" {
				return fmt.Sprintf("item %d %s", i+1, problem), hint
			}
			all = append(all, T(s))
		}
		*to = all
		return "", ""
	}
}

func flag(to *bool) setter {
	return func(value any) (string, string) {
		b, ok := value.(bool)
		if !ok {
			hint := ""
			if s, isText := value.(string); isText && (s == "true" || s == "false") {
				hint = "write " + s + " without quotes"
			}
			return "must be true or false, not " + kindOf(value), hint
		}
		*to = b
		return "", ""
	}
}

func port(to *int) setter {
	return func(value any) (string, string) {
		n, ok := value.(int64)
		if !ok {
			hint := ""
			if s, isText := value.(string); isText && validPort(s) {
				hint = "write " + s + " without quotes"
			}
			return "must be a number, not " + kindOf(value), hint
		}
		if n < 1 || n > 65535 {
			return fmt.Sprintf("%d is not between 1 and 65535", n), ""
		}
		*to = int(n)
		return "", ""
	}
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0' && s[0] != '+'
}

// span takes a duration such as "30s", "5m" or "1d12h".
func span(to *time.Duration) setter {
	return func(value any) (string, string) {
		s, ok := value.(string)
		if !ok {
			hint := ""
			if n, isNumber := value.(int64); isNumber && n > 0 {
				hint = fmt.Sprintf(`write "%ds" for seconds`, n)
			}
			return `must be a time such as "30s", not ` + kindOf(value), hint
		}
		if strings.ContainsFunc(s, isControl) {
			return "holds a control character", ""
		}
		d, ok := parseSpan(s)
		if !ok {
			return "bad time " + quoted(s), `write "30s", "5m", "4h" or "5d"`
		}
		if d <= 0 {
			return "must be more than 0", ""
		}
		*to = d
		return "", ""
	}
}

// parseSpan reads Go's syntax with days in front.
func parseSpan(s string) (time.Duration, bool) {
	var days time.Duration
	if count, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(count, 10, 16)
		if err != nil {
			return 0, false
		}
		days = time.Duration(n) * 24 * time.Hour
		if rest == "" {
			return days, true
		}
		s = rest
		if s[0] == '-' || s[0] == '+' {
			return 0, false
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d > 1<<61 {
		return 0, false
	}
	return days + d, true
}

// kindOf names the type of a TOML value.
func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "text"
	case int64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	}
	return "a list"
}

// quoteHint is for a value that may be a secret and so is not shown.
func quoteHint(value any) string {
	switch value.(type) {
	case int64, float64, bool, time.Time:
		return "put it in double quotes"
	}
	return ""
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// quoted shows a value, cut at a length.
func quoted(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return strconv.Quote(s)
}
