package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

const lookUpDeadline = 500 * time.Millisecond

// LookUps are those of a node's calls by its memory. They see to it that nothing older is answered than what memory was told.
type LookUps struct {
	Cached             *store.Cached
	Seen               func(i int, p callsign.Profile, began time.Time) // is told of each answer; may be nil
	Stood              atomic.Int64                                     // how often the feed said that it stands, or lost some
	N, Failed, Longest atomic.Int64
	t                  *testing.T
	told               sync.Map // of *atomic.Int64: the greatest revision of each number that memory was told
}

// NewLookUps makes them with a memory of their own.
func NewLookUps(t *testing.T, o store.CachedOptions) *LookUps {
	l := &LookUps{t: t}
	o.Truth = watched{o.Truth, l}
	l.Cached = store.NewCached(o)
	return l
}

// watched is a truth whose feed is seen by the test, after memory has seen it.
type watched struct {
	store.Truth
	l *LookUps
}

func (w watched) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	return w.Truth.Changes(ctx, func(m callsign.MSISDN, rev uint64) {
		changed(m, rev)
		raise(w.l.revision(m), int64(rev))
	}, func() {
		lost()
		w.l.Stood.Add(1)
	})
}

func (l *LookUps) revision(m callsign.MSISDN) *atomic.Int64 {
	rev, _ := l.told.LoadOrStore(m, new(atomic.Int64))
	return rev.(*atomic.Int64)
}

func raise(a *atomic.Int64, to int64) {
	for before := a.Load(); to > before && !a.CompareAndSwap(before, to); before = a.Load() {
	}
}

// Run follows the feed and looks up for two callers until ctx ends.
func (l *LookUps) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { _ = l.Cached.Run(ctx) })
	for range 2 {
		running.Go(func() {
			for ctx.Err() == nil {
				l.next(ctx, rand.IntN(People))
			}
		})
	}
	running.Wait()
}

func (l *LookUps) next(ctx context.Context, i int) {
	told := l.revision(Person(i)).Load()
	within, cancel := context.WithTimeout(ctx, lookUpDeadline)
	began := time.Now()
	p, err := l.Cached.Profile(within, Person(i))
	took := time.Since(began)
	cancel()
	l.N.Add(1)
	raise(&l.Longest, int64(took))
	switch {
	case err == nil && int64(p.Rev) < told:
		l.t.Errorf("after an invalidation of revision %d one of %d was read", told, p.Rev)
	case err == nil && l.Seen != nil:
		l.Seen(i, p, began)
	case err != nil && ctx.Err() == nil:
		l.Failed.Add(1)
		if !errors.Is(err, callsign.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			l.t.Errorf("a look-up failed with %v", err)
		}
	}
	select {
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
	}
}

// Newest reports whether memory answers for each person what the engine has.
func (l *LookUps) Newest(of Profiles) bool {
	for i := range People {
		is, err := of.Profile(l.t.Context(), Person(i))
		shown, failed := l.Cached.Profile(l.t.Context(), Person(i))
		if err != nil || failed != nil || is.Rev != shown.Rev || is.Signature.Text != shown.Signature.Text {
			return false
		}
	}
	return true
}
