package config

import "testing"

func TestEngineSecret(t *testing.T) {
	for name, want := range map[string]bool{
		"/run/secrets/smtp":          true,
		"/run/secrets/app/smtp":      true,
		"//run/./secrets/smtp":       true,
		"/run/secrets":               false, // a directory is none
		"/run/secretsmtp":            false, // not below it
		"/run/secrets/../smtp":       false,
		"run/secrets/smtp":           false, // wherever that is
		"/srv/run/secrets/smtp":      false,
		"/run/secrets/../secrets/pw": true,
	} {
		if got := engineSecret(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
