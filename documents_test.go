package callsign_test

import (
	"io/fs"
	"os"
	"path/filepath"
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

var (
	linked   = regexp.MustCompile(`\]\(([^)\s#]*)(#[^)\s]*)?\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unlinked = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestWhatDocumentsLinkToIsThere follows the links of all documents to files and headings.
func TestWhatDocumentsLinkToIsThere(t *testing.T) {
	followed := 0
	err := filepath.WalkDir(".", func(document string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(document) != ".md" {
			return err
		}
		b, err := os.ReadFile(document)
		if err != nil {
			return err
		}
		for _, link := range linked.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(link[1], "://") {
				continue // nothing is asked of the world
			}
			to := document
			if link[1] != "" {
				to = filepath.Join(filepath.Dir(document), link[1])
			}
			followed++
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which isn't there", document, link[1])
			} else if link[2] != "" && !hasHeading(t, to, link[2][1:]) {
				t.Errorf("%s links to %s%s, and there is no such heading", document, link[1], link[2])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if followed < 50 {
		t.Errorf("only %d links were found", followed)
	}
}

func hasHeading(t *testing.T, document, anchor string) bool {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, heading := range headings.FindAllStringSubmatch(string(b), -1) {
		if strings.ReplaceAll(unlinked.ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}
