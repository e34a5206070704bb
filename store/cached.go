// Package store stands before an engine: Cached answers a call from memory, Journal writes timelines in batches, Claims
// remembers which caller got what. It refuses to know which engine there is: there is no Store interface, each part
// declares what it needs of one, and storetest is where the union is written down. Each Run owns its own goroutine only.
package store

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

// staleWait is how long the truth is waited for where memory has something that may be shown for it: a store that hangs would
// else have each phone stop ringing first.
const staleWait = 300 * time.Millisecond

// Truth is what the cache asks an engine.
type Truth interface {
	// Profile is read as it is committed, or ErrNotFound.
	Profile(context.Context, callsign.MSISDN) (callsign.Profile, error)
	// Changes calls changed after each committed change, and lost when the feed stands and whenever some may have been missed.
	Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error
}

// CachedOptions are what a Cached is made of. Truth is required.
type CachedOptions struct {
	Truth    Truth
	MaxBytes int           // what profiles may take of memory; default 64 MiB, about 300,000 of them
	MaxAge   time.Duration // after it a profile is read again, so that what the feed missed heals; default 1 h
	Unfed    time.Duration // the same while the feed is away, which then tells of no change; default 60 s
	MaxStale time.Duration // how long ago a profile may have been true that is shown while the truth can't be read; default 10 min
	Snapshot string        // the file in which memory outlives a stop; empty: it doesn't
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

// Cached answers from memory what it can: profiles, and that a number is nobody's. After a change is told it never answers
// anything older; while the truth can't be read it answers what it has, but never what it knows to be outdated.
type Cached struct {
	o          CachedOptions
	began      time.Time
	generation atomic.Uint32 // raised by lost: what was read in an earlier one may be old
	stands     atomic.Bool   // the feed does
	stood      atomic.Int64  // when it last did, before it went away: a time.Duration since began
	shards     [shards]shard
	metrics    cachedMetrics
}

// NewCached makes one. It answers at once; what has changed it learns once Run runs.
func NewCached(o CachedOptions) *Cached {
	o.MaxBytes = cmp.Or(o.MaxBytes, 64<<20)
	o.MaxAge = cmp.Or(o.MaxAge, time.Hour)
	o.Unfed = cmp.Or(o.Unfed, time.Minute)
	o.MaxStale = cmp.Or(o.MaxStale, 10*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cached{o: o, began: time.Now()}
	for i := range c.shards {
		c.shards[i].open(o.MaxBytes / shards)
	}
	c.metrics = newCachedMetrics(o.Metrics, c)
	return c
}

// state is how much a look into memory is worth.
type state int

const (
	absent state = iota
	stale        // may be old, isn't known to be outdated
	fresh
)

// held is what memory has of a number.
type held struct {
	profile callsign.Profile
	found   bool // false: it is nobody's
	state   state
}

func (h held) answer() (callsign.Profile, error) {
	if !h.found {
		return callsign.Profile{}, callsign.ErrNotFound
	}
	return h.profile, nil
}

// Peek looks into memory only. known is false if memory can't say, or only with what has to be read again; with known and
// not found the number is nobody's.
func (c *Cached) Peek(m callsign.MSISDN) (p callsign.Profile, found, known bool) {
	s := c.shard(m)
	s.mu.Lock()
	h := c.look(s, m)
	s.mu.Unlock()
	if h.state != fresh {
		return callsign.Profile{}, false, false
	}
	c.metrics.hit(h.found)
	return h.profile, h.found, true
}

// look is called with s locked.
func (c *Cached) look(s *shard, m callsign.MSISDN) held {
	e := s.get(m)
	if e == nil {
		return held{}
	}
	e.marked = true
	now := time.Now()
	age, unfed := now.Sub(c.began)-e.since(), c.unfed(e, now.Sub(c.began))
	if unfed > c.o.MaxStale {
		return held{}
	}
	h := held{found: e.rev > 0, state: fresh}
	if h.found {
		h.profile, _, _ = unpack(m, e.rev, e.packed)
		if e.compiled > 0 {
			h.profile.Policy = s.policies[m]
		}
	}
	// Once the shown signature has expired, another account's may be the next.
	expires := h.profile.Signature.Expires
	ended := !expires.IsZero() && !now.Before(expires)
	if age > c.o.MaxAge || unfed > c.o.Unfed || ended || e.generation != c.generation.Load() {
		h.state = stale
	}
	return h
}

// unfed is for how long e may have been untrue without our being told: since it was read, or since the feed that has stood by
// it went away.
func (c *Cached) unfed(e *entry, now time.Duration) time.Duration {
	stood := time.Duration(c.stood.Load())
	switch generation := c.generation.Load(); {
	case e.generation == generation && c.stands.Load():
		stood = now
	case e.generation != generation && e.generation+1 != generation:
		stood = e.since()
	}
	return now - max(e.since(), stood)
}

// flight is one read of the truth for all who ask for a number at the same time.
type flight struct {
	generation uint32
	done       chan struct{} // closed when profile and err stand
	profile    callsign.Profile
	err        error
}

// errAbandoned is a flight's whose reader gave up: those who wait for it read for themselves.
var errAbandoned = errors.New("the reader gave up")

// Profile is memory's if it is fresh, then the truth's. ErrNotFound: the number is nobody's. ErrUnavailable or ctx's error:
// the truth can't say, and memory has nothing that may be shown for it.
func (c *Cached) Profile(ctx context.Context, m callsign.MSISDN) (callsign.Profile, error) {
	s := c.shard(m)
	within := ctx
	for {
		s.mu.Lock()
		h := c.look(s, m)
		if h.state == fresh {
			s.mu.Unlock()
			c.metrics.hit(h.found)
			return h.answer()
		}
		f := s.flights[m]
		first := f == nil || f.generation != c.generation.Load()
		if first {
			f = &flight{generation: c.generation.Load(), done: make(chan struct{}), err: errAbandoned}
			s.flights[m] = f
		}
		s.mu.Unlock()

		if h.state == stale && within == ctx {
			var cancel context.CancelFunc
			within, cancel = context.WithTimeout(ctx, staleWait)
			defer cancel()
		}
		var err error
		if first {
			err = c.fly(within, s, m, f)
		} else if err = f.wait(within); errors.Is(err, errAbandoned) {
			continue
		}
		if err == nil || errors.Is(err, callsign.ErrNotFound) {
			c.metrics.misses.Inc()
			return f.profile, err
		}
		return c.fallBack(s, m, err)
	}
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fly reads the truth and remembers the answer, unless a change was told meanwhile: then the flight no longer stands in
// flights, those who asked before the change share its answer, and whoever asks afterwards begins a new one.
func (c *Cached) fly(ctx context.Context, s *shard, m callsign.MSISDN, f *flight) error {
	defer func() {
		read := f.err == nil || errors.Is(f.err, callsign.ErrNotFound)
		var e entry
		if read {
			e = c.entryOf(m, f) // a policy takes 0.3 ms, in which no call may wait for s
		}
		s.mu.Lock()
		if s.flights[m] == f {
			delete(s.flights, m)
			switch {
			case read:
				c.metrics.evicted.Add(float64(s.put(e, f.profile.Policy)))
			case errors.Is(f.err, errPolicy):
				s.drop(m) // what stood before it may be what it forbids
			}
		}
		s.mu.Unlock()
		close(f.done)
	}()
	p, err := c.o.Truth.Profile(ctx, m)
	if err != nil && ctx.Err() != nil {
		return err // this reader's own end says nothing to the others: the flight stays abandoned
	}
	f.profile, f.err = p, err
	return err
}

// entryOf is what f has read of m.
func (c *Cached) entryOf(m callsign.MSISDN, f *flight) entry {
	e := entry{msisdn: m, rev: f.profile.Rev, read: int32(time.Since(c.began) / time.Second), generation: f.generation}
	if e.rev > 0 {
		e.packed = Pack(&f.profile)
	}
	return e
}

// fallBack answers what memory has, now that the truth can't be read.
func (c *Cached) fallBack(s *shard, m callsign.MSISDN, err error) (callsign.Profile, error) {
	s.mu.Lock()
	h := c.look(s, m) // again: a change may have been told meanwhile
	s.mu.Unlock()
	if h.state == absent {
		c.metrics.failures.Inc()
		return callsign.Profile{}, err
	}
	c.metrics.stales.Inc()
	return h.answer()
}

// Run follows the truth's changes until ctx ends. While the feed is away ages still bound what is shown; when it stands
// again everything is read anew at its next use. Run begins with the memory of the run before, and saves its own.
func (c *Cached) Run(ctx context.Context) error {
	numbers, first, warmed := c.load(), make(chan struct{}), make(chan struct{})
	stands := sync.OnceFunc(func() { close(first) })
	go func() {
		defer close(warmed)
		c.warm(ctx, first, numbers)
	}()
	defer func() {
		<-warmed
		c.save()
	}()
	const least, most = 100 * time.Millisecond, 5 * time.Second
	wait, down := least, false
	for {
		err := c.o.Truth.Changes(ctx, c.changed, func() {
			c.lost()
			c.stands.Store(true)
			stands()
			if down {
				c.o.Log.Info("the feed of changes stands again")
			}
			wait, down = least, false
		})
		if c.stands.Swap(false) {
			c.stood.Store(int64(time.Since(c.began)))
		}
		if ctx.Err() != nil {
			return nil
		}
		if !down {
			c.o.Log.Warn("the feed of changes ended; it is tried again, ages bound what is shown until then", "err", err)
			down = true
		}
		c.metrics.feedErrors.Inc()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, most)
	}
}

// changed forgets what is older than rev, and sees to it that reads which began before now aren't remembered.
func (c *Cached) changed(m callsign.MSISDN, rev uint64) {
	s := c.shard(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flights, m)
	if e := s.get(m); e != nil && e.rev < rev {
		s.drop(m)
	}
}

func (c *Cached) lost() {
	c.generation.Add(1)
	c.metrics.lost.Inc()
}
