package storetest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

func optOut(caller, callee callsign.MSISDN) callsign.OptOut {
	return callsign.OptOut{Tenant: callsign.DefaultTenant, Caller: caller, Callee: callee, At: noon, Origin: "link a\x00"}
}

func optOuts(t *testing.T, e Engine) {
	ctx := t.Context()
	heard, stands := make(chan told, 100), make(chan struct{}, 100)
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- e.Changes(running, func(m callsign.MSISDN, rev uint64) { heard <- told{m, rev} }, func() { stands <- struct{}{} })
	}()
	defer func() {
		cancel()
		<-ended
	}()
	next(t, "the feed to stand", stands)

	out := func(o callsign.OptOut, want bool) {
		t.Helper()
		if changed, err := e.OptOut(ctx, o); err != nil || changed != want {
			t.Errorf("opt out: %v, %v, want %v", changed, err, want)
		}
	}
	in := func(o callsign.OptOut, want bool) {
		t.Helper()
		if changed, err := e.OptIn(ctx, o.Caller, o.Callee); err != nil || changed != want {
			t.Errorf("opt in: %v, %v, want %v", changed, err, want)
		}
	}
	has := func(what string, want ...callsign.OptOut) {
		t.Helper()
		var got []callsign.OptOut
		for after := (callsign.OptOut{}); ; after = got[len(got)-1] {
			page, err := e.OptOuts(ctx, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, page...); len(page) < 2 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	all, one, bens, chloes := optOut(anna, 0), optOut(anna, ben), optOut(ben, 0), optOut(chloe, 0)
	in(all, false)
	for _, o := range []callsign.OptOut{chloes, one, bens, all} {
		out(o, true)
	}
	later := all
	later.At, later.Origin = noon.Add(time.Hour), "another"
	out(later, false)
	has("four", all, one, bens, chloes)
	if got, err := e.OptOutsOf(ctx, anna); err != nil || !slices.Equal(got, []callsign.OptOut{all, one}) {
		t.Errorf("Anna's: %v, %v", got, err)
	}
	in(one, true)
	in(one, false)
	operators := callsign.OptOut{Tenant: theirs.Tenant, Caller: chloe, Callee: anna, At: noon, Origin: callsign.OptOutByOperator + "key"}
	own := optOut(chloe, anna)
	out(operators, true)
	out(operators, false)
	out(own, true)
	out(operators, false)
	if got, err := e.OptOutsOf(ctx, chloe); err != nil || !slices.Equal(got, []callsign.OptOut{chloes, own}) {
		t.Errorf("after an operator and then Chloe herself said it: %v, %v, want hers, which no operator of another tenant takes back", got, err)
	}
	in(own, true)
	for _, want := range []callsign.MSISDN{chloe, anna, ben, anna, anna, chloe, chloe, chloe} {
		if got := next(t, "a change", heard); got != (told{want, 0}) {
			t.Errorf("heard %v, want %v with revision 0", got, want)
		}
	}
	put(t, e, ours, anna)
	if _, err := e.Erase(ctx, ours, anna); err != nil {
		t.Error(err)
	}
	has("after Anna's data are erased", all, bens, chloes)
}

func optOutRace(t *testing.T, e Engine) {
	var all sync.WaitGroup
	var changes atomic.Int32
	for range 8 {
		all.Go(func() {
			changed, err := e.OptOut(t.Context(), optOut(anna, 0))
			if err != nil {
				t.Error(err)
			}
			if changed {
				changes.Add(1)
			}
		})
	}
	all.Wait()
	if n := changes.Load(); n != 1 {
		t.Errorf("%d changed it, want one", n)
	}
}

// optOutMemories has two nodes' memories of one engine: who opts out on one is silenced there at once, on the other soon.
func optOutMemories(t *testing.T, e Engine) {
	if _, err := e.OptOut(t.Context(), optOut(ben, 0)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var nodes [2]*store.OptOuts
	for i := range nodes {
		nodes[i] = store.NewOptOuts(store.OptOutsOptions{Keeper: e})
		if _, known := nodes[i].Refuses(ben, anna); known {
			t.Error("it is known before anything was read")
		}
		running.Go(func() { _ = nodes[i].Run(ctx) })
	}
	soon := func(what string, n *store.OptOuts, m callsign.MSISDN, want bool) {
		t.Helper()
		for began := time.Now(); ; time.Sleep(time.Millisecond) {
			if refused, known := n.Refuses(m, anna); known && refused == want {
				return
			}
			if time.Since(began) > 10*time.Second {
				t.Fatalf("%s: not after 10 s", what)
			}
		}
	}
	for _, n := range nodes {
		soon("loaded", n, ben, true)
	}
	if _, err := nodes[0].OptOut(ctx, optOut(chloe, 0)); err != nil {
		t.Fatal(err)
	}
	if refused, _ := nodes[0].Refuses(chloe, anna); !refused {
		t.Error("the node that took it doesn't obey at once")
	}
	soon("on the other node", nodes[1], chloe, true)
	if _, err := nodes[1].OptIn(ctx, chloe, 0); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		soon("opted in again", n, chloe, false)
		soon("who is another", n, ben, true)
	}
}
