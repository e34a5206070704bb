package packaging

import (
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func cut(e string) (name, value string, found bool) { return strings.Cut(e, "=") }

// variables are all environment variables that a configuration key has, by what callsign config prints.
func variables(t *testing.T) map[string]bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, "config").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := yaml.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	var visit func(path string, v any)
	visit = func(path string, v any) {
		found[path], found[path+"_FILE"] = true, true
		if section, ok := v.(map[string]any); ok {
			for name, below := range section {
				visit(path+"_"+strings.ToUpper(name), below)
			}
		}
	}
	visit("CALLSIGN", all)
	return found
}
