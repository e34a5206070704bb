package packaging

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	sigsyaml "sigs.k8s.io/yaml"
)

const chartPath = "../helm/callsign"

// render is helm template: the objects that a release named "r" would make.
func render(t *testing.T, values map[string]any) (string, error) {
	t.Helper()
	c, err := loader.Load(chartPath)
	if err != nil {
		t.Fatal(err)
	}
	install := action.NewInstall(&action.Configuration{})
	install.DryRun, install.ClientOnly, install.ReleaseName, install.Namespace = true, true, "r", "telecom"
	install.KubeVersion = &chartutil.KubeVersion{Version: "v1.33.0", Major: "1", Minor: "33"}
	release, err := install.Run(c, values)
	if err != nil {
		return "", err
	}
	return release.Manifest, nil
}

func TestHelmLintFindsNothing(t *testing.T) {
	l := action.NewLint()
	l.Strict, l.WithSubcharts = true, true
	result := l.Run([]string{chartPath}, nil)
	for _, m := range result.Messages {
		if m.Severity >= support.WarningSev {
			t.Error(m)
		}
	}
}

// objects reads a manifest by Kubernetes' own types; a field that these don't have is an error.
func objects(t *testing.T, manifest string) (found map[string]any) {
	t.Helper()
	found = map[string]any{}
	for document := range strings.SplitSeq(manifest, "\n---\n") {
		var head struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		var into any
		switch head.Kind {
		case "":
			continue
		case "ConfigMap":
			into = &corev1.ConfigMap{}
		case "Service":
			into = &corev1.Service{}
		case "StatefulSet":
			into = &appsv1.StatefulSet{}
		case "Deployment":
			into = &appsv1.Deployment{}
		case "PodDisruptionBudget":
			into = &policyv1.PodDisruptionBudget{}
		default:
			t.Fatalf("the test doesn't know %s", head.Kind)
		}
		if err := sigsyaml.UnmarshalStrict([]byte(document), into); err != nil {
			t.Fatalf("%s %s: %v\n%s", head.Kind, head.Metadata.Name, err, document)
		}
		found[head.Kind+"/"+head.Metadata.Name] = into
	}
	return found
}

