package relay

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"postern/internal/config"
	"postern/internal/headers"
	"postern/internal/message"
	"postern/internal/smtp"
	"postern/internal/spool"
)

// Addresses are rewritten when a message is handed to a smarthost, not when it is
// submitted: what lies in the spool stays as it was written, and a rule that was
// mended holds for the messages that wait. Reports go to the sender that was.

// wanted is how a smarthost wants a message.
type wanted struct {
	h    *config.Smarthost
	host string // of {host}
	user string // of {user}
	from string // envelope sender as it was submitted
}

func (r *Relay) wanted(h *config.Smarthost, sender string, uid int) wanted {
	w := wanted{h: h, host: r.Host, from: sender}
	if r.User != nil && strings.Contains(h.HeaderFrom.Name, "{user}") {
		w.user = r.User(uid)
	}
	return w
}

// rewrites reports that anything at all may change.
func rewrites(h *config.Smarthost) bool {
	return h.EnvelopeFrom != "" || h.HeaderFrom.Address != "" || len(h.Rewrite) > 0 || h.ReplyTo != "" || h.AddTo || h.FixMessageID || h.RedirectTo != ""
}

// byRule is what stands for an address by the rewrite map; no rule leaves it.
func (w wanted) byRule(a headers.Address) (headers.Address, string) {
	at := Matched(a.String())
	for _, rule := range w.h.Rewrite {
		if !rule.Match.Match(at) {
			continue
		}
		local, domain := rule.Expand(a.Local, a.Domain)
		to := headers.Address{Local: local, Domain: domain}
		// An address literal may have made it into a domain: then it is no address,
		// and the one that was is the better.
		if back, null, err := headers.ParseSender(to.String(), ""); err == nil && !null && back == to {
			return to, rule.String()
		}
		return a, ""
	}
	return a, ""
}

// sender is what stands for an author or envelope sender: what the account owns
// stays, then the map counts, then the fixed address with its key.
func (w wanted) sender(a headers.Address, fixed, key string) (headers.Address, string) {
	at := Matched(a.String())
	for _, p := range w.h.Own {
		if p.Match(at) {
			return a, ""
		}
	}
	to, rule := w.byRule(a)
	if rule == "" && fixed != "" {
		to, rule = split(fixed), key
	}
	if to.Key() == a.Key() {
		return a, ""
	}
	return to, rule
}

// split is an address of the configuration, which is plain.
func split(address string) headers.Address {
	local, domain, _ := strings.Cut(address, "@")
	return headers.Address{Local: local, Domain: domain}
}

// envelopeSender is the sender for MAIL. The null sender stays: a report must
// never cause another.
func (w wanted) envelopeSender() (string, string) {
	a, null, err := headers.ParseSender(w.from, "")
	if null || err != nil {
		return w.from, ""
	}
	to, rule := w.sender(a, w.h.EnvelopeFrom, "envelope_from")
	if rule == "" {
		return w.from, ""
	}
	return to.String(), rule
}

// recipients are those of the wire, each once, and for each of the given ones its
// place among them. The given ones are each once.
func (w wanted) recipients(given []smtp.Recipient) (wire []smtp.Recipient, place []int) {
	place = make([]int, 0, len(given))
	if w.h.RedirectTo == "" && !w.h.RewriteTo && len(w.h.RcptOptions) == 0 {
		for i := range given {
			place = append(place, i)
		}
		return given, place
	}
	seen := make(map[string]int, len(given))
	wire = make([]smtp.Recipient, 0, len(given))
	for _, to := range given {
		if address, rule := w.recipient(to.Address); rule != "" {
			if to.Original == "" && !smtp.NeedsUTF8(to.Address) {
				to.Original = "rfc822;" + to.Address
			}
			to.Address = address
		}
		to.Options = w.h.RcptOptions
		n, ok := seen[to.Address]
		if !ok {
			n = len(wire)
			seen[to.Address] = n
			wire = append(wire, to)
		}
		place = append(place, n)
	}
	return wire, place
}

func (w wanted) recipient(address string) (string, string) {
	if w.h.RedirectTo != "" {
		return w.h.RedirectTo, "redirect_to"
	}
	if !w.h.RewriteTo {
		return address, ""
	}
	a, null, err := headers.ParseSender(address, "")
	if null || err != nil {
		return address, ""
	}
	to, rule := w.byRule(a)
	if rule == "" {
		return address, ""
	}
	return to.String(), rule
}

// SenderFor is the envelope sender that a smarthost gets for one, and the rule that
// changed it, "" for none.
func (r *Relay) SenderFor(h *config.Smarthost, sender string) (string, string) {
	return r.wanted(h, sender, 0).envelopeSender()
}

// RecipientFor is alike for a recipient.
func (r *Relay) RecipientFor(h *config.Smarthost, recipient string) (string, string) {
	return r.wanted(h, "", 0).recipient(recipient)
}

