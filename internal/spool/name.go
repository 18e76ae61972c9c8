package spool

import (
	"strconv"
	"strings"
)

// Owner is who works on a file: a word of lower-case letters, digits and hyphens
// that tells host and process, at most 80 octets.
type Owner string

// ref is a file of the spool, taken apart.
type ref struct {
	dir   string
	due   int64
	id    string
	owner Owner // only in active/
}

const idLength = 12

// name is the path of the file.
func (r ref) name() string { return r.dir + "/" + r.base() }

// base is its last element.
func (r ref) base() string {
	if r.dir == dirActive {
		return stamp(r.due) + "." + r.id + "." + string(r.owner)
	}
	return stamp(r.due) + "." + r.id
}

// stamp is ten digits, so that names sort by time.
func stamp(t int64) string {
	const last = 9_999_999_999
	s := strconv.FormatInt(min(max(t, 0), last), 10)
	return "0000000000"[len(s):] + s
}

// parseName takes the name of a file apart. ok is false for what is not ours.
func parseName(dir, name string) (r ref, ok bool) {
	due, rest, _ := strings.Cut(name, ".")
	id, owner, owned := strings.Cut(rest, ".")
	r = ref{dir: dir, id: id, owner: Owner(owner)}
	if r.due, ok = parseStamp(due); !ok || !validID(id) || owned != (dir == dirActive) || owned && !validOwner(owner) {
		return ref{}, false
	}
	return r, true
}

func parseStamp(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && len(s) == 10
}

func validID(s string) bool {
	return len(s) == idLength && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}

func validOwner(s string) bool {
	return s != "" && len(s) <= 80 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}
