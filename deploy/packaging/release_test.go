package packaging

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

const testRelease = "v1.2.3"

// release builds one from a clone of its own, as somebody elsewhere would, and gives its folder.
func release(t *testing.T) string {
	t.Helper()
	clone, out := filepath.Join(t.TempDir(), "callsign"), t.TempDir()
	if _, err := os.Stat("../../.git"); err != nil {
		t.Skip("this is no clone of the repository, and a release is made of a commit")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"git", "-c", "safe.directory=*", "clone", "--quiet", "file://" + root, clone},
		{"sh", filepath.Join(clone, "deploy/release.sh"), testRelease, out},
	} {
		if said, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, said)
		}
	}
	return out
}

func TestAReleaseIsTheSameBytesWhereverItIsBuilt(t *testing.T) {
	first, second := release(t), release(t)
	entries, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		a, err := os.ReadFile(filepath.Join(first, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(second, e.Name()))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs in the second build: %d and %d bytes, %v", e.Name(), len(a), len(b), err)
		}
	}
	want := "SHA256SUMS callsign-v1.2.3-deploy.tar.gz callsign-v1.2.3-linux-amd64 callsign-v1.2.3-linux-amd64.cdx.json callsign-v1.2.3-linux-arm64 callsign-v1.2.3-linux-arm64.cdx.json"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("a release is %s\nwant         %s", got, want)
	}
	holdsWhatItsDocumentsLinkTo(t, filepath.Join(first, "callsign-"+testRelease+"-deploy.tar.gz"))
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = first
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != len(names)-1 {
		t.Errorf("%v\n%s", err, out)
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		path := filepath.Join(first, "callsign-"+testRelease+"-linux-"+arch)
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if libraries, _ := f.ImportedLibraries(); f.Machine != machine || len(libraries) > 0 || f.Section(".interp") != nil {
			t.Errorf("%s is for %v and needs %v", path, f.Machine, libraries)
		}
		_ = f.Close()
		var bill struct {
			Metadata   struct{ Component struct{ Version string } }
			Components []struct{ Name string }
		}
		b, err := os.ReadFile(path + ".cdx.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &bill); err != nil || bill.Metadata.Component.Version != testRelease || !strings.Contains(string(b), `"modernc.org/sqlite"`) {
			t.Errorf("the bill of %s is of %+v: %v", arch, bill.Metadata, err)
		}
		if bytes.Contains(b, []byte(os.TempDir())) {
			t.Errorf("the bill of %s has a path of this machine in it", arch)
		}
		if arch == runtime.GOARCH {
			if out, err := exec.CommandContext(t.Context(), path, "version").Output(); err != nil || !strings.HasPrefix(string(out), "callsign "+testRelease+" (") {
				t.Errorf("its version is %q, %v", out, err)
			}
		}
	}
}

var linked = regexp.MustCompile(`\]\(([^)\s#:]+)`)

func holdsWhatItsDocumentsLinkTo(t *testing.T, archive string) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	guides, err := filepath.Glob(filepath.Join(dir, "deploy/docs/*.md"))
	if err != nil || len(guides) < 5 {
		t.Fatalf("it has the guides %v, %v", guides, err)
	}
	for _, document := range append(guides, filepath.Join(dir, "README.md")) {
		b, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range linked.FindAllStringSubmatch(string(b), -1) {
			if to := filepath.Join(filepath.Dir(document), link[1]); !strings.HasPrefix(link[1], "http") {
				if _, err := os.Stat(to); err != nil {
					t.Errorf("%s links to what is not in the archive: %v", filepath.Base(document), err)
				}
			}
		}
	}
}

func TestAReleaseIsRefusedWithReason(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"without a version":      {nil, "release.sh VERSION DIRECTORY"},
		"a version that is none": {[]string{"next", t.TempDir()}, "write it like v1.2.0"},
		"a full directory":       {[]string{testRelease, full}, "name an empty directory"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), "sh", append([]string{"../release.sh"}, c.args...)...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("it says %q, %v; want %q", out, err, c.want)
			}
		})
	}
}
