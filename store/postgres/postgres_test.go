package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"

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

func TestUntilItIsOpenAndOnceItIsClosedItIsUnavailable(t *testing.T) {
	e := postgres.New(postgres.Options{URL: "postgres://callsign@" + peer.Host() + ":1/none"})
	if err := e.Open(t.Context()); !errors.Is(err, callsign.ErrUnavailable) {
		t.Errorf("open where no server is: %v, want ErrUnavailable", err)
	}
	check := func(when string) {
		_, profile := e.Profile(t.Context(), 1)
		_, keep := e.Keep(t.Context(), nil)
		_, list := e.Keys(t.Context(), callsign.Scope{})
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
