package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store/sqlite"
	"github.com/callsign-as/callsign/store/storetest"
)

func open(t *testing.T, path string) *sqlite.Engine {
	t.Helper()
	e, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestEngine(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Engine { return open(t, filepath.Join(t.TempDir(), "a b?c#d%20.db")) })
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	if err := open(t, newer).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for fact, c := range map[string]struct{ path, want string }{
		"no path":                     {"", "set store.url"},
		"no such directory":           {filepath.Join(dir, "no", "x.db"), "create it"},
		"a file is not a directory":   {filepath.Join(text, "x.db"), "set store.url"},
		"a directory is not a file":   {dir, "set store.url to a file in it"},
		"a text is not a database":    {text, "it is no SQLite database"},
		"a newer schema is not known": {newer, "9999"},
	} {
		e, err := sqlite.Open(t.Context(), sqlite.Options{Path: c.path})
		if err == nil {
			t.Errorf("%s: opened", fact)
			_ = e.Close()
			continue
		}
		if !strings.Contains(err.Error(), c.want) || errors.Is(err, callsign.ErrUnavailable) {
			t.Errorf("%s: error %q, want one that says %q", fact, err, c.want)
		}
	}
}

func TestANewDatabaseIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	open(t, path)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		st, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if got := st.Mode().Perm(); got != 0o600 {
			t.Errorf("mode of %s is %o, want 600", st.Name(), got)
		}
	}
}

func TestManyMayOpenANewFileAtOnce(t *testing.T) {
	for range 5 {
		path := filepath.Join(t.TempDir(), "x.db")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				e, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
				if err != nil {
					t.Error(err)
					return
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func TestAClosedEngineIsUnavailable(t *testing.T) {
	e := open(t, filepath.Join(t.TempDir(), "x.db"))
	stands, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- e.Changes(t.Context(), func(callsign.MSISDN, uint64) {}, func() { close(stands) }) }()
	<-stands
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	_, profile := e.Profile(t.Context(), 1)
	_, keep := e.Keep(t.Context(), nil)
	for method, err := range map[string]error{
		"Profile": profile, "Keep": keep, "Ping": e.Ping(t.Context()), "Changes, running": <-ended,
		"Changes": e.Changes(t.Context(), nil, nil),
	} {
		if !errors.Is(err, callsign.ErrUnavailable) {
			t.Errorf("%s of a closed engine: %v, want ErrUnavailable", method, err)
		}
	}
}

func TestUntilItIsOpenItIsUnavailable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	e := sqlite.New(sqlite.Options{Path: filepath.Join(dir, "x.db")})
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Open(t.Context()); err == nil {
		t.Fatal("opened where no directory is")
	}
	_, profile := e.Profile(t.Context(), 1)
	_, keep := e.Keep(t.Context(), nil)
	_, list := e.Keys(t.Context(), callsign.Scope{}, callsign.Page{})
	for method, err := range map[string]error{"Profile": profile, "Keep": keep, "Keys": list, "Ping": e.Ping(t.Context())} {
		if !errors.Is(err, callsign.ErrUnavailable) {
			t.Errorf("%s of an engine that isn't open: %v, want ErrUnavailable", method, err)
		}
	}
	// A listener may come first, and hears what happens once it is open.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stands, told := make(chan struct{}), make(chan callsign.MSISDN, 1)
	go func() { _ = e.Changes(ctx, func(m callsign.MSISDN, _ uint64) { told <- m }, func() { close(stands) }) }()
	<-stands
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // being open already is no error
		if err := e.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.PutSubscriber(t.Context(), callsign.Scope{Tenant: "x"}, callsign.Subscriber{MSISDN: 5}); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != 5 {
		t.Errorf("told of %d, want 5", got)
	}
}

func TestWhatWasKeptIsThereWhenOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	e := open(t, path)
	scope := callsign.Scope{Tenant: callsign.DefaultTenant}
	if _, err := e.PutSubscriber(t.Context(), scope, callsign.Subscriber{MSISDN: 49301, Name: "N"}); err != nil {
		t.Fatal(err)
	}
	before, err := e.Profile(t.Context(), 49301)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := open(t, path).Profile(t.Context(), 49301); err != nil || after != before {
		t.Errorf("opened again: %+v, %v, was %+v", after, err, before)
	}
}