func TestTheChartsNodesCanBeUsed(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"as it comes": nil,
		"with records, off the host's network, everything set": {
			"image":  map[string]any{"repository": "registry.example/callsign", "tag": "v1.0.0"},
			"config": map[string]any{"sip": map[string]any{"trust": []any{"192.0.2.0/24"}}, "show": map[string]any{"caller_ranges": []any{"+8613"}}},
			"call":   map[string]any{"hostNetwork": false, "replicas": 4, "drainSeconds": 20, "records": map[string]any{"enabled": true, "formats": []any{"csv", "jsonl"}}, "state": map[string]any{"storageClass": "fast"}, "nodeSelector": map[string]any{"a": "b"}},
			"api":    map[string]any{"replicas": 3, "service": map[string]any{"type": "LoadBalancer", "annotations": map[string]any{"a": "b"}}, "tolerations": []any{map[string]any{"operator": "Exists"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			manifest, err := render(t, values)
			if err != nil {
				t.Fatal(err)
			}
			all := objects(t, manifest)
			config := filepath.Join(t.TempDir(), "callsign.yaml")
			if err := os.WriteFile(config, []byte(all["ConfigMap/r-config"].(*corev1.ConfigMap).Data["callsign.yaml"]), 0o600); err != nil {
				t.Fatal(err)
			}
			call, api := all["StatefulSet/r-call"].(*appsv1.StatefulSet), all["Deployment/r-api"].(*appsv1.Deployment)
			for component, pod := range map[string]corev1.PodTemplateSpec{"call": call.Spec.Template, "api": api.Spec.Template} {
				var volumes []string
				for _, v := range pod.Spec.Volumes {
					volumes = append(volumes, v.Name)
				}
				if component == "call" {
					volumes = append(volumes, call.Spec.VolumeClaimTemplates[0].Name)
				}
				checkPod(t, component, pod, volumes, config)
				service := all["Service/r-"+component].(*corev1.Service)
				budget := all["PodDisruptionBudget/r-"+component].(*policyv1.PodDisruptionBudget)
				for what, selector := range map[string]map[string]string{"the Service": service.Spec.Selector, "the budget": budget.Spec.Selector.MatchLabels} {
					for k, v := range selector {
						if pod.Labels[k] != v {
							t.Errorf("%s of %s selects %s=%s, its pods have %q", what, component, k, v, pod.Labels[k])
						}
					}
				}
				for _, p := range service.Spec.Ports {
					if !hasPort(pod, p.TargetPort.StrVal) {
						t.Errorf("the Service of %s leads to port %s, which no pod has", component, p.TargetPort.StrVal)
					}
				}
			}
		})
	}
}

// checkPod holds a pod to what it must be, and its configuration to the binary.
func checkPod(t *testing.T, component string, pod corev1.PodTemplateSpec, volumes []string, config string) {
	t.Helper()
	c := pod.Spec.Containers[0]
	for _, m := range c.VolumeMounts {
		if !strings.Contains(fmt.Sprint(volumes), m.Name) {
			t.Errorf("%s mounts %s, and has %v", component, m.Name, volumes)
		}
	}
	if s := c.SecurityContext; s == nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !*pod.Spec.SecurityContext.RunAsNonRoot {
		t.Errorf("%s may do more than it needs: %+v", component, s)
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe == nil || !hasPort(pod, c.LivenessProbe.HTTPGet.Port.StrVal) {
		t.Errorf("%s: its probes are %+v, %+v", component, c.LivenessProbe, c.ReadinessProbe)
	}
	environment := []string{"CALLSIGN_STORE_URL=postgres://u:p@db:5432/callsign", "CALLSIGN_SIP_SECRET=0123456789abcdef"} // of the Secret
	drain := "10s"
	for _, e := range c.Env {
		if strings.HasPrefix(e.Name, "CALLSIGN_") {
			environment = append(environment, e.Name+"="+strings.ReplaceAll(e.Value, "$(POD_IP)", "192.0.2.7"))
		}
		if e.Name == "CALLSIGN_SIP_DRAIN" {
			drain = e.Value
		}
	}
	takes(t, config, environment)
	var seconds int64
	if _, err := fmt.Sscanf(drain, "%ds", &seconds); err != nil || *pod.Spec.TerminationGracePeriodSeconds < seconds+20 {
		t.Errorf("%s drains for %s and is killed after %d s", component, drain, *pod.Spec.TerminationGracePeriodSeconds)
	}
}

func hasPort(pod corev1.PodTemplateSpec, name string) bool {
	for _, p := range pod.Spec.Containers[0].Ports {
		if p.Name == name {
			return true
		}
	}
	return false
}

func TestTheChartRefusesValuesThatCantWork(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"an unknown key":                {"replicas": 3},
		"an unknown key below":          {"call": map[string]any{"replica": 3}},
		"no replicas":                   {"call": map[string]any{"replicas": 0}},
		"a port that is none":           {"api": map[string]any{"httpPort": 80}},
		"a drain that is too long":      {"call": map[string]any{"drainSeconds": 601}},
		"a secret among the values":     {"config": map[string]any{"sip": map[string]any{"secret": "0123456789abcdef"}}},
		"a database among the values":   {"config": map[string]any{"store": map[string]any{"url": "postgres://u:p@db/x"}}},
		"a listener that pods can't be": {"config": map[string]any{"sip": map[string]any{"listen": []any{"udp://127.0.0.1:5060"}}}},
		"a format of records":           {"call": map[string]any{"records": map[string]any{"formats": []any{"xml"}}}},
		"no secret's name":              {"secretName": ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), "values don't meet the specifications of the schema") {
				t.Errorf("helm says %v", err)
			}
		})
	}
}
