package postgres_test

import (
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/storetest"
)

// TestAFaultLosesNothing has one node take updates and another look callees up while their server fails.
func TestAFaultLosesNothing(t *testing.T) {
	away := storetest.Lasting(t)
	for name, fault := range map[string]func(*peer.PostgreSQL){
		"stopped": (*peer.PostgreSQL).Stop,
		"killed":  (*peer.PostgreSQL).Kill,
		"hung":    (*peer.PostgreSQL).Pause,
	} {
		t.Run(name, func(t *testing.T) {
			server := peer.Postgres(t, true)
			url := server.Database("")
			keeper := open(t, url)
			updates := storetest.NewUpdates(t, keeper)
			lookUps := storetest.NewLookUps(t, store.CachedOptions{Truth: open(t, url)})
			stop := storetest.Go(t, updates.Run, lookUps.Run)
			acked(t, &updates.Acks, 100)
			fault(server)
			storetest.Last(t, away)
			if name == "hung" {
				server.Resume()
			} else {
				server.Start()
			}
			acked(t, &updates.Acks, updates.N()+100)
			stop()
			updates.Check(t, keeper)
			t.Logf("away %v: %d updates acknowledged, %d refused; %d look-ups, %d without an answer, the longest took %v",
				away, updates.N(), updates.Refusals.Load(), lookUps.N.Load(), lookUps.Failed.Load(), time.Duration(lookUps.Longest.Load()))
		})
	}
}

func acked(t *testing.T, acks *storetest.Acks, n int64) {
	t.Helper()
	peer.Until(t, "updates to be acknowledged", func() bool { return acks.N() >= n })
}
