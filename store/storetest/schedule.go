package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

func linked(t *testing.T, e Engine) {
	for i := range 40 {
		put(t, e, ours, anna+callsign.MSISDN(i), [2]string{"im", fmt.Sprint("a", i)}, [2]string{"qq", fmt.Sprint("q", i)})
	}
	put(t, e, theirs, anna+100, [2]string{"im", "a0"})
	keep(t, e, said("im", "a3", "hello", callsign.TimedStamp(noon)), said("im", "a4", "", callsign.Stamp{Epoch: 1, Version: 7}))
	read := func(s callsign.Slice) []callsign.Linked {
		t.Helper()
		all, err := e.Linked(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	everything := callsign.Slice{Network: "im", To: callsign.Phases, Parts: 3, Of: []int{0, 1, 2}}
	all := read(everything)
	byName, phases := map[string]callsign.Linked{}, map[int64]bool{}
	for i, l := range all {
		byName[l.Tenant+"/"+l.Account] = l
		if phases[l.Phase] = true; l.Phase < 0 || l.Phase >= callsign.Phases || i > 0 && l.Phase < all[i-1].Phase {
			t.Errorf("phase %d of %s stands after %d", l.Phase, l.Account, all[max(0, i-1)].Phase)
		}
	}
	if len(byName) != 41 || len(phases) < 35 {
		t.Errorf("%d accounts at %d phases, want 41 nearly apart", len(byName), len(phases))
	}
	for name, want := range map[string]callsign.Linked{
		"theirs/a0": {Tenant: "theirs", Account: "a0"},
		"ours/a1":   {Tenant: "ours", Account: "a1"},
		"ours/a3":   {Tenant: "ours", Account: "a3", Text: "hello", Stamp: callsign.TimedStamp(noon), Said: true},
		"ours/a4":   {Tenant: "ours", Account: "a4", Stamp: callsign.Stamp{Epoch: 1, Version: 7}, Said: true},
	} {
		if want.Phase = byName[name].Phase; byName[name] != want {
			t.Errorf("got %+v, want %+v", byName[name], want)
		}
	}
	// Any cut of the phases and any parting gives each account once.
	cut := all[len(all)/2].Phase
	seen := map[string]int{}
	for _, bounds := range [][2]int64{{0, cut}, {cut, callsign.Phases}} {
		for _, of := range [][]int{{0, 2}, {1}} {
			for _, l := range read(callsign.Slice{Network: "im", From: bounds[0], To: bounds[1], Parts: 3, Of: of}) {
				seen[l.Tenant+"/"+l.Account]++
				if l.Phase < bounds[0] || l.Phase >= bounds[1] || !slices.Contains(of, int(l.Phase%3)) {
					t.Errorf("%+v is not in %v of %v", l, bounds, of)
				}
			}
		}
	}
	for name := range byName {
		if seen[name] != 1 {
			t.Errorf("%s is in %d slices", name, seen[name])
		}
	}
	for what, s := range map[string]callsign.Slice{
		"a network that nobody has": {Network: "x", To: callsign.Phases, Parts: 1, Of: []int{0}},
		"texts set by hand":         {Network: callsign.ManualNetwork, To: callsign.Phases, Parts: 1, Of: []int{0}},
		"no part":                   {Network: "im", To: callsign.Phases, Parts: 1},
		"no phase":                  {Network: "im", Parts: 1, Of: []int{0}},
	} {
		if got := read(s); len(got) != 0 {
			t.Errorf("%s: got %+v", what, got)
		}
	}

	called := func(since time.Time, limit int) []callsign.Linked {
		t.Helper()
		got, err := e.Called(t.Context(), everything, since, limit)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	early, late := event(1, callsign.EventInvite), event(50, callsign.EventInvite)
	late.Call.Callee = anna + 3
	again := event(51, callsign.EventInvite)
	again.Call.Callee = anna + 3
	if err := e.AppendEvents(t.Context(), []callsign.Event{early, late, again}); err != nil {
		t.Fatal(err)
	}
	if got := called(noon.Add(10*time.Second), 10); !slices.Equal(got, []callsign.Linked{byName["ours/a3"]}) {
		t.Errorf("called lately: %+v, want %+v", got, byName["ours/a3"])
	}
	if got := called(noon, 10); len(got) != 2 {
		t.Errorf("called ever: %+v, want two", got)
	}
	if got := called(noon, 1); len(got) != 1 {
		t.Errorf("one of those called: %+v", got)
	}
	if err := e.UnlinkAccount(t.Context(), ours, anna, "im", "a0"); err != nil {
		t.Fatal(err)
	}
	if got := read(everything); len(got) != 40 {
		t.Errorf("%d accounts after one is unlinked, want 40", len(got))
	}
}

// Sharer shares work between nodes.
type Sharer interface {
	Share(ctx context.Context, name string, t callsign.Turn) (held map[int]time.Time, err error)
}

func sharing(t *testing.T, e Engine) { Shares(t, e, e) }

// Shares holds two nodes' way to one place against callsign.Shares.
func Shares(t *testing.T, a, b Sharer) {
	const term = time.Minute
	turn := func(s Sharer, node string, term time.Duration, done map[int]time.Time) map[int]time.Time {
		t.Helper()
		held, err := s.Share(t.Context(), "im", callsign.Turn{Node: node, Parts: 4, Term: term, Done: done})
		if err != nil {
			t.Fatal(err)
		}
		return held
	}
	want := func(got map[int]time.Time, parts ...int) {
		t.Helper()
		if !slices.Equal(slices.Sorted(maps.Keys(got)), parts) {
			t.Errorf("got %v, want the parts %v", got, parts)
		}
	}
	want(turn(a, "a", term, nil), 0, 1, 2, 3)
	want(turn(b, "b", term, nil))
	want(turn(a, "a", term, map[int]time.Time{0: noon, 3: noon.Add(time.Second)}), 0, 1)
	held := turn(b, "b", term, nil)
	want(held, 2, 3)
	if !held[3].Equal(noon.Add(time.Second)) || !held[2].IsZero() {
		t.Errorf("taken over as done up to %v", held)
	}
	if other, err := b.Share(t.Context(), "qq", callsign.Turn{Node: "b", Parts: 1, Term: term}); err != nil || len(other) != 1 {
		t.Errorf("another work: %v, %v", other, err)
	}
	want(turn(a, "a", 0, nil))
	want(turn(b, "b", time.Millisecond, nil), 0, 1, 2, 3) // and then it dies
	for held = turn(a, "a", term, nil); len(held) < 4; held = turn(a, "a", term, nil) {
		if t.Context().Err() != nil {
			t.Fatal("what a dead node had is not taken over")
		}
	}
	if !held[0].Equal(noon) {
		t.Errorf("part 0 is done up to %v, want %v", held[0], noon)
	}
	// Of many at once none has what another has.
	for range 5 {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if _, err := []Sharer{a, b}[i%2].Share(t.Context(), "race", callsign.Turn{Node: fmt.Sprint(i), Parts: 16, Term: term}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	seen := map[int]int{}
	for i := range 8 {
		held, err := a.Share(t.Context(), "race", callsign.Turn{Node: fmt.Sprint(i), Parts: 16, Term: term})
		if err != nil || len(held) != 2 {
			t.Errorf("node %d of 8 has %v, %v, want two of sixteen parts", i, held, err)
		}
		for part := range held {
			seen[part]++
		}
	}
	if len(seen) != 16 {
		t.Errorf("%d parts have a node, want 16", len(seen))
	}
}
