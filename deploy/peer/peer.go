// Package peer gives tests the programs that are not ours: SIPp, tshark, Kamailio, Prosody, node with npm's packages, Python. Without CALLSIGN_TEST_PEERS a
// test whose peer is absent skips and says so; with it, as deploy/test.sh sets it, absence fails. Whatever is started is
// stopped by its pid at the test's end.
package peer

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Required reports whether an absent peer fails the test.
func Required() bool { return os.Getenv("CALLSIGN_TEST_PEERS") != "" }

// Program is the path of a program of Debian's package, or the test skips.
func Program(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Absent(t, fmt.Sprintf("%s is not installed (Debian's %s): deploy/test.sh installs it", name, debian))
	}
	return path
}

// Absent skips the test for want of a peer, or fails it where peers are required.
func Absent(t testing.TB, why string) {
	t.Helper()
	if Required() {
		t.Fatal(why)
	}
	t.Skip(why)
}

// SIPp is the path of SIPp.
func SIPp(t testing.TB) string { return Program(t, "sipp", "sip-tester") }

// Tshark is the path of tshark.
func Tshark(t testing.TB) string { return Program(t, "tshark", "tshark") }

// Node is the path of node and the folder of node_modules with npm's package in it.
func Node(t testing.TB, npm string) (node, modules string) {
	t.Helper()
	node = Program(t, "node", "nodejs")
	modules = os.Getenv("CALLSIGN_NODE_PATH")
	if _, err := os.Stat(filepath.Join(modules, npm)); modules == "" || err != nil {
		Absent(t, "npm's "+npm+" is not in CALLSIGN_NODE_PATH: deploy/test.sh installs it")
	}
	return node, modules
}

// Python is the path of Python 3, of which its standard library is enough.
func Python(t testing.TB) string { return Program(t, "python3", "python3") }

var lastHost atomic.Uint32

// Host is a loopback address of this test's own, so that fixed ports never collide: of 2500 that a process has. Processes of 6250
// numbers in a row have others.
func Host() string {
	n, pid := int(lastHost.Add(1)), os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 2+pid%250, 1+pid/250%25*10+n/250, 1+n%250)
}

// UDPPort is a port of host that was free a moment ago.
func UDPPort(t testing.TB, host string) int {
	t.Helper()
	c, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// Process is a program under test or beside it.
type Process struct {
	cmd    *exec.Cmd
	output lockedBuffer
	done   chan struct{}
	err    error
}

// Start runs a program until it ends or the test does. Its output is shown when the test fails.
func Start(t testing.TB, path string, environ []string, args ...string) *Process {
	t.Helper()
	return startAs(t, nil, t.TempDir(), path, environ, args...)
}

// startAs is Start by another user (nil: by this one), in a folder that it may enter.
func startAs(t testing.TB, user *syscall.Credential, dir, path string, environ []string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	p.cmd.Env = append(os.Environ(), environ...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.Dir, p.cmd.WaitDelay = dir, 5*time.Second // what it leaves behind may hold its output open
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s %v:\n%s", filepath.Base(path), args, p.Output())
		}
	})
	return p
}

// Kill is kill -9; it returns when the process is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// signal sends a signal to the process and its children.
func (p *Process) signal(sig syscall.Signal) {
	pid := p.cmd.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(n, sig)
		}
	}
	_ = syscall.Kill(pid, sig)
}

// Terminate asks the process to stop and returns how it ended.
func (p *Process) Terminate(ctx context.Context) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.Wait(ctx)
}

// Wait returns how the process ended.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%s did not end: %w", p.cmd.Path, ctx.Err())
	}
}

// Output is what the process printed so far.
func (p *Process) Output() string { return p.output.String() }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Until waits for a condition, at most 20 seconds.
func Until(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s in vain for %s", what)
		}
	}
}
