package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write deploy/metrics.md anew")

// described is how prometheus prints a Desc, which tells its parts in no other way.
var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*?)", (?:unit: "[^"]*", )?constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

// Every name that /metrics can show, of a node that has all its parts, stands in the document with its labels and its meaning.
func TestTheMetricsAreDocumented(t *testing.T) {
	d := daemonFor(t, func(c *Config, d *daemon) {
		if d == nil {
			c.Cache.URL = "redis://127.0.0.1:1"
			c.Records.Dir = t.TempDir()
			c.Sync.Moderation.Reviewer.URL = "http://127.0.0.1:1"
		}
	})
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		d.metrics.Describe(descs)
	}()
	var rows []string
	for desc := range descs {
		parts := described.FindStringSubmatch(desc.String())
		if parts == nil {
			t.Fatalf("%s can't be read", desc)
		}
		name, help, labels := parts[1], parts[2], parts[3]
		if !strings.HasPrefix(name, "callsign_") {
			continue // Go's and the process's own
		}
		if labels != "" {
			labels = "`" + strings.ReplaceAll(labels, ",", "`, `") + "`"
		}
		if !strings.HasSuffix(help, ".") {
			t.Errorf("%s: its help %q is no sentence", name, help)
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", name, labels, help))
	}
	slices.Sort(rows)
	const document = "../../deploy/metrics.md"
	want := "# What /metrics tells\n\n" +
		"A histogram has `_bucket`, `_sum` and `_count` behind its name; times are seconds, sizes bytes. The process's own (`process_`, `go_`) are\n" +
		"Prometheus' usual ones. Written by `go test ./cmd/callsign -run Metrics -update`.\n\n" +
		"| name | labels | what it tells |\n| --- | --- | --- |\n" + strings.Join(slices.Compact(rows), "")
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("deploy/metrics.md is not what the node has: read the change, then go test ./cmd/callsign -run Metrics -update")
	}
}
