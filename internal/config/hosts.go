package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

const (
	maxSmarthosts = 50
	maxCuts       = 200 // texts looked at to find the lines of several tables
)

// hostSettings is what one smarthost table says, in the file's words.
type hostSettings struct {
	Smarthost       *Smarthost
	password, token secretKeys
	line            int // of the table
}

// host is the smarthost that the keys go to.
func (s *hostSettings) host() *Smarthost {
	if s.Smarthost == nil {
		s.Smarthost = defaultSmarthost()
	}
	return s.Smarthost
}

// smarthosts reads [smarthost], or each [[smarthost]].
func (d *decoder) smarthosts(s *settings, root map[string]toml.Primitive) {
	prim, ok := root["smarthost"]
	if !ok {
		d.smarthost(s, nil, 0)
		return
	}
	value, line := d.look(prim)
	d.lines["smarthost"] = line
	list, several := value.([]map[string]any)
	switch {
	case several && len(list) > maxSmarthosts:
		d.fault("smarthost", fmt.Sprintf("more than %d of them", maxSmarthosts), "")
	case several:
		d.each(s, len(list))
	case kindOf(value) == "a list":
		d.fault("smarthost", "must be a table, not a list", "write [[smarthost]] on a line of its own for each")
	default:
		if _, ok := value.(map[string]any); !ok {
			d.notTable("smarthost", value)
			return
		}
		d.smarthost(s, d.keys("smarthost", prim), line)
	}
}

// each reads several tables. The library knows the place of a key only for the
// last table of a name, so each one is read from the text that ends with it.
func (d *decoder) each(s *settings, n int) {
	whole := d.md
	defer func() { d.md = whole }()
	for i, end := range d.cuts(n) {
		var part map[string]toml.Primitive
		md, err := toml.Decode(d.text[:end], &part)
		d.md = md
		var list []toml.Primitive
		if err == nil {
			err = d.md.PrimitiveDecode(part["smarthost"], &list)
		}
		if err != nil || i >= len(list) {
			d.fault("smarthost", "cannot be read", "")
			return
		}
		_, line := d.look(part["smarthost"])
		d.lines["smarthost"] = line
		d.smarthost(s, d.keys("smarthost", list[i]), line)
	}
}

// cuts are the ends of the texts in which the first, the second … of n tables is
// the last.
func (d *decoder) cuts(n int) []int {
	ends := slices.Repeat([]int{len(d.text)}, n)
	tried, at := 0, 0
	for line := range strings.Lines(d.text) {
		start := at
		at += len(line)
		if !strings.HasPrefix(strings.TrimLeft(line, " \t"), "[[") {
			continue
		}
		if tried++; tried > maxCuts {
			break
		}
		var part struct{ Smarthost []toml.Primitive }
		if _, err := toml.Decode(d.text[:start], &part); err != nil {
			continue // within a text of several lines
		}
		if k := len(part.Smarthost); k > 0 && k < n {
			ends[k-1] = start
		}
	}
	return ends
}

// keys are those of a table, nil if it cannot be read.
func (d *decoder) keys(name string, prim toml.Primitive) map[string]toml.Primitive {
	var keys map[string]toml.Primitive
	if err := d.md.PrimitiveDecode(prim, &keys); err != nil {
		d.fault(name, "cannot be read", "")
	}
	return keys
}

// smarthost reads one table and checks it.
func (d *decoder) smarthost(s *settings, keys map[string]toml.Primitive, line int) {
	h := &hostSettings{line: line}
	h.host()
	s.hosts = append(s.hosts, h)
	for key := range d.lines { // those of the table before
		if strings.HasPrefix(key, "smarthost.") {
			delete(d.lines, key)
		}
	}
	if keys != nil { // else what is wrong elsewhere may be why there is no table
		d.since = len(d.faults)
	}
	for _, t := range tables(&s.cfg, h) {
		if t.name == "smarthost" {
			d.readTable(t, keys)
		}
	}
	d.checkSmarthost(s, h)
	d.since = 0
}

// checkSmarthost finds the contradictions between the keys of one table, and
// makes the smarthost of it.
func (d *decoder) checkSmarthost(s *settings, h *hostSettings) {
	d.account(s, h.Smarthost)
	d.checkSecrets(h)
	d.checkWhere(h.Smarthost)
	d.checkTLS(h)
	if h.Smarthost.ClientKey != "" && h.Smarthost.ClientCert == "" {
		d.fault("smarthost.client_key", "stands without client_cert", "")
	}
	d.checkPrograms(h)
	h.resolve(filepath.Dir(d.abs))
	h.Smarthost.Secret = h.password.secret(d, "smarthost.password")
	h.Smarthost.Token = h.token.secret(d, "smarthost.token")
	d.warnSmarthost(s, h)
	s.cfg.Smarthosts = append(s.cfg.Smarthosts, h.Smarthost)
}

// checkOrder finds smarthosts that never get a message, and names used twice.
func (d *decoder) checkOrder(s *settings) {
	if d.failed("smarthost.senders") || d.failed("smarthost.recipients") {
		return // what they were meant to be is not known
	}
	names := make(map[string]bool)
	var before *hostSettings
	for _, h := range s.hosts {
		d.lines["smarthost"] = h.line
		if before != nil {
			d.fault("smarthost", fmt.Sprintf("gets no mail: the one in line %d takes all", before.line),
				"put this one first, and give it senders or recipients")
			return
		}
		if len(h.Smarthost.Senders)+len(h.Smarthost.Recipients) == 0 {
			before = h
		}
		if name := h.Smarthost.Name; name != "" && names[name] {
			d.fault("smarthost", "two of them have the name "+quoted(name), "")
		}
		names[h.Smarthost.Name] = true
	}
}
