package packaging

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func TestTheImageIsTheBinaryAndNobodys(t *testing.T) {
	f, err := os.Open("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		t.Errorf("it is built on %s, want scratch", last.BaseName)
	}
	var user, entry, command []string
	var copied []string
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = append(user, c.User)
		case *instructions.EntrypointCommand:
			entry = c.CmdLine
		case *instructions.CmdCommand:
			command = c.CmdLine
		case *instructions.CopyCommand:
			copied = append(copied, c.DestPath)
			if c.From != "build" {
				t.Errorf("COPY from %q: there is no such stage", c.From)
			}
		}
	}
	if len(user) != 1 || strings.HasPrefix(user[0], "0") || strings.HasPrefix(user[0], "root") {
		t.Errorf("it runs as %v", user)
	}
	if !slices.Equal(entry, []string{"/callsign"}) || !slices.Contains(copied, entry[0]) || command[0] != "serve" {
		t.Errorf("it runs %v %v, and has %v", entry, command, copied)
	}
	for _, c := range stages[0].Commands { // what it needs of this tree is there
		if c, ok := c.(*instructions.CopyCommand); ok {
			for _, source := range c.SourcePaths {
				if _, err := os.Stat(filepath.Join("../..", source)); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
