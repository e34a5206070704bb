// Package packaging holds the Dockerfile, compose.yaml and the Helm chart to what can be known of them without an engine or a cluster: their
// tools' own parsers and schemas take them, what they refer to is there, and the binary takes every configuration that they make.
package packaging

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "callsign-packaging-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "callsign")
		build := exec.Command("go", "build", "-o", binary, "./cmd/callsign")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// takes has the binary check a configuration with an environment.
func takes(t *testing.T, config string, environment []string) {
	t.Helper()
	check := exec.CommandContext(t.Context(), binary, "config", "--check", config)
	check.Env = environment
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("callsign config --check: %v\n%s", err, out)
	}
	// An unknown variable is no error of the binary's: other programs may have some. Of ours there are none.
	known := variables(t)
	for _, e := range environment {
		if name, _, _ := cut(e); !known[name] {
			t.Errorf("%s is no variable of Callsign's", name)
		}
	}
}