// header is a header as the smarthost wants it, for these recipients. open gives
// the whole message that it stands on.
func (w wanted) header(text []byte, given []smtp.Recipient, open func() (io.ReadCloser, error)) ([]byte, []headers.Change, error) {
	block, rest, err := headers.Read(bytes.NewReader(text), len(text)+1)
	if err != nil {
		return nil, nil, err
	}
	left, err := io.ReadAll(rest)
	if err != nil {
		return nil, nil, err
	}
	r := headers.Rewriting{
		Author: func(a headers.Address) (headers.Address, string) {
			return w.sender(a, w.h.HeaderFrom.Address, "header_from")
		},
		Name: strings.NewReplacer("{user}", w.user, "{host}", w.host).Replace(w.h.HeaderFrom.Name),
		Real: func(a headers.Address) bool { return w.from != "" && reachable(a) }, ReplyTo: w.h.ReplyTo, AddTo: w.h.AddTo,
	}
	if w.h.HeaderFrom.Address != "" {
		r.Fallback, r.FallbackRule = split(w.h.HeaderFrom.Address), "header_from"
	}
	if w.h.FixMessageID && !block.HasMessageID() {
		if r.MessageID, err = w.messageID(open); err != nil {
			return nil, nil, err
		}
	}
	if w.h.RewriteTo {
		r.Recipient = w.byRule
	}
	if w.h.RedirectTo != "" {
		for _, to := range given {
			r.Original = append(r.Original, to.Address)
		}
	}
	changes := block.Rewrite(r)
	return append(block.Bytes(), left...), changes, nil
}

// messageID is the same at each try, and another for every other message.
func (w wanted) messageID(open func() (io.ReadCloser, error)) (string, error) {
	text, err := open()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, text)
	if err = errors.Join(err, text.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]) + "@" + w.host, nil
}

// Plan is a message as a smarthost will get it.
type Plan struct {
	Sender     string
	Recipients []string
	Message    *message.Message
	Changes    []headers.Change // on the way there
}

// Plan tells what deliver would do for a group.
func (r *Relay) Plan(g Group, env Envelope, msg *message.Message) (*Plan, error) {
	w := r.wanted(g.Host, env.Sender, env.UID)
	p := &Plan{Message: msg}
	var rule string
	if p.Sender, rule = w.envelopeSender(); rule != "" {
		p.Changes = append(p.Changes, became("envelope sender", env.Sender, p.Sender, rule))
	}
	given := g.of(env.Recipients)
	for _, to := range given {
		if address, rule := w.recipient(to.Address); rule != "" {
			p.Changes = append(p.Changes, became("recipient", to.Address, address, rule))
		}
	}
	wire, _ := w.recipients(given)
	for _, to := range wire {
		p.Recipients = append(p.Recipients, to.Address)
	}
	if !rewrites(g.Host) {
		return p, nil
	}
	header, changes, err := w.header(msg.Header(), given, msg.Open)
	if err != nil {
		return nil, err
	}
	p.Message = message.New(header, msg.Body())
	p.Changes = append(p.Changes, changes...)
	return p, nil
}

func became(what, was, is, rule string) headers.Change {
	return headers.Change{Field: what, Rule: was + " becomes " + is + ", by " + rule}
}

// reachable reports an address that an answer may reach: names for use inside of
// a house (RFC 2606, RFC 6762, RFC 8375, and what routers make up) do not work
// outside of it. Those of examples occur only there.
func reachable(a headers.Address) bool {
	domain := "." + strings.ToLower(a.Domain)
	for _, inside := range []string{".local", ".localhost", ".localdomain", ".lan", ".home", ".internal", ".intranet", ".private",
		".corp", ".home.arpa", ".invalid", ".test"} {
		if strings.HasSuffix(domain, inside) {
			return false
		}
	}
	return strings.Contains(a.Domain, ".") && a.Domain[0] != '['
}

// reheaded is a message of the spool with another header.
type reheaded struct {
	claim  *spool.Claim
	skip   int64 // octets of the header that it has
	header []byte
}

func (r *reheaded) Size() int64 { return r.claim.Size() - r.skip + int64(len(r.header)) }

// Open implements smtp.Message. All of the file is read, since only then it is
// sure to be what was written.
func (r *reheaded) Open() (io.ReadCloser, error) {
	f, err := r.claim.Open()
	if err != nil {
		return nil, err
	}
	return &reheadedReader{Reader: io.MultiReader(bytes.NewReader(r.header), &tail{r: f, skip: r.skip}), Closer: f}, nil
}

type reheadedReader struct {
	io.Reader
	io.Closer
}

// tail reads what follows the first octets.
type tail struct {
	r    io.Reader
	skip int64
}

func (t *tail) Read(p []byte) (int, error) {
	if t.skip > 0 {
		if _, err := io.CopyN(io.Discard, t.r, t.skip); err != nil {
			if err == io.EOF {
				err = spool.ErrDamaged
			}
			return 0, err
		}
		t.skip = 0
	}
	return t.r.Read(p)
}

// readHeader reads the header of a message, its empty line included.
func readHeader(r io.Reader) ([]byte, error) {
	head := make([]byte, 0, 4<<10)
	for buf := make([]byte, 4<<10); ; {
		n, err := r.Read(buf)
		head = append(head, buf[:n]...)
		if bytes.HasPrefix(head, []byte("\r\n")) {
			return head[:2], nil
		}
		if i := bytes.Index(head[max(0, len(head)-n-3):], []byte("\r\n\r\n")); i >= 0 {
			return head[:max(0, len(head)-n-3)+i+4], nil
		}
		switch {
		case err == io.EOF:
			return head, nil
		case err != nil:
			return nil, err
		case len(head) > 2*headers.DefaultLimit:
			return nil, headers.ErrTooLarge
		}
	}
}
