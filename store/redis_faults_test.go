package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/redis"
	"github.com/callsign-as/callsign/store/sqlite"
	"github.com/callsign-as/callsign/store/storetest"
)

// TestAFaultOfRedisHarmsNobody has one node take updates and two look up through one Redis, which fails. Their memories have no
// room, so that each look-up asks it.
func TestAFaultOfRedisHarmsNobody(t *testing.T) {
	lasting := storetest.Lasting(t)
	for name, fault := range map[string]func(t *testing.T, s *peer.RedisServer){
		"killed": func(t *testing.T, s *peer.RedisServer) { s.Kill(); storetest.Last(t, lasting); s.Start() },
		"hung":   func(t *testing.T, s *peer.RedisServer) { s.Pause(); storetest.Last(t, lasting); s.Resume() },
		"flushed": func(t *testing.T, s *peer.RedisServer) {
			if err := s.Command("FLUSHALL"); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := peer.Redis(t)
			e := sqlite.New(sqlite.Options{Path: t.TempDir() + "/callsign.db"})
			if err := e.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			updates := storetest.NewUpdates(t, e)
			runs := []func(context.Context){func(ctx context.Context) { seldom(ctx, updates) }}
			var nodes [2]*storetest.LookUps
			var metrics [2]*prometheus.Registry
			for i := range nodes {
				metrics[i] = prometheus.NewRegistry()
				client, err := redis.New(redis.Options{URL: server.URL()})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = client.Close() })
				profiles := redis.NewProfiles(client, e, metrics[i])
				nodes[i] = storetest.NewLookUps(t, store.CachedOptions{Truth: profiles, MaxBytes: 1})
				runs = append(runs, nodes[i].Run, func(ctx context.Context) { _ = profiles.Run(ctx) })
			}
			stop := storetest.Go(t, runs...)
			hits := func(more float64) {
				t.Helper()
				for i := range nodes {
					before := counted(t, metrics[i], "hit")
					peer.Until(t, "Redis to be believed", func() bool { return counted(t, metrics[i], "hit") >= before+more })
				}
			}
			hits(100)
			fault(t, server)
			hits(100)
			stop()
			updates.Check(t, e)
			for _, n := range nodes {
				if n.Failed.Load() > 0 || updates.Refusals.Load() > 0 {
					t.Errorf("%d look-ups failed, %d updates were refused", n.Failed.Load(), updates.Refusals.Load())
				}
				t.Logf("%d updates; %d look-ups, the longest took %v", updates.N(), n.N.Load(), time.Duration(n.Longest.Load()))
			}
		})
	}
}

// seldom updates everybody every three seconds: who is told of all the time never believes Redis.
func seldom(ctx context.Context, updates *storetest.Updates) {
	tick := time.NewTicker(3 * time.Second / storetest.People)
	defer tick.Stop()
	for i := 0; ; i = (i + 1) % storetest.People {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			updates.Next(ctx, i)
		}
	}
}

func counted(t *testing.T, metrics *prometheus.Registry, result string) (n float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "callsign_redis_profiles_total" && l.GetValue() == result {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}
