package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

// desk is a keeper of opt-outs with a feed that the test cuts, and a store that it takes away.
type desk struct {
	mu     sync.Mutex
	kept   map[[2]callsign.MSISDN]callsign.OptOut
	feeds  map[chan callsign.MSISDN]struct{}
	away   error
	paused chan struct{} // a reading waits until it is closed; nil: it doesn't
}

func newDesk(callers ...callsign.MSISDN) *desk {
	d := &desk{kept: map[[2]callsign.MSISDN]callsign.OptOut{}, feeds: map[chan callsign.MSISDN]struct{}{}}
	for _, m := range callers {
		d.kept[[2]callsign.MSISDN{m, 0}] = callsign.OptOut{Caller: m}
	}
	return d
}

func (d *desk) set(o callsign.OptOut, out bool) (changed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away != nil {
		return false, d.away
	}
	k := [2]callsign.MSISDN{o.Caller, o.Callee}
	was, there := d.kept[k]
	changed = there != out || out && was.PerDay != o.PerDay
	if d.kept[k] = o; !out {
		delete(d.kept, k)
	}
	for f := range d.feeds {
		f <- o.Caller
	}
	return changed, nil
}

func (d *desk) OptOut(_ context.Context, o callsign.OptOut) (bool, error) {
	return d.set(o, true)
}

func (d *desk) OptIn(_ context.Context, o callsign.OptOut) (bool, error) {
	return d.set(o, false)
}

func (d *desk) OptInAll(ctx context.Context, caller callsign.MSISDN) (changed bool, err error) {
	all, err := d.OptOutsOf(ctx, caller)
	for _, o := range all {
		changed, err = d.set(o, false)
	}
	return changed, err
}

func (d *desk) OptOuts(ctx context.Context, after callsign.OptOut, limit int) (page []callsign.OptOut, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, o := range d.kept {
		if k[0] > after.Caller || k[0] == after.Caller && k[1] > after.Callee {
			page = append(page, o)
		}
	}
	slices.SortFunc(page, func(a, b callsign.OptOut) int {
		return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Callee, b.Callee))
	})
	if paused := d.paused; paused != nil {
		d.mu.Unlock()
		<-paused
		d.mu.Lock()
	}
	return page[:min(limit, len(page))], cmp.Or(d.away, ctx.Err())
}

func (d *desk) OptOutsOf(_ context.Context, caller callsign.MSISDN) (all []callsign.OptOut, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, o := range d.kept {
		if k[0] == caller {
			all = append(all, o)
		}
	}
	return all, d.away
}

func (d *desk) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	feed := make(chan callsign.MSISDN, 16)
	d.mu.Lock()
	if why := d.away; why != nil {
		d.mu.Unlock()
		return why
	}
	d.feeds[feed] = struct{}{}
	d.mu.Unlock()
	lost()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-feed:
			if !ok {
				return errors.New("cut")
			}
			changed(m, 0)
		}
	}
}

// leave takes the store away, with all feeds; nil brings it back.
func (d *desk) leave(why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = why
	if why != nil {
		for f := range d.feeds {
			close(f)
			delete(d.feeds, f)
		}
	}
}

const stopper, talker = callsign.MSISDN(8613900000001), callsign.MSISDN(8613900000002)

