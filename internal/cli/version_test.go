package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// What the linker was told counts; else what the go command wrote down.
func TestVersion(t *testing.T) {
	built := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	modified := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, tt := range []struct {
		why                   string
		version, commit       string // of the linker
		info                  *debug.BuildInfo
		wantVersion, wantHash string
	}{
		{"make build", "1.2.0", "aaaaaaaaaaaa", built("v1.1.0", revision), "1.2.0", "aaaaaaaaaaaa"},
		{"go install of a tag", "", "", built("v1.2.0"), "v1.2.0", ""},
		{"go build in a clone", "", "", built("v1.2.1-0.20261124180000-0123456789ab", revision), "v1.2.1-0.20261124180000-0123456789ab", "0123456789ab"},
		{"with changes", "", "", built("(devel)", revision, modified), "", "0123456789ab+"},
		{"go run, go test: nothing is known", "", "", built("(devel)"), "", ""},
	} {
		v, c := fromBuild(tt.version, tt.commit, tt.info)
		if v != tt.wantVersion || c != tt.wantHash {
			t.Errorf("%s: %q, %q; want %q, %q", tt.why, v, c, tt.wantVersion, tt.wantHash)
		}
	}
	defer func(v, c string) { version, commit = v, c }(version, commit)
	version, commit = "1.2.0", "0123456789ab"
	if got, want := versionText(), "postern 1.2.0 (commit 0123456789ab, "+runtime.Version()+")\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
