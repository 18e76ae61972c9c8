//go:build integration

package integration

// The provider's certificate cannot have the fingerprints that are made up in the
// fixtures, which get its own.
const (
	madeUp1 = "1234567890ABCDEF1234567890ABCDEF1234567890ABCDEF1234567890ABCDEF"
	madeUp2 = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
)

// usedNone is the note on a mailer without TLS.
const usedNone = "used no TLS; now it is used if the server offers it"

// noTLS is such a mailer; ours uses it where it can.
func noTLS(a *arrival) { a.TLS = "" }

// lines are what a mailer gets for lines of the fixture that it does not take.
type lines = map[string]string

// importCases are the fixtures of the importer by name.
func importCases() map[string]*importCase {
	const root = "root@web1.client.example"
	return map[string]*importCase{
		"content": {with: ssmtp, implicit: 25, send: []sending{
			{want: arrival{Host: "mail.example.com", Port: 25, TLS: "implicit", From: root},
				theirs: func(a *arrival) { a.From = "root@bad,name" }, told: "domain: is left out: is not a host name"}}},
		"dma": {with: dma, adapt: lines{"SECURE": ""}, // in its sample, but only INSECURE is known to it
			accounts: map[string]string{"herb": "pass:word|x"},
			change:   []string{madeUp1, "@FINGERPRINT@"},
			send: []sending{{want: arrival{Host: "mail.example.com", Port: 587, TLS: "starttls", User: "herb",
				From: "herb@ert.example"}}}},
		"dma-insecure": {with: dma, accounts: map[string]string{"u": "p"},
			send: []sending{{want: arrival{Host: "mail.example.com", Port: 25, TLS: "starttls", User: "u",
				From: "root@percolator.example"}, theirs: noTLS, told: usedNone}}},
		"esmtp": {with: esmtp, accounts: map[string]string{"USERNAME": `PASS"WORD`, "myself": "secret"},
			files: map[string]string{"/usr/local/bin/ssh": "#!/bin/sh\n"}, // its preconnect command
			// It keeps the quotes of a value with an escaped quote in it.
			adapt: lines{`password = "PASS\"WORD"`: "password = 'PASS\"WORD'\n"},
			send: []sending{
				{want: arrival{Host: "localhost", Port: 25, TLS: "starttls", User: "USERNAME", From: "me@example.com"}},
				{sender: "myself@somewhere.com", want: arrival{Host: "smtp.somewhere.com", Port: 25, TLS: "starttls",
					User: "myself", From: "myself@somewhere.com"}, theirs: noTLS, told: usedNone}}},
		"esmtp-identity": {with: esmtp, send: []sending{
			{want: arrival{Host: "smtp.somewhere.com", Port: 587, TLS: "starttls", From: "myself@somewhere.com"}}}},
		"msmtp-all": {with: msmtp, accounts: map[string]string{"joe smith": `pass \ word`}, mechanisms: []string{"SCRAM-SHA-256"},
			change: []string{madeUp2, "@FINGERPRINT:@"},
			adapt: lines{"gibberish value-that-is-not-shown": "", "protocol lmtp": "", // a note says no to both
				"tls_priorities SECURE": ""}, // not a name that GnuTLS knows
			send: []sending{{want: arrival{Host: "smtp.example.com", Port: 2525, TLS: "starttls", User: "joe smith",
				Mechanism: "SCRAM-SHA-256", Source: "192.0.2.7", Certificate: "joe", From: "joe@example.com",
				Options: "HDRS FAILURE DELAY"}}}},
		"msmtp-system": {with: msmtp, send: []sending{
			{want: arrival{Host: "mail.oursite.example", Port: 465, TLS: "implicit", From: "root@oursite.example"}}}},
		"msmtp-token": {with: msmtp, accounts: map[string]string{"joe@example.com": "token-of-joe"}, mechanisms: []string{"OAUTHBEARER"},
			files: map[string]string{"/usr/local/bin/token": "#!/bin/sh\necho token-of-$1\n"},
			adapt: lines{"account a": "account default\n"}, // or it had to be told -a a
			send: []sending{{sender: "joe@example.com", want: arrival{Host: "smtp.example.com", Port: 25, TLS: "starttls",
				User: "joe@example.com", From: "joe@example.com"}, theirs: noTLS, told: usedNone}}},
		"msmtp-user": {with: msmtp, accounts: map[string]string{"joe.smith": "open sesame", "company12345": "other sesame"},
			files: map[string]string{"/usr/local/bin/gpg2": "#!/bin/sh\necho open sesame\n",
				"password-company": "other sesame\n", // as the note says
				".netrc":           "machine mail.company.example login company12345 password \"other sesame\"\n"},
			send: []sending{
				{want: arrival{Host: "smtp.freemail.example", Port: 587, TLS: "starttls", User: "joe.smith", From: "joe_smith@freemail.example"}},
				{sender: "joey@freemail.example", want: arrival{Host: "smtp.freemail.example", Port: 587, TLS: "starttls",
					User: "joe.smith", From: "joey@freemail.example"}},
				{sender: "smithjoe@company.example", want: arrival{Host: "mail.company.example", Port: 587, TLS: "starttls",
					User: "company12345", From: "smithjoe@company.example"}}}},
		"nullmailer": {with: nullmailer, accounts: map[string]string{"user": "my pass phrase"},
			adapt: lines{"0": ""}, // with no limit of time it gives up at once
			send: []sending{
				{want: arrival{Host: "smarthost.dom", Port: 2525, TLS: "starttls", User: "user", From: "root@web1.example.com"}}}},
		"postfix": {with: postfix, accounts: map[string]string{"username": "pass:word"}, send: []sending{
			{want: arrival{Host: "mail.isp.example", Port: 587, TLS: "starttls", User: "username", From: "root@example.com"}}}},
		"postfix-wrapper": {with: postfix, accounts: map[string]string{"joe": "secret"}, send: []sending{
			{want: arrival{Host: "mx1.example.com", Port: 465, TLS: "implicit", User: "joe", From: root}}}},
		"ssmtp": {with: ssmtp, accounts: map[string]string{"web1": "pass"}, mechanisms: []string{"CRAM-MD5"}, send: []sending{
			{message: fromNobody, want: arrival{Host: "mail.example.com", Port: 587, TLS: "starttls", User: "web1",
				Mechanism: "CRAM-MD5", From: "web1@example.com"}},
			{want: arrival{Host: "mail.example.com", Port: 587, TLS: "starttls", User: "web1", Mechanism: "CRAM-MD5",
				From: "web1@example.com"}, theirs: func(a *arrival) { a.From = "root@example.com" },
				told: "FromLineOverride: From stays as it is, as there; but there its address is the envelope sender too"}}},
	}
}
