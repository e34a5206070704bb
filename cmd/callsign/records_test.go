package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callsign-as/callsign/deploy/peer"
)

// A directory for records that can't be had is told by /readyz, and is none of a call's business.
func TestANodeWithoutPlaceForRecordsServesAndSaysSo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file stands in its place
		t.Fatal(err)
	}
	d := daemonFor(t, func(c *Config, _ *daemon) { c.Records.Dir = dir })
	said := func() (problem string) {
		for _, p := range d.problems() {
			if p.Part == "records" {
				problem = p.Problem + ": " + p.Do
			}
		}
		return problem
	}
	peer.Until(t, "the node to say so", func() bool { return said() != "" })
	if got := said(); !strings.HasPrefix(got, "records.dir: ") || !strings.Contains(got, "see that records.dir can be written to") {
		t.Errorf("it says %q", got)
	}
	if answers := placed(t, d); len(answers) == 0 || answers[len(answers)-1] != 200 {
		t.Errorf("a call gets %v, want it answered", answers)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	peer.Until(t, "the node to have its directory", func() bool { return said() == "" })
}
