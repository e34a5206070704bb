package store_test

import (
	"context"
	"flag"
	"reflect"
	"strconv"
	"sync"
	"testing"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/postgres"
	"github.com/callsign-as/callsign/store/redis"
	"github.com/callsign-as/callsign/store/sqlite"
	"github.com/callsign-as/callsign/store/storetest"
)

// layered is an engine with the layers before it that a node has.
type layered struct {
	storetest.Engine
	t      *testing.T
	cached *store.Cached
	told   sync.Map // the greatest revision of each number that memory was told
}

// newLayered runs the layers until the test ends; without a url there is no Redis among them.
func newLayered(t *testing.T, e storetest.Engine, url string) *layered {
	l := &layered{Engine: e, t: t}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	run := func(f func(context.Context) error) {
		running.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	var truth store.Truth = following{l}
	if url != "" {
		client, err := redis.New(redis.Options{URL: url, Prefix: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		profiles := redis.NewProfiles(client, truth, nil)
		run(profiles.Run)
		truth = profiles
	}
	l.cached = store.NewCached(store.CachedOptions{Truth: truth})
	run(l.cached.Run)
	return l
}

// following notes what the feed tells, once memory has heard it.
type following struct{ *layered }

func (f following) Profile(ctx context.Context, m callsign.MSISDN) (callsign.Profile, error) {
	return f.Engine.Profile(ctx, m)
}

func (f following) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	return f.Engine.Changes(ctx, func(m callsign.MSISDN, rev uint64) {
		changed(m, rev)
		f.told.Store(m, rev)
	}, lost)
}

// Profile is what the layers say once they agree with the engine: that they do at last, and say nothing older than they were
// told meanwhile, is held here.
func (l *layered) Profile(ctx context.Context, m callsign.MSISDN) (p callsign.Profile, err error) {
	peer.Until(l.t, "the layers to say what the engine says", func() bool {
		told, _ := l.told.Load(m)
		p, err = l.cached.Profile(ctx, m)
		if rev, _ := told.(uint64); err == nil && p.Rev < rev {
			l.t.Errorf("after an invalidation of revision %d one of %d was read", rev, p.Rev)
		}
		want, wantErr := l.Engine.Profile(ctx, m)
		return reflect.DeepEqual(p, want) && (err == nil) == (wantErr == nil)
	})
	return p, err
}

// TestLayeredEngines holds what a node asks to what its engine must keep.
func TestLayeredEngines(t *testing.T) {
	checks(t, 20) // the engines' own tests make all of them
	server := peer.Postgres(t, false)
	template := server.Database("")
	opened := func(t *testing.T, e interface {
		storetest.Engine
		Open(context.Context) error
		Close() error
	},
	) storetest.Engine {
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
	t.Run("migrate", func(t *testing.T) { opened(t, postgres.New(postgres.Options{URL: template})) })
	standalone, cluster := peer.Redis(t).URL(), peer.Cluster(t)
	for name, open := range map[string]func(t *testing.T) storetest.Engine{
		"SQLite": func(t *testing.T) storetest.Engine {
			return opened(t, sqlite.New(sqlite.Options{Path: t.TempDir() + "/callsign.db"}))
		},
		"PostgreSQL": func(t *testing.T) storetest.Engine {
			return opened(t, postgres.New(postgres.Options{URL: server.Database(template)}))
		},
	} {
		for before, url := range map[string]string{"memory": "", "memory and Redis": standalone, "memory and Redis Cluster": cluster} {
			t.Run(name+" behind "+before, func(t *testing.T) {
				t.Parallel()
				storetest.Run(t, func(t *testing.T) storetest.Engine { return newLayered(t, open(t), url) })
			})
		}
	}
}

// checks is how many sequences a property is tried with until the test ends.
func checks(t *testing.T, n int) {
	f := flag.Lookup("rapid.checks")
	before := f.Value.String()
	t.Cleanup(func() { _ = f.Value.Set(before) })
	if err := f.Value.Set(strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
}
