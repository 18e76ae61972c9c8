package config

import (
	"net/url"
	"strings"
)

// fromEnv makes a configuration of the POSTERN_ variables.
func (src Source) fromEnv() (*Config, error) {
	target := src.env("POSTERN_SMARTHOST")
	if target == "" {
		return nil, ErrNoConfig
	}
	s := &settings{cfg: defaults()}
	h := defaultSmarthost()
	s.cfg.Smarthosts = []*Smarthost{h}
	e := &envReader{src: src}
	e.take("POSTERN_PROFILE", profile(h))
	e.target(target, h)
	e.take("POSTERN_DOMAIN", must(&s.cfg.Domain, hostName))
	e.take("POSTERN_ALIASES", text(&s.cfg.Aliases, fullPath))
	e.take("POSTERN_FROM", must(&s.cfg.From, address))
	e.take("POSTERN_SPOOL", text(&s.cfg.Spool.Dir, spoolDir))
	e.take("POSTERN_LOG", must(&s.cfg.Log.To, logTarget))
	e.take("POSTERN_SPOOL_KNOWN_HOSTS", words(&s.cfg.Spool.SFTP.KnownHosts, pathName))
	e.take("POSTERN_SPOOL_IDENTITY_FILE", text(&s.cfg.Spool.SFTP.Identity, pathName))
	if isRemote(s.cfg.Spool.Dir) {
		s.cfg.Spool.SFTP.complete(s.cfg.Spool.Dir, src)
	}
	e.password(&s.cfg)
	if h.Profile != "" && len(e.faults) == 0 && !h.account(s.cfg.From, func(string) bool { return false }) {
		e.fault("POSTERN_PROFILE", "needs the address that the account may send from", "set POSTERN_FROM")
	}
	if err := joinFaults(e.faults); err != nil {
		return nil, err
	}
	return &s.cfg, nil
}

type envReader struct {
	src    Source
	faults []*Error
}

func (e *envReader) fault(name, msg, hint string) {
	e.faults = append(e.faults, &Error{Key: name, Msg: msg, Hint: hint})
}

func (e *envReader) take(name string, set setter) {
	value := e.src.env(name)
	if value == "" {
		return
	}
	if problem, hint := set(value); problem != "" {
		e.fault(name, problem, hint)
	}
}

const envTarget = "POSTERN_SMARTHOST"

// target takes a URL, "host:port" or "host". The value may hold a password, so
// no message shows it.
func (e *envReader) target(value string, h *Smarthost) {
	const hint = "write smtps://user@host:465, smtp://user@host:587 or host:port"
	if strings.ContainsFunc(value, isControl) {
		e.fault(envTarget, "holds a control character", "")
		return
	}
	if !strings.Contains(value, "://") {
		value = "smtp://" + bracketed(value)
	}
	u, err := url.Parse(value)
	if err != nil {
		e.fault(envTarget, "is not a URL", hint+"; write %40 for an @ in the user's name")
		return
	}
	switch u.Scheme {
	case "smtps":
		h.TLS = "implicit"
	case "smtp+starttls":
		h.TLS = "starttls"
	case "smtp":
		h.TLS = "auto" // whatever a profile says
		if u.User != nil {
			h.TLS = "starttls"
		}
	default:
		e.fault(envTarget, "unknown scheme "+quoted(u.Scheme), hint)
		return
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		e.fault(envTarget, "has more than a user, a host and a port", hint)
		return
	}
	e.host(u, h, hint)
	e.user(u, h)
}

// bracketed lets an IPv6 address stand alone.
func bracketed(host string) string {
	if strings.Count(host, ":") > 1 && !strings.ContainsAny(host, "[]@") {
		return "[" + host + "]"
	}
	return host
}

func (e *envReader) host(u *url.URL, h *Smarthost, hint string) {
	name, problem, _ := server(u.Hostname())
	if problem != "" {
		e.fault(envTarget, "has no good host name", hint)
		return
	}
	h.Hosts = []string{name}
	if u.Port() == "" {
		return
	}
	var n int64
	for _, digit := range u.Port() {
		n = min(n*10+int64(digit-'0'), 1<<20)
	}
	if problem, _ := port(&h.Port)(n); problem != "" {
		e.fault(envTarget, "its port "+problem, "")
	}
}

func (e *envReader) user(u *url.URL, h *Smarthost) {
	if u.User == nil {
		return
	}
	if _, has := u.User.Password(); has {
		e.fault(envTarget, "a password does not belong here, where ps and logs show it",
			"set POSTERN_PASSWORD_FILE or POSTERN_PASSWORD")
		return
	}
	h.Username = u.User.Username()
	if h.Username == "" || strings.ContainsFunc(h.Username, isControl) {
		e.fault(envTarget, "has no good user name before the @", "")
	}
}

// password takes POSTERN_PASSWORD or POSTERN_PASSWORD_FILE.
func (e *envReader) password(c *Config) {
	const inVar, inFile = "POSTERN_PASSWORD", "POSTERN_PASSWORD_FILE"
	h := c.Smarthosts[0]
	text, file := e.src.env(inVar), e.src.env(inFile)
	switch {
	case text != "" && file != "":
		e.fault(inVar, "contradicts "+inFile, "keep one of them")
	case strings.ContainsFunc(text, isControl):
		e.fault(inVar, "holds a control character", "")
	case text == "" && file == "":
		if h.Username != "" {
			e.fault(envTarget, "names a user, but there is no password", "set "+inFile+" or "+inVar)
		}
	case h.Username == "" && len(e.faults) == 0:
		name := inVar
		if file != "" {
			name = inFile
		}
		e.fault(name, "stands without a user", "write smtp://user@host in "+envTarget)
	case text != "":
		h.Secret = NewSecret(text)
	default:
		where := Error{Key: inFile}
		h.Secret = Secret{src: &secretSource{file: file, where: where}}
		warnSecretFile(file, where, func(e Error) { c.Warnings = append(c.Warnings, e.Error()) })
	}
}
