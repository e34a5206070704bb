package postgres_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/postgres"
)

// watched is an engine whose feed is seen by the test: told is the greatest revision of each number that memory was told.
type watched struct {
	*postgres.Engine
	told sync.Map // of *atomic.Uint64
}

func (w *watched) revision(m callsign.MSISDN) *atomic.Uint64 {
	rev, _ := w.told.LoadOrStore(m, new(atomic.Uint64))
	return rev.(*atomic.Uint64)
}

func (w *watched) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	return w.Engine.Changes(ctx, func(m callsign.MSISDN, rev uint64) {
		changed(m, rev)
		for told := w.revision(m); ; {
			if before := told.Load(); rev <= before || told.CompareAndSwap(before, rev) {
				return
			}
		}
	}, lost)
}

// TestAFaultLosesNothing has one node take updates and another look callees up while their server fails. For how long it is
// away CALLSIGN_TEST_FAULT says; a second if it doesn't.
func TestAFaultLosesNothing(t *testing.T) {
	away, err := time.ParseDuration(cmp.Or(os.Getenv("CALLSIGN_TEST_FAULT"), "1s"))
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range map[string]func(*peer.PostgreSQL){
		"stopped": (*peer.PostgreSQL).Stop,
		"killed":  (*peer.PostgreSQL).Kill,
		"hung":    (*peer.PostgreSQL).Pause,
	} {
		t.Run(name, func(t *testing.T) {
			server := peer.Postgres(t, true)
			url := server.Database("")
			l := newLoad(t, open(t, url), &watched{Engine: open(t, url)})
			l.until("updates to be acknowledged", 100)
			fault(server)
			select { // for as long as the fault lasts; nothing waits for it
			case <-time.After(away):
			case <-t.Context().Done():
			}
			if name == "hung" {
				server.Resume()
			} else {
				server.Start()
			}
			l.until("updates to be acknowledged again", l.acked.Load()+100)
			l.stop()
			l.check()
			t.Logf("away %v: %d updates acknowledged, %d refused; %d look-ups, %d without an answer, the longest took %v",
				away, l.acked.Load(), l.refused.Load(), l.lookups.Load(), l.failed.Load(), time.Duration(l.longest.Load()))
		})
	}
}

const (
	subscribers    = 50
	lookupDeadline = 500 * time.Millisecond
)

// load is updates through one node and look-ups on another.
type load struct {
	t                                        *testing.T
	keeper                                   *postgres.Engine
	truth                                    *watched
	cached                                   *store.Cached
	versions                                 [subscribers]int64 // acknowledged
	acked, refused, lookups, failed, longest atomic.Int64
	cancel                                   context.CancelFunc
	running                                  sync.WaitGroup
}

func number(i int) callsign.MSISDN { return 8613900000000 + callsign.MSISDN(i) }

func newLoad(t *testing.T, keeper *postgres.Engine, truth *watched) *load {
	l := &load{t: t, keeper: keeper, truth: truth, cached: store.NewCached(store.CachedOptions{Truth: truth})}
	scope := callsign.Scope{Tenant: callsign.DefaultTenant}
	for i := range subscribers {
		if _, err := keeper.PutSubscriber(t.Context(), scope, callsign.Subscriber{MSISDN: number(i)}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	t.Cleanup(l.stop)
	l.running.Go(func() { _ = l.cached.Run(ctx) })
	for part := range 2 {
		l.running.Go(func() { l.update(ctx, part) })
		l.running.Go(func() { l.lookUp(ctx) })
	}
	return l
}

func (l *load) stop() {
	l.cancel()
	l.running.Wait()
}

// update writes the versions of every second subscriber, and each again until it is acknowledged.
func (l *load) update(ctx context.Context, part int) {
	for i := part; ctx.Err() == nil; {
		version := l.versions[i] + 1
		text := fmt.Sprint("text ", version)
		statuses, err := l.keeper.Keep(ctx, []callsign.Entry{{Shown: text, Change: callsign.Change{
			Tenant: callsign.DefaultTenant, Source: "im", ID: text, Network: callsign.ManualNetwork, Account: number(i).E164()[1:],
			Text: text, Stamp: callsign.Stamp{Version: version}, At: time.Now(),
		}}})
		switch {
		case err == nil && (statuses[0] == callsign.Stored || statuses[0] == callsign.Duplicate): // a refused one may be kept
			l.versions[i] = version
			l.acked.Add(1)
			i = (i + 2) % subscribers
		case err == nil:
			l.t.Errorf("version %d is %s", version, statuses[0])
		case errors.Is(err, callsign.ErrUnavailable):
			l.refused.Add(1)
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		case ctx.Err() == nil:
			l.t.Errorf("an update failed with %v, want ErrUnavailable", err)
		}
	}
}

// lookUp reads as calls do, and that nothing older than what memory was told is read.
func (l *load) lookUp(ctx context.Context) {
	for ctx.Err() == nil {
		m := number(rand.IntN(subscribers))
		told := l.truth.revision(m).Load()
		within, cancel := context.WithTimeout(ctx, lookupDeadline)
		began := time.Now()
		p, err := l.cached.Profile(within, m)
		took := time.Since(began)
		cancel()
		l.lookups.Add(1)
		l.longest.Store(max(l.longest.Load(), int64(took)))
		switch {
		case err == nil && p.Rev < told:
			l.t.Errorf("after an invalidation of revision %d one of %d was read", told, p.Rev)
		case err != nil && ctx.Err() == nil:
			l.failed.Add(1)
			if !errors.Is(err, callsign.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
				l.t.Errorf("a look-up failed with %v", err)
			}
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (l *load) until(what string, acked int64) {
	l.t.Helper()
	peer.Until(l.t, what, func() bool { return l.acked.Load() >= acked })
}

// check reads every text from the database itself.
func (l *load) check() {
	l.t.Helper()
	for i, version := range l.versions {
		p, err := l.keeper.Profile(l.t.Context(), number(i))
		if err != nil || p.Signature.Stamp.Version < version || p.Signature.Text != fmt.Sprint("text ", p.Signature.Stamp.Version) && version > 0 {
			l.t.Errorf("version %d was acknowledged, %+v is there, %v", version, p.Signature, err)
		}
	}
}
