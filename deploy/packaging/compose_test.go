package packaging

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// compose is the project as docker compose reads it.
func compose(t *testing.T) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithEnv([]string{"POSTGRES_PASSWORD=a-password", "CALLSIGN_SIP_SECRET=0123456789abcdef"}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestComposeNeedsItsSecrets(t *testing.T) {
	o, err := cli.NewProjectOptions([]string{"../compose.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.LoadProject(t.Context()); err == nil || !strings.Contains(err.Error(), "set ") {
		t.Errorf("without any secret it says %v, want what to set", err)
	}
}

func TestComposesConfigurationsCanBeUsed(t *testing.T) {
	for name, s := range compose(t).Services {
		if s.Image != "callsign" || len(s.Command) > 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var config string
			writable := map[string]bool{}
			for _, v := range s.Volumes {
				if v.Target == "/etc/callsign/callsign.yaml" {
					config = v.Source
				} else {
					writable[v.Target] = true
				}
			}
			var environment []string
			for key, value := range s.Environment {
				environment = append(environment, key+"="+*value)
			}
			takes(t, config, environment)
			if !s.ReadOnly || !writable["/var/lib/callsign"] {
				t.Errorf("its root is read-only: %t, its volumes are %v; want it to write to /var/lib/callsign only", s.ReadOnly, writable)
			}
			if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < 20*time.Second {
				t.Error("it is killed before it has drained")
			}
		})
	}
}

// TestWhatComposeRefersToIsThere follows every path, host and port.
func TestWhatComposeRefersToIsThere(t *testing.T) {
	p := compose(t)
	host := func(where, h string) {
		if _, ok := p.Services[h]; !ok {
			t.Errorf("%s refers to %s, which is no service", where, h)
		}
	}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			} else if _, ok := p.Volumes[v.Source]; !ok {
				t.Errorf("%s: there is no volume %s", name, v.Source)
			}
		}
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for on, d := range s.DependsOn {
			host(name, on)
			if d.Condition == types.ServiceConditionHealthy && p.Services[on].HealthCheck == nil {
				t.Errorf("%s waits until %s is healthy, which has no health check", name, on)
			}
		}
		for key, value := range s.Environment {
			if u, err := url.Parse(*value); err == nil && u.Host != "" && strings.HasSuffix(key, "_URL") {
				host(name, u.Hostname())
			}
		}
		for network, n := range s.Networks {
			if n == nil || n.Ipv4Address == "" {
				continue
			}
			subnet := netip.MustParsePrefix(p.Networks[network].Ipam.Config[0].Subnet)
			if !subnet.Contains(netip.MustParseAddr(n.Ipv4Address)) || !strings.Contains(*s.Environment["CALLSIGN_SIP_LISTEN"], "//"+n.Ipv4Address+":") {
				t.Errorf("%s has %s, outside %s, or does not listen there", name, n.Ipv4Address, subnet)
			}
		}
	}
	var config struct {
		SIP  struct{ Trust []string }
		SMPP struct {
			Links []struct{ Address, Password string }
		}
		HTTP struct{ Listen string }
	}
	read(t, "../compose/callsign.yaml", &config)
	for _, l := range config.SMPP.Links {
		h, port, _ := strings.Cut(l.Address, ":")
		host("smpp.links", h)
		if command := p.Services[h].Command; !slices.Contains(command, "0.0.0.0:"+port) || !slices.Contains(command, "callsign:"+l.Password) {
			t.Errorf("the simulator runs as %v, the link is %+v", command, l)
		}
	}
	if config.SIP.Trust[0] != p.Networks["callsign"].Ipam.Config[0].Subnet {
		t.Errorf("sip.trust is %v, the network is not", config.SIP.Trust)
	}
	var prometheus struct {
		ScrapeConfigs []struct {
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	read(t, "../prometheus/prometheus.yaml", &prometheus)
	_, port, _ := strings.Cut(config.HTTP.Listen, ":")
	for _, target := range prometheus.ScrapeConfigs[0].StaticConfigs[0].Targets {
		h, targetPort, _ := strings.Cut(target, ":")
		if host("prometheus.yaml", h); targetPort != port {
			t.Errorf("prometheus.yaml scrapes %s, nodes serve on %s", target, port)
		}
	}
	var sources struct{ Datasources []struct{ URL string } }
	read(t, "../grafana/provisioning/datasources/prometheus.yaml", &sources)
	u, err := url.Parse(sources.Datasources[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	host("Grafana's data source", u.Hostname())
	var dashboards struct {
		Providers []struct{ Options struct{ Path string } }
	}
	read(t, "../grafana/provisioning/dashboards/callsign.yaml", &dashboards)
	mounted := false
	for _, v := range p.Services["grafana"].Volumes {
		mounted = mounted || filepath.Dir(v.Target) == dashboards.Providers[0].Options.Path
	}
	if !mounted {
		t.Error("the dashboard is not where Grafana looks for it")
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
