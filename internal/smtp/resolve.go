package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// maxTargets bounds the hosts that DNS may send us to.
const maxTargets = 16

// targets lists the servers to try, in order.
func (cfg Config) targets(ctx context.Context) ([]target, error) {
	name := cfg.hosts()[0]
	switch {
	case cfg.Socket != "":
		if len(cfg.Hosts) == 0 {
			name = cfg.Socket
		}
		return []target{{name: name, tls: cfg.TLS, how: "unix"}}, nil
	case len(cfg.ConnectCommand) > 0:
		if len(cfg.Hosts) == 0 {
			name = cfg.ConnectCommand[0]
		}
		return []target{{name: name, tls: cfg.TLS, how: "command"}}, nil
	}
	var all []target
	var failures []error
	for _, h := range cfg.hosts() {
		found, err := cfg.look(ctx, h)
		if err != nil {
			failures = append(failures, err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, lastOf(failures)
	}
	return all[:min(len(all), maxTargets)], nil
}

// look finds the servers behind one configured name.
func (cfg Config) look(ctx context.Context, host string) ([]target, error) {
	host = strings.Trim(host, "[]")
	ascii := host
	if !isASCII(host) {
		a, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return nil, resolveError(host, because(ErrNoSuchHost, err))
		}
		ascii = a
	}
	var found []target
	var err error
	switch cfg.Lookup {
	case LookupMX:
		found, err = cfg.lookMX(ctx, ascii)
	case LookupSRV:
		found, err = cfg.lookSRV(ctx, ascii)
	default:
		return []target{{name: ascii, host: ascii, port: cfg.port(), tls: cfg.TLS}}, nil
	}
	if err != nil {
		return nil, resolveError(host, err)
	}
	cfg.progress(StageResolve, host+" is served by "+strings.Trim(fmt.Sprint(found), "[]"))
	return found, cfg.checkNames(ascii, found)
}

// lookMX asks for the mail exchangers of a domain (RFC 5321 5.1): a domain
// without any is its own, and "." means that it takes no mail (RFC 7505).
func (cfg Config) lookMX(ctx context.Context, domain string) ([]target, error) {
	records, err := cfg.resolver().LookupMX(ctx, domain)
	if err != nil && len(records) == 0 && !notFound(err) { // an answer with bad names in it has good ones too
		return nil, err
	}
	var found []target
	for _, mx := range records {
		name := strings.TrimSuffix(mx.Host, ".")
		if name == "" {
			return nil, because(ErrNoSuchHost, errors.New("the domain takes no mail (null MX)"))
		}
		found = append(found, target{name: name, host: name, port: cfg.port(), tls: cfg.TLS})
	}
	if len(found) == 0 {
		found = []target{{name: domain, host: domain, port: cfg.port(), tls: cfg.TLS}}
	}
	return found, nil
}

// lookSRV asks for submission servers: implicit TLS first (RFC 8314 5.1), then
// STARTTLS, which is then required. The TLS mode may restrict it to one.
func (cfg Config) lookSRV(ctx context.Context, domain string) ([]target, error) {
	var found []target
	var failures []error
	ask := func(service string, mode TLSMode) {
		_, records, err := cfg.resolver().LookupSRV(ctx, service, "tcp", domain)
		if err != nil {
			failures = append(failures, err)
		}
		for _, srv := range records {
			if name := strings.TrimSuffix(srv.Target, "."); name != "" { // "." means no service
				found = append(found, target{name: name, host: name, port: int(srv.Port), tls: mode})
			}
		}
	}
	if cfg.TLS == Opportunistic || cfg.TLS == Implicit {
		ask("submissions", Implicit)
	}
	if cfg.TLS == Opportunistic || cfg.TLS == Required {
		ask("submission", Required)
	}
	if cfg.TLS == None {
		ask("submission", None)
	}
	switch {
	case len(found) > 0:
		return found, nil
	case len(failures) > 0 && !notFound(failures[len(failures)-1]):
		return nil, failures[len(failures)-1]
	}
	return nil, because(ErrNoSuchHost, errors.New("no SRV record for mail submission"))
}

// checkNames refuses names that an unsigned DNS answer brought from outside the
// domain that was asked for: whoever forges the answer could send us, and our
// password, to a server of his with a good certificate (RFC 6186 6).
func (cfg Config) checkNames(domain string, found []target) error {
	if cfg.ServerName != "" || len(cfg.Fingerprints) > 0 || cfg.Insecure || cfg.TLSConfig != nil || cfg.TLS == None {
		return nil
	}
	if cfg.TLS == Opportunistic && !cfg.WantsLogin() && cfg.Lookup == LookupMX {
		return nil // nothing to steal that the wire would not show as well
	}
	for i := range found {
		name := strings.ToLower(found[i].name)
		if domain := strings.ToLower(domain); name != domain && !strings.HasSuffix(name, "."+domain) {
			found[i].name = domain // the name that the certificate must have
		}
	}
	return nil
}

func resolveError(host string, err error) *Error {
	if notFound(err) && !errors.Is(err, ErrNoSuchHost) {
		err = because(ErrNoSuchHost, errors.New("no such name"))
	}
	var d *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
	case isTimeout(err):
		err = because(ErrTimeout, errors.New("the name server gives no answer in time"))
	case errors.As(err, &d):
		err = because(ErrConnect, errors.New("the name server gives no answer: "+d.Err))
	}
	return &Error{Stage: StageResolve, Host: host, Err: err}
}

func notFound(err error) bool {
	var d *net.DNSError
	return errors.Is(err, ErrNoSuchHost) || errors.As(err, &d) && d.IsNotFound
}

// addresses looks t up. There are none for what is not reached by address, and
// a SOCKS5 proxy looks the name up itself.
func (cfg Config) addresses(ctx context.Context, t target) ([]netip.Addr, error) {
	if t.how != "" || cfg.Proxy != "" {
		return nil, nil
	}
	if ip, err := netip.ParseAddr(t.host); err == nil {
		return []netip.Addr{ip}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.connectTimeout())
	defer cancel()
	addrs, err := cfg.resolver().LookupNetIP(ctx, "ip", t.host)
	if err == nil && len(addrs) == 0 {
		err = because(ErrNoSuchHost, errors.New("the name has no address"))
	}
	if err != nil {
		return nil, resolveError(t.host, err)
	}
	addrs = alternate(addrs)
	cfg.progress(StageResolve, t.host+" is "+strings.Trim(fmt.Sprint(addrs), "[]"))
	return addrs, nil
}

// alternate puts IPv6 and IPv4 addresses in turns, beginning with the family
// that the resolver put first (RFC 8305 4), at most maxTargets of them.
func alternate(addrs []netip.Addr) []netip.Addr {
	var first, second []netip.Addr
	for _, a := range addrs {
		a = a.Unmap()
		if a.Is4() == addrs[0].Unmap().Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	var out []netip.Addr
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out[:min(len(out), maxTargets)]
}