// TestAnotherProcessMayWriteKeys needs a real second process: SQLite's locks are the process's.
func TestAnotherProcessMayWriteKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	e := open(t, path)
	if _, err := e.KeyByHash(t.Context(), [32]byte{7}); !errors.Is(err, callsign.ErrNotFound) {
		t.Fatal(err)
	}
	if out, err := child(t, "key", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if k, err := e.KeyByHash(t.Context(), [32]byte{7}); err != nil || k.ID != "first" {
		t.Errorf("the other process's key is %+v, %v", k, err)
	}
	if err := e.PutKey(t.Context(), callsign.Key{ID: "second", Hash: [32]byte{8}, Scope: callsign.Scope{Tenant: "x"}}); err != nil {
		t.Errorf("writing after it: %v", err)
	}
}

// TestKilledItHasWhatItAcknowledged kills a process that keeps texts as fast as it can; each that it had printed as kept
// must be there.
func TestKilledItHasWhatItAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	cmd := child(t, "keep", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked int64
	lines := bufio.NewScanner(out)
	for lines.Scan() { // to the end: what it had written before it died was acknowledged
		if n, err := fmt.Sscanf(lines.Text(), "kept %d", &acked); n != 1 {
			t.Errorf("the child says %q: %v", lines.Text(), err)
			break
		}
		if acked == 50 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // "signal: killed"
	if acked < 50 {
		t.Fatalf("the child was to keep 50 and kept %d", acked)
	}
	e := open(t, path)
	seq, err := e.Cursor(t.Context(), "x", "src")
	if err != nil || seq < acked {
		t.Errorf("%d were acknowledged, %d are durable, %v", acked, seq, err)
	}
	for n := int64(1); n <= acked; n++ {
		p, err := e.Profile(t.Context(), callsign.MSISDN(n))
		if want := fmt.Sprintf("text %d", n); err != nil || p.Signature.Text != want {
			t.Errorf("after the kill %d says %q, %v, want %q", n, p.Signature.Text, err, want)
		}
	}
}

// TestKilledAgainAndAgainItHasWhatItAcknowledged kills processes of which each begins with what the one before left.
func TestKilledAgainAndAgainItHasWhatItAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var acks storetest.Acks
	for range 20 {
		acks.Kill(t, child(t, "victim", path))
		if rand.IntN(2) == 0 {
			continue // the next process finds the log as it was left
		}
		e := open(t, path)
		acks.Check(t, e)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		undamaged(t, path)
	}
	acks.Check(t, open(t, path))
	t.Logf("%d updates acknowledged", acks.N())
}

// child runs TestChild of this binary in a process of its own.
func child(t *testing.T, what, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "SQLITE_TEST_CHILD="+what, "SQLITE_TEST_PATH="+path)
	cmd.Stderr = nil
	return cmd
}

// TestChild is what other tests run in processes of their own; alone it does nothing.
func TestChild(t *testing.T) {
	what := os.Getenv("SQLITE_TEST_CHILD")
	if what == "" {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e := open(t, os.Getenv("SQLITE_TEST_PATH"))
	if what == "victim" {
		storetest.Victim(t, e)
		return
	}
	if what == "key" {
		if err := e.PutKey(ctx, callsign.Key{ID: "first", Hash: [32]byte{7}, Scope: callsign.Scope{Tenant: "x"}}); err != nil {
			t.Fatal(err)
		}
		return
	}
	for n := int64(1); ; n++ {
		m := callsign.MSISDN(n)
		if _, err := e.PutSubscriber(ctx, callsign.Scope{Tenant: "x"}, callsign.Subscriber{MSISDN: m}); err != nil {
			t.Fatal(err)
		}
		entry := callsign.Entry{Shown: "x", Change: callsign.Change{
			Tenant: "x", Source: "src", Seq: n, Network: callsign.ManualNetwork, Account: fmt.Sprint(n), Text: fmt.Sprintf("text %d", n),
		}}
		if statuses, err := e.Keep(ctx, []callsign.Entry{entry}); err != nil || statuses[0] != callsign.Stored {
			t.Fatal(statuses, err)
		}
		fmt.Printf("kept %d\n", n)
	}
}
