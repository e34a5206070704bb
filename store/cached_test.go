package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
)

// truth is a Truth in memory. While gate isn't nil a read has its answer and waits until it may give it.
type truth struct {
	mu       sync.Mutex
	profiles map[callsign.MSISDN]callsign.Profile
	err      error
	feedErr  error
	gate     chan struct{}
	reads    int
	feeds    int
	changed  func(callsign.MSISDN, uint64)
	lost     func()
	cut      chan error // ends the feed
}

func (tr *truth) Profile(ctx context.Context, m callsign.MSISDN) (callsign.Profile, error) {
	tr.mu.Lock()
	tr.reads++
	p, ok := tr.profiles[m]
	err, gate := tr.err, tr.gate
	tr.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return callsign.Profile{}, ctx.Err()
		}
	}
	switch {
	case err != nil:
		return callsign.Profile{}, err
	case !ok:
		return callsign.Profile{}, callsign.ErrNotFound
	}
	return p, nil
}

func (tr *truth) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	tr.mu.Lock()
	tr.feeds++
	tr.changed, tr.lost = changed, lost
	err := tr.feedErr
	tr.mu.Unlock()
	if err != nil {
		return err
	}
	lost()
	select {
	case <-ctx.Done():
		return nil
	case err := <-tr.cut:
		return err
	}
}

// set commits a revision, 0 deletes, and doesn't tell the feed.
func (tr *truth) set(rev uint64) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	delete(tr.profiles, 1)
	if rev > 0 {
		tr.profiles[1] = callsign.Profile{MSISDN: 1, Tenant: "x", Rev: rev, Signature: callsign.Signature{Shown: fmt.Sprint("text ", rev)}}
	}
}

func (tr *truth) fail(err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.err = err
}

// feed ends the feed and keeps it from standing again, or lets it.
func (tr *truth) feed(err error) {
	tr.mu.Lock()
	tr.feedErr = err
	tr.mu.Unlock()
	if err != nil {
		tr.cut <- err
	}
}

func (tr *truth) hold() (release func()) {
	gate := make(chan struct{})
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.gate = gate
	return func() {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if tr.gate == gate {
			tr.gate = nil
		}
		close(gate)
	}
}

// pass lets the reads that begin from now on through, whatever is held.
func (tr *truth) pass() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.gate = nil
}

// cache runs a Cached over a truth that has revision 1 of number 1, with its feed up.
func cache(t *testing.T) (*Cached, *truth) {
	t.Helper()
	tr := &truth{profiles: map[callsign.MSISDN]callsign.Profile{}, cut: make(chan error)}
	tr.set(1)
	c := NewCached(CachedOptions{Truth: tr, Metrics: prometheus.NewRegistry()})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	synctest.Wait()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v, want nil", err)
		}
	})
	return c, tr
}

var errDown = fmt.Errorf("down: %w", callsign.ErrUnavailable)

