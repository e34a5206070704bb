package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store/postgres"
	"github.com/callsign-as/callsign/store/storetest"
)

func open(t testing.TB, url string) *postgres.Engine {
	t.Helper()
	e := postgres.New(postgres.Options{URL: url})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// migrated is a database with its schema and nothing in it, to be copied.
func migrated(t *testing.T, s *peer.PostgreSQL) (url string) {
	url = s.Database("")
	e := postgres.New(postgres.Options{URL: url})
	if err := errors.Join(e.Open(t.Context()), e.Close()); err != nil {
		t.Fatal(err)
	}
	return url
}

func TestEngine(t *testing.T) {
	server := peer.Postgres(t, false)
	template := migrated(t, server)
	storetest.Run(t, func(t *testing.T) storetest.Engine { return open(t, server.Database(template)) })
}

func TestNodesThatStartAtOnceMakeOneSchema(t *testing.T) {
	url := peer.Postgres(t, false).Database("")
	var nodes sync.WaitGroup
	for range 5 {
		nodes.Go(func() {
			e := postgres.New(postgres.Options{URL: url})
			if err := errors.Join(e.Open(t.Context()), e.Ping(t.Context()), e.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
}

func TestOpenSaysWhatToDo(t *testing.T) {
	server := peer.Postgres(t, false)
	newer := migrated(t, server)
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(ctx)
	at := strings.TrimSuffix(newer, "/t1")
	for name, c := range map[string]struct{ url, want string }{
		"a newer schema":              {newer, "start the newer version, or restore the backup"},
		"a database that isn't there": {at + "/nowhere", "createdb -O callsign nowhere"},
		"a user that isn't there":     {strings.Replace(at, "callsign@", "nobody:secret@", 1) + "/t1", "see user and password of store.url"},
		"no URL":                      {"postgres://u:secret@h:x/db", "write postgres://USER"},
	} {
		t.Run(name, func(t *testing.T) {
			e := postgres.New(postgres.Options{URL: c.url})
			defer e.Close()
			err := e.Open(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || errors.Is(err, callsign.ErrUnavailable) {
				t.Errorf("got %v, want %q in it, no password, and not ErrUnavailable", err, c.want)
			}
		})
	}
}

func TestUntilItIsOpenAndOnceItIsClosedItIsUnavailable(t *testing.T) {
	e := postgres.New(postgres.Options{URL: "postgres://callsign@" + peer.Host() + ":1/none"})
	if err := e.Open(t.Context()); !errors.Is(err, callsign.ErrUnavailable) {
		t.Errorf("open where no server is: %v, want ErrUnavailable", err)
	}
	check := func(when string) {
		_, profile := e.Profile(t.Context(), 1)
		_, keep := e.Keep(t.Context(), nil)
		_, list := e.Keys(t.Context(), callsign.Scope{}, callsign.Page{})
		for method, err := range map[string]error{
			"Profile": profile, "Keep": keep, "Keys": list, "Ping": e.Ping(t.Context()), "AppendEvents": e.AppendEvents(t.Context(), nil),
			"Changes": e.Changes(context.Background(), nil, nil),
		} {
			if !errors.Is(err, callsign.ErrUnavailable) {
				t.Errorf("%s %s: %v, want ErrUnavailable", method, when, err)
			}
		}
	}
	check("before it is open")
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	check("once it is closed")
}
