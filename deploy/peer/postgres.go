package peer

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// PostgreSQL is a server of a test's own, in a temporary folder.
type PostgreSQL struct {
	t       testing.TB
	bin     string
	data    string
	host    string
	durable bool
	user    *syscall.Credential
	process *Process
	last    atomic.Int64
}

// Postgres starts a server. durable: with fsync, as faults need it; else without, which is faster.
func Postgres(t testing.TB, durable bool) *PostgreSQL {
	t.Helper()
	s := &PostgreSQL{t: t, host: Host(), durable: durable}
	// Debian keeps the server's programs out of PATH.
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres"); found != nil {
		s.bin = filepath.Dir(slices.Max(found))
	} else {
		s.bin = filepath.Dir(Program(t, "postgres", "postgresql"))
	}
	base, err := os.MkdirTemp("", "postgres") // not t.TempDir, which only its owner may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	s.data = filepath.Join(base, "data")
	s.unprivileged(base)
	initdb := exec.CommandContext(t.Context(), filepath.Join(s.bin, "initdb"), "-D", s.data, "-U", "callsign", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	initdb.Dir = base
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Start()
	return s
}

// unprivileged gives the folder to whom the server runs as: it refuses to run as root.
func (s *PostgreSQL) unprivileged(folder string) {
	if os.Getuid() != 0 {
		return
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		s.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		break
	}
	if err := os.Chown(folder, int(s.user.Uid), int(s.user.Gid)); err != nil {
		s.t.Fatal(err)
	}
}

// Start starts the server again, and waits until it answers.
func (s *PostgreSQL) Start() {
	s.t.Helper()
	args := []string{"-D", s.data, "-h", s.host, "-p", "5432", "-c", "unix_socket_directories=", "-c", "max_connections=100", "-c", "shared_buffers=64MB"}
	if !s.durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	s.process = startAs(s.t, s.user, filepath.Dir(s.data), filepath.Join(s.bin, "postgres"), nil, args...)
	s.t.Cleanup(s.Stop) // before it is killed, which would leave its children
	Until(s.t, "PostgreSQL to answer", func() bool { return s.sql("postgres", "SELECT 1") == nil })
}

// Stop stops the server at once, breaking its connections.
func (s *PostgreSQL) Stop() {
	s.Resume() // one that hangs would not hear of it
	_ = s.process.cmd.Process.Signal(syscall.SIGINT)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _ = s.process.Wait(ctx); ctx.Err() != nil {
		s.t.Error("PostgreSQL did not stop within 20 s")
	}
}

// Kill is kill -9 of the server and its children, which would live on without it until they notice.
func (s *PostgreSQL) Kill() {
	s.process.signal(syscall.SIGSTOP)
	s.process.signal(syscall.SIGKILL)
	s.process.Kill()
}

// Pause stops all of it without ending anything, as a machine does that hangs, until Resume.
func (s *PostgreSQL) Pause() { s.process.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *PostgreSQL) Resume() { s.process.signal(syscall.SIGCONT) }

func (s *PostgreSQL) sql(database, statement string) error {
	out, err := exec.Command(filepath.Join(s.bin, "psql"), "-h", s.host, "-U", "callsign", "-d", database, "-qAtc", statement).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// Database makes a database, as a copy of template or empty, and gives its URL.
func (s *PostgreSQL) Database(template string) string {
	s.t.Helper()
	name := fmt.Sprintf("t%d", s.last.Add(1))
	statement := "CREATE DATABASE " + name
	if template != "" {
		u, err := url.Parse(template)
		if err != nil {
			s.t.Fatal(err)
		}
		statement += " TEMPLATE " + u.Path[1:]
	}
	if err := s.sql("postgres", statement); err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("postgres://callsign@%s:5432/%s", s.host, name)
}
