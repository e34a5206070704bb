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
	kept   map[[2]callsign.MSISDN]bool
	feeds  map[chan callsign.MSISDN]struct{}
	away   error
	paused chan struct{} // a reading waits until it is closed; nil: it doesn't
}

func newDesk(callers ...callsign.MSISDN) *desk {
	d := &desk{kept: map[[2]callsign.MSISDN]bool{}, feeds: map[chan callsign.MSISDN]struct{}{}}
	for _, m := range callers {
		d.kept[[2]callsign.MSISDN{m, 0}] = true
	}
	return d
}

func (d *desk) set(caller, callee callsign.MSISDN, out bool) (changed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away != nil {
		return false, d.away
	}
	k := [2]callsign.MSISDN{caller, callee}
	changed = d.kept[k] != out
	if d.kept[k] = out; !out {
		delete(d.kept, k)
	}
	for f := range d.feeds {
		f <- caller
	}
	return changed, nil
}

func (d *desk) OptOut(_ context.Context, o callsign.OptOut) (bool, error) {
	return d.set(o.Caller, o.Callee, true)
}

func (d *desk) OptIn(_ context.Context, caller, callee callsign.MSISDN) (bool, error) {
	return d.set(caller, callee, false)
}

func (d *desk) OptOuts(ctx context.Context, after callsign.OptOut, limit int) (page []callsign.OptOut, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k := range d.kept {
		if k[0] > after.Caller || k[0] == after.Caller && k[1] > after.Callee {
			page = append(page, callsign.OptOut{Caller: k[0], Callee: k[1]})
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
	for k := range d.kept {
		if k[0] == caller {
			all = append(all, callsign.OptOut{Caller: k[0], Callee: k[1]})
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
	if refused, known := o.Refuses(caller, 8613800000000); refused != want || known != wantKnown {
		t.Errorf("%s: refused %t, known %t; want %t, %t", when, refused, known, want, wantKnown)
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
		if _, err := d.set(talker, 0, true); err != nil { // by a node whose feed nobody had
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
		if changed, err := n[1].OptIn(t.Context(), stopper, 0); !changed || err != nil {
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
		if refused, _ := n[0].Refuses(stopper, talker); !refused {
			t.Error("this callee's are not refused")
		}
	})
}
