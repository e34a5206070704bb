package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// commands are the indented blocks of a document, one after the other: a shell script. What is fenced is none.
func commands(t *testing.T, document string) (script string, blocks int) {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	inside, fenced := false, false
	for line := range strings.Lines(string(b)) {
		fenced = fenced != strings.HasPrefix(line, "```")
		command, indented := strings.CutPrefix(line, "    ")
		indented = indented && !fenced
		if indented && !inside {
			blocks++
			script += fmt.Sprintf("echo '== block %d'\n", blocks)
		}
		if inside = indented; indented {
			script += command
		}
	}
	return script, blocks
}

// TestTheGuidesCommandsAreRun runs every command of the guides, each one's in their order and in a folder of its own; the first that fails
// ends it. The addresses alone are the test's.
func TestTheGuidesCommandsAreRun(t *testing.T) {
	t.Parallel()
	peer.Program(t, "curl", "curl")
	peer.Program(t, "sqlite3", "sqlite3")
	for name, c := range map[string]struct {
		network string // whose key is $KEY
		own     bool   // it starts nodes of its own
		config  string // of the node that it doesn't start
		blocks  int    // at least, so that none is lost to another form
		prints  []string
	}{
		"operator":    {own: true, blocks: 6, prints: []string{"it can be used", "callsign_build_info{", "Back at six", "ok"}},
		"handsets":    {own: true, blocks: 4, prints: []string{"+8613800000001", "YES", "Back at six"}},
		"im-platform": {network: "im", blocks: 2, prints: []string{"stored", "duplicate"}},
		"integrator":  {blocks: 4, prints: []string{"Back at six", "openapi", "Wang Wei"}},
		"policies":    {blocks: 3, prints: []string{"account: im/10001", "family", "policy is kept"}},
		"texts": {
			network: "im", config: "sync: { moderation: { required: true } }\n",
			blocks: 3, prints: []string{"CS-", "pending", "On the road"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			script, blocks := commands(t, filepath.Join("../docs", name+".md"))
			if blocks < c.blocks {
				t.Fatalf("the document has %d blocks of commands, want %d at least", blocks, c.blocks)
			}
			dir := t.TempDir()
			if err := os.Symlink(binary, filepath.Join(dir, "callsign")); err != nil {
				t.Fatal(err)
			}
			environment := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			if c.own {
				script = strings.ReplaceAll(script, "127.0.0.1", peer.Host())
			} else {
				n := serve(t, func(config string) string { return config + c.config })
				n.ready()
				n.do(http.MethodPut, "/v1/subscribers/"+bob.E164()+"/accounts/im/10001", "", nil)
				environment = append(environment, "SERVER=http://"+n.http, "CALLSIGN_SERVER=http://"+n.http, "CALLSIGN_KEY="+n.admin)
				if c.network != "" {
					environment = append(environment, "KEY="+strings.TrimSpace(n.command("key", "create", "--role", "source", "--network", c.network)))
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			shell := exec.CommandContext(ctx, "sh", "-eu")
			shell.Dir, shell.Env, shell.Stdin = dir, environment, strings.NewReader(script)
			shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it leaves in the background ends with it
			out, err := os.Create(filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			shell.Stdout, shell.Stderr = out, out // no pipe, which what is in the background would hold open
			runErr := shell.Run()
			_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL)
			b, err := os.ReadFile(out.Name())
			if err != nil {
				t.Fatal(err)
			}
			if runErr != nil {
				t.Fatalf("%v, behind\n%s", runErr, b)
			}
			for _, want := range c.prints {
				if !strings.Contains(string(b), want) {
					t.Errorf("nothing prints %q:\n%s", want, b)
				}
			}
			if !strings.Contains(string(b), fmt.Sprintf("== block %d", blocks)) {
				t.Errorf("not every block ran:\n%s", b)
			}
		})
	}
}

func TestTheUnitIsWhatSystemdTakes(t *testing.T) {
	t.Parallel()
	systemd := peer.Program(t, "systemd-analyze", "systemd")
	unit, err := os.ReadFile("../callsign.service")
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "callsign.service")
	if err := os.WriteFile(at, []byte(strings.ReplaceAll(string(unit), "/usr/local/bin/callsign", binary)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), systemd, "verify", at).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// Its threshold is tenths: what is under 2 is "OK", of 10.
	if out, err := exec.CommandContext(t.Context(), systemd, "security", "--offline=true", "--threshold=20", at).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
