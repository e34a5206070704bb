package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/callsign-as/callsign/deploy/peer"
)

// promtool is Prometheus' own checker.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), peer.Program(t, "promtool", "prometheus"), args...)
	cmd.Dir = "../prometheus"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestEveryAlertFiresAndIsQuiet(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "config", "prometheus.yaml")
	promtool(t, "check", "rules", "alerts.yaml")
	promtool(t, "test", "rules", "alerts_test.yaml")
	tests, err := os.ReadFile("../prometheus/alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		for _, does := range []string{"fires", "is quiet"} {
			if !strings.Contains(string(tests), "- name: "+a.Alert+" "+does+"\n") {
				t.Errorf("no test shows that %s %s", a.Alert, does)
			}
		}
	}
}

type alert struct{ Alert, Expr string }

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	b, err := os.ReadFile("../prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct{ Rules []alert }
	}
	if err := yaml.Unmarshal(b, &rules); err != nil || len(rules.Groups) != 1 || len(rules.Groups[0].Rules) == 0 {
		t.Fatalf("alerts.yaml has %d groups: %v", len(rules.Groups), err)
	}
	return rules.Groups[0].Rules
}

// dashboard is the queries of the Grafana dashboard, by their panel's title, as Grafana would send them.
func dashboard(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("../grafana/callsign.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	queries := map[string][]string{}
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q asks nothing", p.Title)
		}
		for _, target := range p.Targets {
			queries[p.Title] = append(queries[p.Title], strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(target.Expr))
		}
	}
	return queries
}

var (
	metricName = regexp.MustCompile(`\b(?:callsign|process|go)_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`(\b(?:callsign)_[a-z0-9_]+)\{([^}]*)\}`)
	grouping   = regexp.MustCompile(`by \(([^)]*)\)`)
	labelName  = regexp.MustCompile(`(\w+)\s*(?:=~|!=|!~|=)`)
	documented = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.*?) \\|")
)

// TestAlertsAndDashboardAskForWhatThereIs holds names and labels against deploy/metrics.md, which a test holds against the code.
func TestAlertsAndDashboardAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for _, row := range documented.FindAllStringSubmatch(string(document), -1) {
		labels[row[1]] = row[2]
	}
	queries := dashboard(t)
	for _, a := range alerts(t) {
		queries[a.Alert] = []string{a.Expr}
	}
	base := func(name string) string {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if _, exists := labels[strings.TrimSuffix(name, suffix)]; exists {
				return strings.TrimSuffix(name, suffix)
			}
		}
		return name
	}
	anywhere := []string{"job", "instance", "le"} // Prometheus' own
	for title, asked := range queries {
		for _, q := range asked {
			var may []string
			for _, name := range metricName.FindAllString(q, -1) {
				known, exists := labels[base(name)]
				if strings.HasPrefix(name, "callsign_") && !exists {
					t.Errorf("%s: there is no metric %s", title, name)
				}
				may = append(may, known)
			}
			for _, s := range selector.FindAllStringSubmatch(q, -1) {
				for _, l := range labelName.FindAllStringSubmatch(s[2], -1) {
					if !slices.Contains(anywhere, l[1]) && !strings.Contains(labels[base(s[1])], "`"+l[1]+"`") {
						t.Errorf("%s: %s has no label %s", title, s[1], l[1])
					}
				}
			}
			for _, g := range grouping.FindAllStringSubmatch(q, -1) {
				for l := range strings.SplitSeq(g[1], ", ") {
					if !slices.Contains(anywhere, l) && !strings.Contains(strings.Join(may, " "), "`"+l+"`") {
						t.Errorf("%s: nothing in %s has the label %s", title, q, l)
					}
				}
			}
		}
	}
}

// always are panels that show something of any node that had a call; the others need Redis, next hops, networks or trouble.
var always = []string{
	"Nodes that answer", "SIP messages forwarded", "Calls, by what was decided", "Dropped by the kernel, and events not read",
	"Load rung, and next hops that are up", "Deliveries, by outcome", "Texts tried, by link", "Receipts before the call was over",
	"Release to acceptance, p50 and p99", "Submission to receipt, p50 and p99", "Links that are bound", "Changes, by what became of them",
	"Commit, p99", "Look-ups", "Profiles in memory", "Lines of timelines", "Call records", "HTTP requests", "Push connections",
	"CPU", "Resident memory", "Goroutines", "What runs",
}

// TestPrometheusAnswersTheDashboard has a real Prometheus scrape a node and asks it what the dashboard asks.
func TestPrometheusAnswersTheDashboard(t *testing.T) {
	t.Parallel()
	prometheus := peer.Program(t, "prometheus", "prometheus")
	n := serve(t, func(config string) string { return config + "records: { dir: \"" + t.TempDir() + "\" }\n" })
	n.ready()
	rules, err := filepath.Abs("../prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "prometheus.yaml")
	scrape := fmt.Sprintf("global: { scrape_interval: 1s }\nrule_files: [%q]\nscrape_configs: [ { job_name: callsign, static_configs: [ { targets: [%q] } ] } ]\n", rules, n.http)
	if err := os.WriteFile(config, []byte(scrape), 0o600); err != nil {
		t.Fatal(err)
	}
	at := n.host + ":9090"
	peer.Start(t, prometheus, nil, "--config.file="+config, "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+at)
	ask := func(q string) (n int, err error) {
		res, err := http.Get("http://" + at + "/api/v1/query?query=" + url.QueryEscape(q))
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		var answer struct {
			Status, Error string
			Data          struct{ Result []any }
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			return 0, err
		}
		if answer.Status != "success" {
			return 0, fmt.Errorf("%s", answer.Error)
		}
		return len(answer.Data.Result), nil
	}
	n.until("Prometheus to have scraped the node", func() bool {
		found, err := ask(`up{job="callsign"} == 1`)
		return err == nil && found == 1
	})
	n.says("Back at six")
	p := n.call(scene{})
	n.shown(1)
	p.complete()
	queries := dashboard(t)
	for _, title := range always {
		if queries[title] == nil {
			t.Errorf("the dashboard has no panel %q", title)
		}
		n.until("the panel "+title+" to show something", func() bool {
			found, err := ask(queries[title][0])
			if err != nil {
				t.Fatalf("%s: %v", title, err)
			}
			return found > 0
		})
	}
	for title, asked := range queries {
		for _, q := range asked {
			if _, err := ask(q); err != nil {
				t.Errorf("%s: %s: %v", title, q, err)
			}
		}
	}
}
