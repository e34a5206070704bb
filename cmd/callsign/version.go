package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// released is the version of a release, written by its linker (deploy/release.sh) and by nobody else.
var released string

type versionCommand struct{}

// Run prints the version, and of what it was built by what.
func (versionCommand) Run(s surroundings) error {
	_, err := fmt.Fprintf(s.stdout, "callsign %s (%s, %s, %s/%s)\n", version(), cmp.Or(revision(), "no revision"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the release's, else what the go command wrote into the binary.
func version() string {
	if released != "" {
		return released
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// revision is the commit that was built, with + behind it where files differed from it; "" if the go command wrote none.
func revision() (commit string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	changed := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if commit == "" {
		return ""
	}
	return commit + changed
}

// buildInfo is a metric of the version.
func buildInfo() prometheus.Collector {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callsign_build_info", Help: "Always 1; its labels tell what runs."}, []string{"version", "revision", "go"})
	info.WithLabelValues(version(), revision(), runtime.Version()).Set(1)
	return info
}
