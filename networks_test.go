package callsign_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

// TestANetworkIsOneFolder keeps what CONTRIBUTING says of adding a network: a folder under sigsync that has all that it needs, one line
// that knows it, and nobody else.
func TestANetworkIsOneFolder(t *testing.T) {
	folders, err := fs.ReadDir(rootFS(), "sigsync")
	if err != nil {
		t.Fatal(err)
	}
	wired, err := fs.ReadFile(rootFS(), "cmd/callsign/provider.go")
	if err != nil {
		t.Fatal(err)
	}
	users := map[string][]string{} // of each folder, the files outside of it that import it
	if err := eachFile(t, func(room, file string, imports []string) {
		for _, i := range imports {
			if network, ours := strings.CutPrefix(i, module+"/sigsync/"); ours && room != "sigsync/"+network {
				users[network] = append(users[network], file)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, folder := range folders {
		name := folder.Name()
		if !folder.IsDir() || name == "testdata" || name == "providertest" { // the latter is of all networks' tests
			continue
		}
		seen++
		has := declared(t, "sigsync/"+name)
		for what, there := range map[string]bool{
			"README.md":                            has["README.md"],
			"type Config":                          has["Config"],
			"func DefaultConfig":                   has["DefaultConfig"],
			"Config.Validate":                      has["Config.Validate"],
			"Config.Limits":                        has["Config.Limits"],
			"a fuzz target":                        has["Fuzz"],
			"arrows to sigsync alone":              slices.Equal(arrows["sigsync/"+name], []string{".", "sigsync"}),
			"one line in cmd/callsign/provider.go": strings.Count(string(wired), "connect("+name+".DefaultConfig,") == 1,
			"no other user":                        slices.Equal(users[name], []string{"cmd/callsign/provider.go"}),
		} {
			if !there {
				t.Errorf("sigsync/%s: %s is missing (used by %v): see Adding a network in CONTRIBUTING.md", name, what, users[name])
			}
		}
	}
	if seen == 0 {
		t.Error("there is no network")
	}
}

// declared are a folder's exported names, methods with their type before them, Fuzz for a fuzz target, and README.md.
func declared(t *testing.T, dir string) map[string]bool {
	t.Helper()
	has := map[string]bool{}
	files, err := fs.ReadDir(rootFS(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		has[f.Name()] = true
		if !strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		source, err := fs.ReadFile(rootFS(), path.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, is := spec.(*ast.TypeSpec); is {
						has[s.Name.Name] = true
					}
				}
			case *ast.FuncDecl:
				has[receiver(d)+d.Name.Name] = true
				if strings.HasSuffix(f.Name(), "_test.go") && strings.HasPrefix(d.Name.Name, "Fuzz") {
					has["Fuzz"] = true
				}
			}
		}
	}
	return has
}

// receiver is the type of a method with a dot behind it.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	of := d.Recv.List[0].Type
	if star, is := of.(*ast.StarExpr); is {
		of = star.X
	}
	if name, is := of.(*ast.Ident); is {
		return name.Name + "."
	}
	return ""
}
