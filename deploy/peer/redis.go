package peer

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// RedisServer is a server of a test's own, without a disk.
type RedisServer struct {
	t       testing.TB
	host    string
	process *Process
}

// Redis starts a server.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	Program(t, "redis-cli", "redis-tools")
	s := &RedisServer{t: t, host: Host()}
	s.Start()
	return s
}

// Start starts it again, empty, and waits until it answers.
func (s *RedisServer) Start() {
	s.t.Helper()
	s.process = Start(s.t, Program(s.t, "redis-server", "redis-server"), nil, "--bind", s.host, "--port", "6379", "--save", "", "--appendonly", "no")
	Until(s.t, "Redis to answer", func() bool { return s.Command("PING") == nil })
}

// Command runs a command of redis-cli on it.
func (s *RedisServer) Command(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", append([]string{"-e", "-h", s.host, "-p", "6379"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// URL is where it is.
func (s *RedisServer) URL() string { return "redis://" + s.host + ":6379" }

// Kill is kill -9.
func (s *RedisServer) Kill() { s.process.Kill() }

// Pause stops it without ending it, as a machine does that hangs, until Resume.
func (s *RedisServer) Pause() { _ = s.process.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *RedisServer) Resume() { _ = s.process.cmd.Process.Signal(syscall.SIGCONT) }