func TestCached(t *testing.T) {
	// Each step reads number 1 and tells the revision that must come (0: not found; -1: an error) and how often the truth is read.
	type step struct {
		do    func(c *Cached, tr *truth)
		rev   int
		reads int
	}
	nothing := func(*Cached, *truth) {}
	wait := func(d time.Duration) func(*Cached, *truth) { return func(*Cached, *truth) { time.Sleep(d) } }
	silently := func(rev uint64) func(*Cached, *truth) { return func(_ *Cached, tr *truth) { tr.set(rev) } }
	change := func(rev, told uint64) func(*Cached, *truth) {
		return func(_ *Cached, tr *truth) { tr.set(rev); tr.changed(1, told) }
	}
	down := func(_ *Cached, tr *truth) { tr.fail(errDown); tr.feed(errDown) }
	up := func(_ *Cached, tr *truth) { tr.fail(nil); tr.feed(nil); time.Sleep(6 * time.Second) }
	unfed := func(_ *Cached, tr *truth) { tr.feed(errDown) }

	for sentence, steps := range map[string][]step{
		"a second look reads memory":               {{nothing, 1, 1}, {silently(2), 1, 0}},
		"after an hour it is read again":           {{nothing, 1, 1}, {silently(2), 1, 0}, {wait(59 * time.Minute), 1, 0}, {wait(2 * time.Minute), 2, 1}},
		"the feed away, after a minute":            {{nothing, 1, 1}, {unfed, 1, 0}, {silently(2), 1, 0}, {wait(61 * time.Second), 2, 1}},
		"a minute of the feed's, not of its own":   {{nothing, 1, 1}, {wait(30 * time.Minute), 1, 0}, {unfed, 1, 0}, {wait(59 * time.Second), 1, 0}, {wait(2 * time.Second), 1, 1}},
		"the truth away, however old it is":        {{nothing, 1, 1}, {wait(50 * time.Minute), 1, 0}, {down, 1, 0}, {wait(9 * time.Minute), 1, 1}, {wait(2 * time.Minute), -1, 1}},
		"a change is read at once":                 {{nothing, 1, 1}, {change(2, 2), 2, 1}},
		"a change told late changes nothing":       {{nothing, 1, 1}, {change(3, 3), 3, 1}, {change(3, 2), 3, 0}},
		"a deletion is read at once":               {{nothing, 1, 1}, {change(0, 2), 0, 1}, {nothing, 0, 0}},
		"nobody is remembered, until they come":    {{change(0, 2), 0, 1}, {nothing, 0, 0}, {change(3, 3), 3, 1}},
		"what is lost is read again":               {{nothing, 1, 1}, {func(_ *Cached, tr *truth) { tr.set(2); tr.lost() }, 2, 1}, {nothing, 2, 0}},
		"an error is not remembered":               {{down, -1, 1}, {up, 1, 1}},
		"the truth away, memory's minute goes on":  {{nothing, 1, 1}, {down, 1, 0}},
		"the truth away, the old one is shown":     {{nothing, 1, 1}, {down, 1, 0}, {wait(9 * time.Minute), 1, 1}},
		"but not for ever":                         {{nothing, 1, 1}, {down, 1, 0}, {wait(11 * time.Minute), -1, 1}},
		"and not what is known to be outdated":     {{nothing, 1, 1}, {down, 1, 0}, {change(2, 2), -1, 1}, {up, 2, 1}},
		"the truth away, a lost feed keeps it":     {{nothing, 1, 1}, {func(_ *Cached, tr *truth) { tr.fail(errDown); tr.lost() }, 1, 1}},
		"the truth away, nobody stays nobody":      {{change(0, 2), 0, 1}, {down, 0, 0}, {wait(2 * time.Minute), 0, 1}},
		"an expired signature is read again":       {{func(_ *Cached, tr *truth) { expireIn(tr, 10*time.Second) }, 5, 1}, {nothing, 5, 0}, {wait(11 * time.Second), 5, 1}},
		"a profile too large is read at each look": {{func(_ *Cached, tr *truth) { enlarge(tr) }, 6, 1}, {nothing, 6, 1}},
		"a feed that ends is taken up again": {{nothing, 1, 1}, {func(_ *Cached, tr *truth) {
			tr.cut <- errDown
			time.Sleep(time.Second)
			tr.set(2)
		}, 2, 1}},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, tr := cache(t)
				for i, s := range steps {
					s.do(c, tr)
					before := tr.reads
					p, err := c.Profile(t.Context(), 1)
					got := int(p.Rev)
					if err != nil && !errors.Is(err, callsign.ErrNotFound) {
						got = -1
					}
					if got != s.rev || tr.reads-before != s.reads {
						t.Errorf("step %d: revision %d, %v, after %d reads, want %d after %d", i, got, err, tr.reads-before, s.rev, s.reads)
					}
				}
			})
		})
	}
}

func expireIn(tr *truth, d time.Duration) {
	tr.profiles[1] = callsign.Profile{MSISDN: 1, Rev: 5, Signature: callsign.Signature{Shown: "x", Expires: time.Now().Add(d)}}
}

func enlarge(tr *truth) {
	tr.profiles[1] = callsign.Profile{MSISDN: 1, Rev: 6, Name: strings.Repeat("x", maxPacked+1)}
}

func TestPeekReadsMemoryOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tr := cache(t)
		peek := func(what string, rev uint64, found, known bool) {
			t.Helper()
			before := tr.reads
			p, f, k := c.Peek(1)
			if p.Rev != rev || f != found || k != known || tr.reads != before {
				t.Errorf("%s: revision %d, found %v, known %v, want %d, %v, %v", what, p.Rev, f, k, rev, found, known)
			}
		}
		peek("before anything was read", 0, false, false)
		want, _ := c.Profile(t.Context(), 1)
		peek("after it was read", 1, true, true)
		if p, _, _ := c.Peek(1); p != want {
			t.Errorf("memory has %+v, want %+v", p, want)
		}
		time.Sleep(61 * time.Minute)
		peek("too old", 0, false, false)
		tr.set(0)
		_, _ = c.Profile(t.Context(), 1)
		peek("of nobody", 0, false, true)
		tr.changed(1, 9)
		peek("after a change", 0, false, false)
	})
}

func TestManyWhoAskAtOnceReadTheTruthOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tr := cache(t)
		release := tr.hold()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if p, err := c.Profile(t.Context(), 1); err != nil || p.Rev != 1 {
					t.Errorf("got %+v, %v", p, err)
				}
			})
		}
		synctest.Wait()
		release()
		wg.Wait()
		if tr.reads != 1 {
			t.Errorf("the truth was read %d times, want once", tr.reads)
		}
	})
}

func TestAReaderWhoGivesUpLeavesTheOthersTheirAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tr := cache(t)
		release := tr.hold()
		ctx, giveUp := context.WithCancel(t.Context())
		first, other := make(chan error, 1), make(chan error, 1)
		go func() { _, err := c.Profile(ctx, 1); first <- err }()
		synctest.Wait()
		go func() { _, err := c.Profile(t.Context(), 1); other <- err }()
		synctest.Wait()
		giveUp()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
		synctest.Wait()
		release()
		if err := <-other; err != nil {
			t.Errorf("the other got %v", err)
		}
	})
}

// TestAReadThatBeganBeforeAChange has its old answer in hand when the change is told. Nothing of it may be remembered, and
// who asks after the change must not get it.
func TestAReadThatBeganBeforeAChange(t *testing.T) {
	for sentence, change := range map[string]func(*truth){
		"a change":  func(tr *truth) { tr.set(2); tr.pass(); tr.changed(1, 2) },
		"a loss":    func(tr *truth) { tr.set(2); tr.pass(); tr.lost() },
		"a removal": func(tr *truth) { tr.set(0); tr.pass(); tr.changed(1, 2) },
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, tr := cache(t)
				release := tr.hold()
				early := make(chan uint64, 1)
				go func() { p, _ := c.Profile(t.Context(), 1); early <- p.Rev }()
				synctest.Wait()
				change(tr)
				want, _ := tr.Profile(t.Context(), 1)
				if p, _ := c.Profile(t.Context(), 1); p.Rev != want.Rev {
					t.Errorf("who asked after it got revision %d, want %d", p.Rev, want.Rev)
				}
				release()
				<-early
				synctest.Wait()
				if p, _, _ := c.Peek(1); p.Rev != want.Rev {
					t.Errorf("memory has revision %d afterwards, want %d", p.Rev, want.Rev)
				}
			})
		})
	}
}

// TestAnOldAnswerIsServedOnlyAsStale: a read from before a loss may stay for want of better, but is no fresh answer.
func TestAnOldAnswerIsServedOnlyAsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tr := cache(t)
		release := tr.hold()
		early := make(chan struct{})
		go func() { defer close(early); _, _ = c.Profile(t.Context(), 1) }()
		synctest.Wait()
		tr.set(2)
		tr.lost()
		release()
		<-early
		if _, _, known := c.Peek(1); known {
			t.Error("what was read before the loss counts as fresh")
		}
		tr.fail(errDown)
		if p, err := c.Profile(t.Context(), 1); err != nil || p.Rev != 1 {
			t.Errorf("without the truth: %+v, %v, want the old one", p, err)
		}
	})
}

