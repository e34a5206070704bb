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

// capped is what an operator takes for a caller who wants perDay texts.
func capped(caller, callee callsign.MSISDN, perDay int) callsign.OptOut {
	return callsign.OptOut{Tenant: callsign.DefaultTenant, Caller: caller, Callee: callee, At: noon, Origin: callsign.OptOutByOperator + "key", PerDay: perDay}
}

func callersCaps(t *testing.T, e Engine) {
	others := func(o callsign.OptOut) callsign.OptOut { o.Tenant = theirs.Tenant; return o }
	for sentence, c := range map[string]struct {
		put  []callsign.OptOut // of which the last is asked about
		kept bool              // it took the place of what was there
	}{
		"a cap is kept":                              {[]callsign.OptOut{capped(anna, 0, 1000)}, true},
		"beside one of one callee":                   {[]callsign.OptOut{capped(anna, ben, 1), capped(anna, 0, 3)}, true},
		"the same is no change":                      {[]callsign.OptOut{capped(anna, 0, 3), capped(anna, 0, 3)}, false},
		"a tenant makes its own stricter":            {[]callsign.OptOut{capped(anna, 0, 3), capped(anna, 0, 2)}, true},
		"and less strict":                            {[]callsign.OptOut{capped(anna, 0, 0), capped(anna, 0, 2)}, true},
		"another makes it stricter":                  {[]callsign.OptOut{capped(anna, 0, 3), others(capped(anna, 0, 2))}, true},
		"but not less strict":                        {[]callsign.OptOut{capped(anna, 0, 3), others(capped(anna, 0, 4))}, false},
		"least of all where none is wanted":          {[]callsign.OptOut{capped(anna, 0, 0), others(capped(anna, 0, 4))}, false},
		"STOP takes a cap's place":                   {[]callsign.OptOut{others(capped(anna, 0, 3)), optOut(anna, 0)}, true},
		"and that of an operator's no more":          {[]callsign.OptOut{capped(anna, 0, 0), optOut(anna, 0)}, true},
		"no cap takes STOP's place":                  {[]callsign.OptOut{optOut(anna, 0), capped(anna, 0, 3)}, false},
		"nor does what its own tenant says later on": {[]callsign.OptOut{capped(anna, 0, 3), optOut(anna, 0), capped(anna, 0, 4)}, false},
	} {
		if _, err := e.OptInAll(t.Context(), anna); err != nil {
			t.Fatal(err)
		}
		var kept bool
		var err error
		stands := map[callsign.MSISDN]callsign.OptOut{}
		for _, o := range c.put {
			if kept, err = e.OptOut(t.Context(), o); err != nil {
				t.Fatalf("%s: %v", sentence, err)
			}
			if kept {
				stands[o.Callee] = o
			}
		}
		got, err := e.OptOutsOf(t.Context(), anna)
		if kept != c.kept || err != nil || len(got) != len(stands) {
			t.Errorf("%s: kept %v, %v: %+v, want %v", sentence, kept, err, got, c.kept)
		}
		for _, o := range got {
			if o != stands[o.Callee] {
				t.Errorf("%s: there is %+v, want %+v", sentence, o, stands[o.Callee])
			}
		}
	}
	for _, perDay := range []int{-1, 1001} {
		if _, err := e.OptOut(t.Context(), capped(ben, 0, perDay)); err == nil {
			t.Errorf("%d a day is kept", perDay)
		}
	}
	if _, err := e.OptOut(t.Context(), optOut(chloe, 0)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if changed, err := e.OptInAll(t.Context(), anna); changed != want || err != nil {
			t.Errorf("opt in to all: %v, %v, want %v", changed, err, want)
		}
	}
	if got, err := e.OptOuts(t.Context(), callsign.OptOut{}, 10); err != nil || len(got) != 1 || got[0].Caller != chloe {
		t.Errorf("once Anna wants all again there are %+v, %v, want Chloe's", got, err)
	}
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
		if changed, err := e.OptIn(ctx, o); err != nil || changed != want {
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
	in(operators, false) // what its tenant read, before Chloe said it herself
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
		if _, known := nodes[i].Wants(ben, anna); known {
			t.Error("it is known before anything was read")
		}
		running.Go(func() { _ = nodes[i].Run(ctx) })
	}
	soon := func(what string, n *store.OptOuts, m callsign.MSISDN, want callsign.Wants) {
		t.Helper()
		for began := time.Now(); ; time.Sleep(time.Millisecond) {
			if wants, known := n.Wants(m, anna); known && wants == want {
				return
			}
			if time.Since(began) > 10*time.Second {
				t.Fatalf("%s: not after 10 s", what)
			}
		}
	}
	none := callsign.Wants{None: true}
	for _, n := range nodes {
		soon("loaded", n, ben, none)
	}
	for _, step := range []struct {
		what string
		put  callsign.OptOut
		want callsign.Wants
	}{
		{"at most ten a day", capped(chloe, 0, 10), callsign.Wants{PerDay: 10}},
		{"of one callee two", capped(chloe, anna, 2), callsign.Wants{PerDay: 10, PerCallee: 2}},
		{"and no more", optOut(chloe, 0), callsign.Wants{None: true, PerCallee: 2}},
	} {
		if _, err := nodes[0].OptOut(ctx, step.put); err != nil {
			t.Fatal(err)
		}
		if wants, _ := nodes[0].Wants(chloe, anna); wants != step.want {
			t.Errorf("%s: the node that took it doesn't obey at once: %+v", step.what, wants)
		}
		soon(step.what+", on the other node", nodes[1], chloe, step.want)
	}
	if _, err := nodes[1].OptInAll(ctx, chloe); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		soon("opted in again", n, chloe, callsign.Wants{})
		soon("who is another", n, ben, none)
	}
}
