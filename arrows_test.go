package callsign_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/callsign-as/callsign"

// arrows say which of our packages each room may import: "." is the root. A room that isn't here is not laid out yet: say
// where its arrows go before writing it.
var arrows = map[string][]string{
	".":                    {},
	"sipas":                {".", "sipas/relay", "sipas/ims"},
	"sipas/relay":          {"."},
	"sipas/ims":            {"."},
	"sipas/phone":          {"."},
	"gsmbridge":            {".", "gsmbridge/smpp", "gsmbridge/gsm"},
	"gsmbridge/smpp":       {"."},
	"gsmbridge/gsm":        {"."},
	"gsmbridge/smsc":       {".", "gsmbridge/smpp", "gsmbridge/gsm"},
	"sigsync":              {"."},
	"sigsync/httpjson":     {".", "sigsync"},
	"sigsync/msn":          {".", "sigsync"},
	"sigsync/qq":           {".", "sigsync"},
	"sigsync/simple":       {".", "sigsync"},
	"sigsync/xmpp":         {".", "sigsync"},
	"sigsync/providertest": {".", "sigsync"},
	"sigsync/fetion":       {".", "sigsync"},
	"store":                {"."},
	"store/sqlite":         {".", "store"},
	"store/postgres":       {".", "store"},
	"store/redis":          {".", "store"},
	"store/records":        {"."},
	"store/storetest":      {".", "store"},
	"api":                  {".", "api/console"},
	"api/console":          {},
	"api/client":           {},
	"cmd/callsign":         {"*"},
	"deploy/peer":          {},
	"deploy/peer/msn":      {},
	"deploy/peer/qq":       {},
	"deploy/peer/fetion":   {},
	"deploy/e2e":           {"*"},

	"deploy/bench/harm":        {},
	"deploy/bench/calls":       {},
	"deploy/bench/subscribers": {".", "sigsync", "store/sqlite"},
	"deploy/bench/store":       {".", "sigsync", "store/postgres"},
	"deploy/bench/smpp":        {"gsmbridge/smpp"},
	"deploy/bench/push":        {},
	"deploy/bench/sync":        {".", "sigsync", "store/sqlite"},
	"deploy/bench/soak":        {"api/client"},
}

func TestArrowsAreKept(t *testing.T) {
	err := eachFile(t, func(room, file string, imports []string) {
		allowed, known := arrows[room]
		if !known {
			t.Errorf("%s: arrows_test.go doesn't know the room %s", file, room)
			return
		}
		for _, imported := range imports {
			rel, ours := strings.CutPrefix(imported, module)
			if !ours {
				if room == "." && strings.Contains(imported, ".") {
					t.Errorf("%s imports %s: the root imports the standard library only", file, imported)
				}
				continue
			}
			if rel = strings.TrimPrefix(rel, "/"); rel == "" {
				rel = "."
			}
			if !contains(allowed, rel) {
				t.Errorf("%s: %s must not import %s", file, room, rel)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheRootHasNoInterfaces keeps words words: interfaces belong to who uses them.
func TestTheRootHasNoInterfaces(t *testing.T) {
	err := fs.WalkDir(rootFS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && name != "." {
			return errOrSkip(err)
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			b, err := fs.ReadFile(rootFS(), name)
			if err != nil {
				return err
			}
			for _, word := range []string{" interface {", "\tgo func", "chan "} {
				if strings.Contains(string(b), word) {
					t.Errorf("%s has %q in it", name, word)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func errOrSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

// eachFile visits every Go file of the module that is no test.
func eachFile(t *testing.T, visit func(room, file string, imports []string)) error {
	t.Helper()
	return filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name != "." && strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, i := range parsed.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, p)
		}
		visit(path.Dir(filepath.ToSlash(file)), file, imports)
		return nil
	})
}

func contains(allowed []string, room string) bool {
	for _, a := range allowed {
		if a == room || a == "*" {
			return true
		}
	}
	return false
}
