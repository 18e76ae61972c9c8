package config

// tables lists every key, in the order of the manual page, with where its value
// goes.
func tables(c *Config, h *hostSettings) []table {
	return []table{
		{"", rootFields(c)},
		{"smarthost", smarthostFields(h)},
		{"headers", headersFields(&c.Headers)},
		{"spool", spoolFields(&c.Spool)},
		{"service", serviceFields(&c.Service)},
		{"log", logFields(&c.Log)},
	}
}

func rootFields(c *Config) []field {
	return []field{
		{"domain", text(&c.Domain, hostName)},
		{"aliases", text(&c.Aliases, pathName)},
		{"from", text(&c.From, address)},
		{"postmaster", text(&c.Postmaster, address)},
		{"timeout", span(&c.Timeout)},
	}
}

func logFields(l *Log) []field {
	return []field{
		{"to", must(&l.To, logTarget)},
		{"format", must(&l.Format, choice("text", "json"))},
		{"metrics", text(&l.Metrics, metricsFile)},
	}
}

func smarthostFields(s *hostSettings) []field {
	h := s.host()
	fields := []field{
		{"name", text(&h.Name, label)},
		{"profile", profile(h)},
		{"senders", words(&h.Senders, pattern)},
		{"recipients", words(&h.Recipients, pattern)},
		{"host", words(&h.Hosts, server)},
		{"port", port(&h.Port)},
		{"lookup", must(&h.Lookup, choice("address", "mx", "srv"))},
		{"tls", must(&h.TLS, choice("auto", "starttls", "implicit", "none"))},
		{"verify", flag(&h.Verify)},
		{"ca_file", text(&h.CAFile, pathName)},
		{"server_name", text(&h.ServerName, server)},
		{"fingerprint", words(&h.Fingerprints, fingerprint)},
		{"client_cert", text(&h.ClientCert, pathName)},
		{"client_key", text(&h.ClientKey, pathName)},
	}
	fields = append(fields, authFields(s)...)
	fields = append(fields, []field{
		{"ehlo", text(&h.EHLO, ehlo)},
		{"source_address", text(&h.SourceAddress, sourceAddress)},
		{"socket", text(&h.Socket, pathName)},
		{"proxy", text(&h.Proxy, proxy)},
		{"connect_command", list(&h.ConnectCommand, nil)},
		{"connect_timeout", span(&h.ConnectTimeout)},
		{"command_timeout", span(&h.CommandTimeout)},
		{"require_tls", flag(&h.RequireTLS)},
		{"mail_options", list(&h.MailOptions, esmtpParam)},
		{"rcpt_options", list(&h.RcptOptions, esmtpParam)},
	}...)
	fields = append(fields, rewritingFields(&h.Rewriting)...)
	return append(fields, []field{
		{"max_connections", number(&h.MaxConnections, 1, 100)},
		{"window", number(&h.Window, 1, 100)},
		{"rate", rate(&h.Rate)},
	}...)
}

func authFields(s *hostSettings) []field {
	h := s.host()
	return []field{
		{"username", text(&h.Username, nil)},
		{"password", text(&s.password.literal, nil)},
		{"password_file", text(&s.password.file, pathName)},
		{"password_command", list(&s.password.command, nil)},
		{"password_env", text(&s.password.env, variable)},
		{"token_file", text(&s.token.file, pathName)},
		{"token_command", list(&s.token.command, nil)},
		{"auth", list(&h.Auth, mechanism)},
		{"allow_plaintext_auth", flag(&h.AllowPlaintextAuth)},
	}
}
