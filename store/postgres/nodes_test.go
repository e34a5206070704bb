package postgres_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/postgres"
	"github.com/callsign-as/callsign/store/storetest"
)

// TestWhatOneNodeAcknowledgesAnotherShows measures for how long the other one still shows what was before.
func TestWhatOneNodeAcknowledgesAnotherShows(t *testing.T) {
	lasting := storetest.Lasting(t)
	url := peer.Postgres(t, true).Database("")
	updates := storetest.NewUpdates(t, open(t, url))
	feed := heard{open(t, url), make(chan struct{}, 1)}
	lookUps := storetest.NewLookUps(t, store.CachedOptions{Truth: feed})
	stop := storetest.Go(t, lookUps.Run)
	peer.Until(t, "the feed to stand", func() bool { return lookUps.Stood.Load() == 1 })
	var delays []time.Duration
	for end := time.Now().Add(lasting); time.Now().Before(end) || len(delays) < 100; {
		i := len(delays) % storetest.People
		updates.Next(t.Context(), i)
		acked := time.Now()
		for updates.Outdated(t, lookUps.Cached, i) {
			select {
			case <-feed.something:
			case <-time.After(20 * time.Second):
				t.Fatal("waited 20 s in vain for the other node to show what was acknowledged")
			}
		}
		delays = append(delays, time.Since(acked))
	}
	stop()
	if stood := lookUps.Stood.Load(); stood != 1 {
		t.Errorf("the other node read all again %d times: the test saw nothing", stood-1)
	}
	slices.Sort(delays)
	at := func(percent int) time.Duration { return delays[len(delays)*percent/100] }
	t.Logf("%d updates: the other node showed half of them within %v of the acknowledgement, 99%% within %v, all within %v",
		len(delays), at(50), at(99), delays[len(delays)-1])
}

// heard says when to look again, as looking all the time would take the processor from the feed.
type heard struct {
	*postgres.Engine
	something chan struct{} // holds one value when memory was told of something since
}

func (h heard) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	return h.Engine.Changes(ctx, func(m callsign.MSISDN, rev uint64) {
		changed(m, rev)
		select {
		case h.something <- struct{}{}:
		default:
		}
	}, lost)
}

// TestANodeWhoseFeedIsCut has one node take updates, and another look up whose feed is cut, but not its reads.
func TestANodeWhoseFeedIsCut(t *testing.T) {
	away := storetest.Lasting(t)
	for sentence, unfed := range map[string]time.Duration{
		"shows what it knew, and the newest of all once its feed stands": away + time.Minute,
		"reads again what it has been told nothing of for Unfed":         away / 2,
	} {
		t.Run(sentence, func(t *testing.T) {
			url := peer.Postgres(t, true).Database("")
			wire, through := wireTo(t, url)
			updates := storetest.NewUpdates(t, open(t, url))
			lookUps := storetest.NewLookUps(t, store.CachedOptions{Truth: apart{open(t, url), open(t, through)}, Unfed: unfed})
			outdated := func() (n int) {
				for i := range storetest.People {
					if updates.Outdated(t, lookUps.Cached, i) {
						n++
					}
				}
				return n
			}
			var shown ages
			updates.Acked, lookUps.Seen = shown.acked, shown.seen
			stop := storetest.Go(t, updates.Run, lookUps.Run)
			peer.Until(t, "the feed to stand", func() bool { return lookUps.Stood.Load() == 1 })
			acked(t, &updates.Acks, 4*storetest.People)
			before := shown.oldest()

			wire.cut()
			var then [storetest.People]int64
			for i := range then {
				then[i] = updates.Version(i) + 1 // it may have been told of one that was not acknowledged yet
			}
			acked(t, &updates.Acks, updates.N()+4*storetest.People)
			storetest.Last(t, away)
			if unfed > away && outdated() == 0 {
				t.Error("the cut node shows nothing outdated: the test saw nothing")
			}
			if unfed < away {
				peer.Until(t, "the cut node to read again", func() bool {
					for i := range then {
						if p, err := lookUps.Cached.Profile(t.Context(), storetest.Person(i)); err != nil || p.Signature.Stamp.Version <= then[i] {
							return false
						}
					}
					return true
				})
			}
			if lookUps.Stood.Load() != 1 {
				t.Error("the feed stood while it was cut: the test saw nothing")
			}
			for i := range then { // later ones may still be on their way when the feed stands
				then[i] = updates.Version(i)
			}
			wire.mend()
			mended := time.Now()
			peer.Until(t, "the feed to stand again", func() bool { return lookUps.Stood.Load() > 1 })
			for i, version := range then {
				if p, err := lookUps.Cached.Profile(t.Context(), storetest.Person(i)); err != nil || p.Signature.Stamp.Version < version {
					t.Errorf("the feed stands again, and version %d is shown, %v, of %d", p.Signature.Stamp.Version, err, version)
				}
			}
			stands := time.Since(mended)
			stop()
			t.Logf("cut for %v, Unfed %v: what was shown had been outdated for %v at most, before the cut for %v; %v after it the feed stood and the newest was shown; %d updates, %d look-ups, %d without an answer",
				away, unfed, shown.oldest(), before, stands, updates.N(), lookUps.N.Load(), lookUps.Failed.Load())
		})
	}
}

// apart is a node whose feed goes another way to the server than its reads.
type apart struct {
	*postgres.Engine
	feed *postgres.Engine
}

func (a apart) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	return a.feed.Changes(ctx, changed, lost)
}

// ages are for how long what was shown had been outdated: since its successor was acknowledged.
type ages struct {
	mu  sync.Mutex
	at  [storetest.People][]time.Time // when the versions 1, 2… were acknowledged
	max time.Duration
}

func (a *ages) acked(i int, _ int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[i] = append(a.at[i], time.Now())
}

func (a *ages) seen(i int, p callsign.Profile, began time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if successor := int(p.Signature.Stamp.Version); successor < len(a.at[i]) {
		a.max = max(a.max, began.Sub(a.at[i][successor]))
	}
}

// oldest is the greatest of them since it was last asked for.
func (a *ages) oldest() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	oldest := a.max
	a.max = 0
	return oldest
}