// onNodes runs test with n nodes at one desk.
func onNodes(t *testing.T, d *desk, n int, test func(t *testing.T, nodes []*OptOuts)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		nodes := make([]*OptOuts, n)
		for i := range nodes {
			nodes[i] = NewOptOuts(OptOutsOptions{Keeper: d})
			running.Go(func() {
				if err := nodes[i].Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		test(t, nodes)
		cancel()
		running.Wait()
	})
}

// refuses checks what a node says of a caller.
func refuses(t *testing.T, when string, o *OptOuts, caller callsign.MSISDN, want, wantKnown bool) {
	t.Helper()
	if wants, known := o.Wants(caller, 8613800000000); wants.None != want || known != wantKnown {
		t.Errorf("%s: wants %+v, known %t; want %t, %t", when, wants, known, want, wantKnown)
	}
}

func TestANodeThatNeverReadOptOutsKnowsNone(t *testing.T) {
	d := newDesk(stopper)
	d.away = callsign.ErrUnavailable
	onNodes(t, d, 1, func(t *testing.T, n []*OptOuts) {
		refuses(t, "without a store", n[0], talker, false, false)
		d.leave(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		refuses(t, "once it is there", n[0], talker, false, true)
		refuses(t, "once it is there", n[0], stopper, true, true)
	})
}

func TestALostStoreIsNoLostOptOut(t *testing.T) {
	d := newDesk(stopper)
	onNodes(t, d, 2, func(t *testing.T, n []*OptOuts) {
		d.leave(callsign.ErrUnavailable)
		time.Sleep(time.Hour)
		refuses(t, "while the store is away", n[0], stopper, true, true)
		refuses(t, "while the store is away", n[0], talker, false, true)
		if _, err := n[0].OptOut(t.Context(), callsign.OptOut{Caller: talker}); !errors.Is(err, callsign.ErrUnavailable) {
			t.Errorf("an opt-out that isn't kept: %v", err)
		}
		refuses(t, "what isn't kept isn't there", n[0], talker, false, true)
		d.leave(nil)
		if _, err := d.set(callsign.OptOut{Caller: talker}, true); err != nil { // by a node whose feed nobody had
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		for _, o := range n {
			refuses(t, "what the cut feed missed", o, talker, true, true)
		}
	})
}

func TestAnOptOutIsObeyedAtOnceAndEverywhere(t *testing.T) {
	onNodes(t, newDesk(), 2, func(t *testing.T, n []*OptOuts) {
		if changed, err := n[0].OptOut(t.Context(), callsign.OptOut{Caller: stopper}); !changed || err != nil {
			t.Error(changed, err)
		}
		refuses(t, "where it came", n[0], stopper, true, true)
		synctest.Wait()
		refuses(t, "elsewhere", n[1], stopper, true, true)
		if changed, err := n[1].OptOut(t.Context(), callsign.OptOut{Caller: stopper}); changed || err != nil {
			t.Error("a second one changes something", err)
		}
		if changed, err := n[1].OptIn(t.Context(), callsign.OptOut{Caller: stopper}); !changed || err != nil {
			t.Error(changed, err)
		}
		synctest.Wait()
		for _, o := range n {
			refuses(t, "undone", o, stopper, false, true)
		}
	})
}

func TestAnOptOutDuringAReadingOfAllIsKept(t *testing.T) {
	d := newDesk()
	onNodes(t, d, 1, func(t *testing.T, n []*OptOuts) {
		paused := make(chan struct{})
		d.mu.Lock()
		d.paused = paused
		d.mu.Unlock()
		d.leave(errors.New("cut"))
		d.leave(nil)
		time.Sleep(5 * time.Second) // it has read that there is none, and hasn't taken that in
		d.mu.Lock()
		d.paused = nil
		d.mu.Unlock()
		if _, err := n[0].OptOut(t.Context(), callsign.OptOut{Caller: stopper}); err != nil {
			t.Error(err)
		}
		refuses(t, "during the reading", n[0], stopper, true, true)
		close(paused)
		synctest.Wait()
		refuses(t, "after it", n[0], stopper, true, true)
	})
}

func TestAnOptOutOfOneCalleeIsOfNoOther(t *testing.T) {
	onNodes(t, newDesk(), 1, func(t *testing.T, n []*OptOuts) {
		if _, err := n[0].OptOut(t.Context(), callsign.OptOut{Caller: stopper, Callee: talker}); err != nil {
			t.Error(err)
		}
		refuses(t, "another callee", n[0], stopper, false, true)
		if wants, _ := n[0].Wants(stopper, talker); !wants.None {
			t.Error("this callee's are not refused")
		}
	})
}

func TestACallersCapsHoldAtOnceAndEverywhere(t *testing.T) {
	const other = callsign.MSISDN(8613900000003)
	cap := func(callee callsign.MSISDN, perDay int) callsign.OptOut {
		return callsign.OptOut{Caller: stopper, Callee: callee, PerDay: perDay}
	}
	type wants = callsign.Wants
	for sentence, c := range map[string]struct {
		put           []callsign.OptOut
		talker, other wants // of whose calls, at once where they were put
		soon          wants // and of talker's everywhere; the zero value: the same
	}{
		"of all callees":                       {put: []callsign.OptOut{cap(0, 5)}, talker: wants{PerDay: 5}, other: wants{PerDay: 5}},
		"of one":                               {put: []callsign.OptOut{cap(talker, 2)}, talker: wants{PerCallee: 2}},
		"of one and of all both":               {put: []callsign.OptOut{cap(0, 5), cap(talker, 2)}, talker: wants{PerDay: 5, PerCallee: 2}, other: wants{PerDay: 5}},
		"none of one, some of all":             {put: []callsign.OptOut{cap(0, 5), cap(talker, 0)}, talker: wants{None: true, PerDay: 5}, other: wants{PerDay: 5}},
		"some of one, none of all":             {put: []callsign.OptOut{cap(talker, 5), cap(0, 0)}, talker: wants{None: true, PerCallee: 5}, other: wants{None: true}},
		"fewer than before":                    {put: []callsign.OptOut{cap(0, 5), cap(0, 3)}, talker: wants{PerDay: 3}, other: wants{PerDay: 3}},
		"none after some":                      {put: []callsign.OptOut{cap(0, 5), cap(0, 0)}, talker: wants{None: true}, other: wants{None: true}},
		"more than before, once that was told": {put: []callsign.OptOut{cap(0, 3), cap(0, 5)}, talker: wants{PerDay: 3}, other: wants{PerDay: 3}, soon: wants{PerDay: 5}},
	} {
		t.Run(sentence, func(t *testing.T) {
			onNodes(t, newDesk(), 2, func(t *testing.T, n []*OptOuts) {
				for _, o := range c.put {
					if _, err := n[0].OptOut(t.Context(), o); err != nil {
						t.Error(err)
					}
				}
				if got, _ := n[0].Wants(stopper, talker); got != c.talker {
					t.Errorf("where it came: %+v, want %+v", got, c.talker)
				}
				if got, _ := n[0].Wants(stopper, other); got != c.other {
					t.Errorf("of another callee: %+v, want %+v", got, c.other)
				}
				synctest.Wait()
				for i, o := range n {
					if got, known := o.Wants(stopper, talker); got != cmp.Or(c.soon, c.talker) || !known {
						t.Errorf("told to node %d: %+v, want %+v", i, got, cmp.Or(c.soon, c.talker))
					}
				}
				if changed, err := n[1].OptInAll(t.Context(), stopper); !changed || err != nil {
					t.Error(changed, err)
				}
				synctest.Wait()
				for i, o := range n {
					if got, known := o.Wants(stopper, talker); got != (wants{}) || !known {
						t.Errorf("undone on node %d: %+v", i, got)
					}
				}
			})
		})
	}
}

// TestACapThatIsNotKeptLoosensNothing has a keeper that keeps what is stricter, of which this node doesn't know yet.
func TestACapThatIsNotKeptLoosensNothing(t *testing.T) {
	onNodes(t, newDesk(stopper), 1, func(t *testing.T, n []*OptOuts) {
		n[0].put(callsign.OptOut{Caller: stopper, PerDay: 5})
		refuses(t, "after a cap that was not kept", n[0], stopper, true, true)
	})
}
