package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// feed is an example that pushes, and the changes that it is fed with: text N is the account's N % 10.
type feed struct {
	t     *testing.T
	n     *node
	key   string
	start func() *exec.Cmd
	log   logged

	cmd   *exec.Cmd
	stdin io.WriteCloser
	taken *bufio.Scanner // its standard output
}

// logged is what the example says on its standard error; the test shows it if it fails.
type logged struct{ strings.Builder }

const fedAccounts = 10

func newFeed(t *testing.T, command func(url string) *exec.Cmd) *feed {
	t.Helper()
	f := &feed{t: t, n: serve(t, nil)}
	f.key, _ = f.n.sourceKey(object{"network": "im", "source": "im.example"})
	for i := range fedAccounts {
		f.n.link("im", fmt.Sprint("user", i))
	}
	f.n.ready()
	f.start = func() *exec.Cmd {
		cmd := command("ws://" + f.n.http + "/v1/push")
		cmd.Env = append(os.Environ(), "CALLSIGN_KEY="+f.key)
		return cmd
	}
	t.Cleanup(func() {
		if f.cmd != nil {
			_ = f.cmd.Process.Kill()
			_ = f.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the example said:\n%s", f.log.String())
		}
	})
	f.run()
	return f
}

func (f *feed) run() {
	f.t.Helper()
	f.cmd = f.start()
	f.cmd.Stderr, f.cmd.WaitDelay = &f.log, time.Second
	var err error
	if f.stdin, err = f.cmd.StdinPipe(); err != nil {
		f.t.Fatal(err)
	}
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	f.taken = bufio.NewScanner(stdout)
	if err := f.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
}

// write feeds the changes from first to last, until the example is killed.
func (f *feed) write(first, last int) {
	for i := first; i <= last; i++ {
		if _, err := fmt.Fprintf(f.stdin, `{"account":"user%d","text":"text %d"}`+"\n", i%fedAccounts, i); err != nil {
			return
		}
	}
}

// ends waits for the example to have pushed everything, and looks whether it is there.
func (f *feed) ends(last int) {
	f.t.Helper()
	_ = f.stdin.Close()
	for f.taken.Scan() { // until it ends
	}
	err := f.cmd.Wait()
	f.cmd = nil
	if err != nil {
		f.t.Fatalf("the example ended with %v", err)
	}
	for i := last - fedAccounts + 1; i <= last; i++ {
		if got, want := f.n.textOf(bob.E164(), "im", fmt.Sprint("user", i%fedAccounts)), fmt.Sprint("text ", i); got != want {
			f.t.Errorf("user%d says %q, want %q", i%fedAccounts, got, want)
		}
	}
	if strings.Contains(f.log.String(), "stale") {
		f.t.Error("a change was told after a newer one")
	}
}

func TestTheNodeExamplePushesWhatItReads(t *testing.T) {
	t.Parallel()
	node, modules := peer.Node(t, "ws")
	dir := t.TempDir() // as npm install would leave it
	source, err := os.ReadFile("../examples/node/push.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "push.mjs"), source, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	f := newFeed(t, func(url string) *exec.Cmd {
		return exec.Command(node, filepath.Join(dir, "push.mjs"), url, "im.example")
	})
	says := func(account, text string) {
		f.n.until(account+" to say "+text, func() bool { return f.n.textOf(bob.E164(), "im", account) == text })
	}
	f.write(1, 300)
	_, _ = io.WriteString(f.stdin, `{"account":"late","text":"Too early"}`+"\n")
	says("user0", "text 300")
	f.n.until("late to be asked for", func() bool { return strings.Contains(f.log.String(), "unlinked") })
	f.n.link("im", "late")
	says("late", "Too early") // by resync
	if err := f.n.process.Terminate(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.write(301, 400) // while the node is away
	f.n.start()
	f.n.ready()
	says("user0", "text 400")
	f.write(401, 3000)
	f.n.until("the first of them", func() bool { return f.n.textOf(bob.E164(), "im", "user0") != "text 400" })
	f.n.process.Kill()
	f.n.start()
	f.n.ready()
	f.ends(3000)
}

func TestThePythonExampleGoesOnAfterAnybodyIsKilled(t *testing.T) {
	t.Parallel()
	python, outbox := peer.Python(t), filepath.Join(t.TempDir(), "outbox.db")
	f := newFeed(t, func(url string) *exec.Cmd {
		return exec.Command(python, "../examples/python/push.py", url, "im.example", outbox)
	})
	const changes = 900
	next := func() int {
		if !f.taken.Scan() {
			t.Fatalf("the example ended: %v", f.cmd.Wait())
		}
		n, err := strconv.Atoi(f.taken.Text())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	taken := next()
	for _, until := range []int{200, 400} { // it is killed at these
		go f.write(taken+1, changes)
		for taken < until {
			taken = next()
		}
		_ = f.cmd.Process.Kill()
		_ = f.cmd.Wait()
		f.run()
		if again := next(); again < taken {
			t.Fatalf("it took %d, and after it was killed %d", taken, again)
		} else {
			taken = again // it may have taken more than it could say
		}
	}
	written := make(chan struct{})
	go func() { f.write(taken+1, changes); close(written) }()
	for taken < 600 {
		taken = next()
	}
	f.n.process.Kill()
	for taken < 750 { // it takes more while the node is away
		taken = next()
	}
	f.n.start()
	f.n.ready()
	for taken < changes {
		taken = next()
	}
	<-written
	f.ends(changes)
	f.n.ready()
	conn, resumeFrom := f.n.dial(f.key)
	if _ = conn.Close(); resumeFrom != changes {
		t.Errorf("resume_from is %d, want each of %d changes once", resumeFrom, changes)
	}
}