func TestAnOldAnswerIsNotServedForAPolicyThatCannotBeUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tr := cache(t)
		if _, err := c.Profile(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		_, unusable := ReadPolicy(1, 2, `{"never_again":["+8613800000001"]}`, nil)
		tr.fail(unusable)
		tr.lost()
		synctest.Wait()
		for range 2 {
			if p, err := c.Profile(t.Context(), 1); !errors.Is(err, callsign.ErrUnavailable) {
				t.Errorf("got %+v, %v, want nothing to show", p, err)
			}
		}
		tr.fail(nil)
		if p, err := c.Profile(t.Context(), 1); err != nil || p.Rev != 1 {
			t.Errorf("once it can be used: %+v, %v", p, err)
		}
	})
}

func TestAHungTruthIsWaitedForNoLongerThanIsOfUse(t *testing.T) {
	for sentence, c := range map[string]struct {
		known  bool          // memory has an old answer
		ctx    time.Duration // the caller's time
		asking int           // how many ask, each 100 ms after the one before
		want   time.Duration
	}{
		"the old answer at the end of the caller's time":       {known: true, ctx: 200 * time.Millisecond, asking: 1, want: 200 * time.Millisecond},
		"or once the truth has had a moment":                   {known: true, ctx: 2 * time.Second, asking: 1, want: staleWait},
		"which is each caller's own, however many wait for it": {known: true, ctx: 2 * time.Second, asking: 20, want: staleWait},
		"without an old one all of the caller's time":          {known: false, ctx: 2 * time.Second, asking: 1, want: 2 * time.Second},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cached, tr := cache(t)
				if c.known {
					_, _ = cached.Profile(t.Context(), 1)
				}
				time.Sleep(61 * time.Minute)
				release := tr.hold()
				defer release()
				var all sync.WaitGroup
				for range c.asking {
					all.Go(func() {
						began := time.Now()
						ctx, cancel := context.WithTimeout(t.Context(), c.ctx)
						defer cancel()
						p, err := cached.Profile(ctx, 1)
						if took := time.Since(began); took != c.want || (err == nil) != c.known || c.known && p.Rev != 1 {
							t.Errorf("after %v: %+v, %v, want an answer %v after %v", took, p, err, c.known, c.want)
						}
					})
					time.Sleep(100 * time.Millisecond)
				}
				all.Wait()
			})
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	tr := everyone{}
	const limit = 256 << 10
	c := NewCached(CachedOptions{Truth: tr, MaxBytes: limit})
	const hot = 1000003 // looked at all the time, so it stays
	for m := range callsign.MSISDN(20_000) {
		for _, m := range []callsign.MSISDN{hot, m + 1} {
			if p, err := c.Profile(t.Context(), m); err != nil || p.MSISDN != m || p.Signature.Shown != tr.text(m) {
				t.Fatalf("%d is %+v, %v", m, p, err)
			}
		}
		if m == 0 {
			continue
		}
		if _, _, known := c.Peek(hot); !known {
			t.Fatalf("after %d others the hot one was evicted", m)
		}
	}
	bytes, entries := 0, 0
	for i := range c.shards {
		s := &c.shards[i]
		sum := 0
		for slot := s.slots[0].younger; slot != 0; slot = s.slots[slot].younger {
			sum += s.slots[slot].cost()
		}
		if s.bytes > s.limit || sum != s.bytes {
			t.Errorf("shard %d: %d bytes, its entries sum up to %d, limit %d", i, s.bytes, sum, s.limit)
		}
		bytes += s.bytes
		entries += s.entries
	}
	if bytes < limit*8/10 || entries < 500 {
		t.Errorf("%d bytes for %d entries are used of %d", bytes, entries, limit)
	}
	if evicted := testutil.ToFloat64(c.metrics.evicted); int(evicted) != 20_001-entries {
		t.Errorf("%v evictions are counted, want %d", evicted, 20_001-entries)
	}
}

// everyone is a truth in which every number has a text.
type everyone struct{}

func (everyone) text(m callsign.MSISDN) string { return fmt.Sprintf("the text of %d", m) }

func (e everyone) Profile(_ context.Context, m callsign.MSISDN) (callsign.Profile, error) {
	return callsign.Profile{MSISDN: m, Rev: 1, Signature: callsign.Signature{Shown: e.text(m)}}, nil
}

func (everyone) Changes(ctx context.Context, _ func(callsign.MSISDN, uint64), _ func()) error {
	<-ctx.Done()
	return nil
}
