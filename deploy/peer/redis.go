package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RedisServer is a server of a test's own, without a disk.
type RedisServer struct {
	t          testing.TB
	host, port string
	args       []string
	process    *Process
}

// Redis starts a server.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	return redisAt(t, Host(), 6379)
}

func redisAt(t testing.TB, host string, port int, args ...string) *RedisServer {
	t.Helper()
	Program(t, "redis-cli", "redis-tools")
	s := &RedisServer{t: t, host: host, port: strconv.Itoa(port), args: args}
	s.Start()
	return s
}

// Start starts it again, empty, and waits until it answers.
func (s *RedisServer) Start() {
	s.t.Helper()
	args := append([]string{"--bind", s.host, "--port", s.port, "--save", "", "--appendonly", "no"}, s.args...)
	s.process = Start(s.t, Program(s.t, "redis-server", "redis-server"), nil, args...)
	Until(s.t, "Redis to answer", func() bool { return s.Command("PING") == nil })
}

// Command runs a command of redis-cli on it.
func (s *RedisServer) Command(args ...string) error {
	_, err := s.ask(args...)
	return err
}

func (s *RedisServer) ask(args ...string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", append([]string{"-e", "-h", s.host, "-p", s.port}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

// URL is where it is.
func (s *RedisServer) URL() string { return "redis://" + s.host + ":" + s.port }

// Kill is kill -9.
func (s *RedisServer) Kill() { s.process.Kill() }

// Pause stops it without ending it, as a machine does that hangs, until Resume.
func (s *RedisServer) Pause() { _ = s.process.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *RedisServer) Resume() { _ = s.process.cmd.Process.Signal(syscall.SIGCONT) }

// Cluster starts three masters that share the keys, and gives the URL of all.
func Cluster(t testing.TB) (url string) {
	t.Helper()
	host := Host()
	var nodes []*RedisServer
	var hosts []string
	for port := 7001; port <= 7003; port++ {
		nodes = append(nodes, redisAt(t, host, port, "--cluster-enabled", "yes", "--cluster-announce-ip", host))
		hosts = append(hosts, fmt.Sprint(host, ":", port))
	}
	if err := nodes[0].Command(append(append([]string{"--cluster", "create"}, hosts...), "--cluster-yes")...); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		Until(t, "the cluster to stand", func() bool {
			answer, err := n.ask("CLUSTER", "INFO")
			return err == nil && strings.Contains(answer, "cluster_state:ok")
		})
	}
	return "redis+cluster://" + strings.Join(hosts, ",")
}

// Sentinel starts a master with a copy, and a sentinel that makes the copy master once the master is gone: failOver kills
// it, and returns then.
func Sentinel(t testing.TB) (url string, failOver func()) {
	t.Helper()
	host := Host()
	master := redisAt(t, host, 6379)
	second := redisAt(t, host, 6380, "--replicaof", host+" 6379", "--replica-announce-ip", host)
	Until(t, "the copy to be complete", func() bool {
		answer, err := second.ask("INFO", "replication")
		return err == nil && strings.Contains(answer, "master_link_status:up")
	})
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, "sentinel monitor main %s 6379 1\nsentinel down-after-milliseconds main 300\n", host), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := &RedisServer{t: t, host: host, port: "26379"}
	sentinel.process = Start(t, Program(t, "redis-server", "redis-server"), nil, config, "--sentinel", "--bind", host)
	Until(t, "the sentinel to know the copy", func() bool {
		answer, err := sentinel.ask("SENTINEL", "REPLICAS", "main")
		return err == nil && strings.Contains(answer, "6380")
	})
	return "redis+sentinel://" + host + ":26379/main", func() {
		master.Kill()
		Until(t, "the copy to be master", func() bool {
			answer, err := sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
			return err == nil && strings.Contains(answer, "6380")
		})
	}
}
