package cli

import (
	"runtime"
	"runtime/debug"
)

// version and commit are set by the linker; without them what "go install" and
// "go build" write down counts.
var version, commit string

// versionText is --version: version, commit and the Go that built it.
func versionText() string {
	v, c := version, commit
	if info, ok := debug.ReadBuildInfo(); ok {
		v, c = fromBuild(v, c, info)
	}
	if v == "" {
		v = "devel"
	}
	if c != "" {
		c = "commit " + c + ", "
	}
	return "postern " + v + " (" + c + runtime.Version() + ")\n"
}

// fromBuild fills in what the linker did not set.
func fromBuild(v, c string, info *debug.BuildInfo) (string, string) {
	if v == "" && info.Main.Version != "(devel)" {
		v = info.Main.Version
	}
	if c != "" {
		return v, c
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			c = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+"
		}
	}
	if c != "" {
		c += dirty
	}
	return v, c
}
