package callsign_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var cited = regexp.MustCompile(`RFC \d{4}|TS \d\d\.\d{3}|SMPP 3\.4`)

// TestTheREADMEListsEverySpecificationCited holds its table against the comments of the code.
func TestTheREADMEListsEverySpecificationCited(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(b), "## Specifications")
	table, _, _ = strings.Cut(table, "\n## ")
	if !found {
		t.Fatal("the README has no section Specifications")
	}
	err = eachFile(t, func(_, file string, _ []string) {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range cited.FindAllString(string(source), -1) {
			if !strings.Contains(table, spec) {
				t.Errorf("%s cites %s: the README's table of specifications does not list it", file, spec)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
