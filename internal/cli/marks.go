package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"postern/internal/config"
	"postern/internal/headers"
)

// userName is the login name of a uid, which the kernel tells and no variable.
func userName(uid int) string {
	if uid < 0 { // over TCP the kernel does not tell
		return "unknown"
	}
	if login, _ := account(uid); login != "" {
		return login
	}
	return "uid" + strconv.Itoa(uid)
}

// programOf is the name of the program that called us for uid, "unknown" if it
// came from elsewhere.
func programOf(uid int) string {
	if uid == os.Getuid() {
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid())); err == nil && len(name) > 1 {
			return oneWord(strings.TrimSpace(string(name)))
		}
	}
	return "unknown"
}

// oneWord makes a word of a name, fit for a comment of a header field.
func oneWord(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._+-@/:", r) {
			return r
		}
		return '_'
	}, s)
}

// fromName is the configured display name for a From field that is missing.
func fromName(h *config.Headers, uid int, host string) string {
	if h.FromName == "" {
		return ""
	}
	return strings.NewReplacer("{user}", userName(uid), "{host}", host).Replace(h.FromName)
}

// mark puts into a header what the configuration wants it to tell of the user.
func mark(block *headers.Block, h *config.Headers, id string, uid int, host string, now time.Time) []headers.Change {
	if !h.Received && len(h.Add) == 0 {
		return nil
	}
	name, program := userName(uid), programOf(uid)
	fill := strings.NewReplacer("{user}", name, "{uid}", strconv.Itoa(uid), "{host}", host, "{program}", program)
	var lines []headers.Line
	for _, l := range h.Add {
		lines = append(lines, headers.Line{Name: l.Name, Value: fill.Replace(l.Value)})
	}
	received := ""
	if h.Received {
		// As Postfix writes it for local submission.
		received = fmt.Sprintf("by %s (postern, from userid %d %s, program %s) id %s; %s",
			host, uid, oneWord(name), program, id, now.Format(time.RFC1123Z))
	}
	return block.Mark(received, lines)
}
