package callsign_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callsign-as/callsign"
)

func TestPartsAreSharedFairly(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const term = 6 * time.Second
	turn := func(node string, term time.Duration) callsign.Turn {
		return callsign.Turn{Node: node, Parts: 4, Term: term}
	}
	for name, test := range map[string]struct {
		turns func(s *callsign.Shares) map[int]time.Time
		want  []int
	}{
		"a node alone has all": {func(s *callsign.Shares) map[int]time.Time { return s.Take(turn("a", term), now) }, []int{0, 1, 2, 3}},
		"a second one gets none before the first gave some up": {func(s *callsign.Shares) map[int]time.Time {
			s.Take(turn("a", term), now)
			return s.Take(turn("b", term), now)
		}, nil},
		"and half after that": {func(s *callsign.Shares) map[int]time.Time {
			s.Take(turn("a", term), now)
			s.Take(turn("b", term), now)
			s.Take(turn("a", term), now)
			return s.Take(turn("b", term), now)
		}, []int{2, 3}},
		"of one that dies all is taken over at its term's end": {func(s *callsign.Shares) map[int]time.Time {
			s.Take(turn("a", term), now)
			return s.Take(turn("b", term), now.Add(term))
		}, []int{0, 1, 2, 3}},
		"and none a moment before": {func(s *callsign.Shares) map[int]time.Time {
			s.Take(turn("a", term), now)
			return s.Take(turn("b", term), now.Add(term-1))
		}, nil},
		"one that stops gives all back at once": {func(s *callsign.Shares) map[int]time.Time {
			s.Take(turn("a", term), now)
			if held := s.Take(turn("a", 0), now); len(held) > 0 {
				return held
			}
			return s.Take(turn("b", term), now)
		}, []int{0, 1, 2, 3}},
		"fewer parts than before": {func(s *callsign.Shares) map[int]time.Time {
			s.Take(turn("a", term), now)
			return s.Take(callsign.Turn{Node: "a", Parts: 1, Term: term}, now)
		}, []int{0}},
	} {
		s := &callsign.Shares{}
		if got := slices.Sorted(maps.Keys(test.turns(s))); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

// Whatever nodes do and whenever they die: no part has two, each that is alive has its fair share once all have asked
// twice, and how far a part is done is never lost.
func TestNoPartHasTwoNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s callsign.Shares
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		parts := rapid.IntRange(1, 20).Draw(t, "parts")
		const term = 6 * time.Second
		type holding struct {
			parts map[int]time.Time
			until time.Time
		}
		nodes := map[string]holding{}
		done := map[int]time.Time{}
		ask := func(node string, term time.Duration) {
			told := map[int]time.Time{}
			for part := range nodes[node].parts {
				if now.Before(nodes[node].until) {
					told[part], done[part] = now, now
				}
			}
			raw, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			s = callsign.Shares{}
			if err := json.Unmarshal(raw, &s); err != nil {
				t.Fatal(err)
			}
			held := s.Take(callsign.Turn{Node: node, Parts: parts, Term: term, Done: told}, now)
			nodes[node] = holding{held, now.Add(term)}
			for part, at := range held {
				if !at.Equal(done[part]) {
					t.Fatalf("part %d is said to be done up to %v, it is up to %v", part, at, done[part])
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"ask":   func(t *rapid.T) { ask(fmt.Sprint(rapid.IntRange(1, 5).Draw(t, "node")), term) },
			"leave": func(t *rapid.T) { ask(fmt.Sprint(rapid.IntRange(1, 5).Draw(t, "node")), 0) },
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 7000).Draw(t, "ms")) * time.Millisecond)
			},
			"": func(t *rapid.T) {
				has := map[int]string{}
				for node, h := range nodes {
					for part := range h.parts {
						if !now.Before(h.until) {
							continue
						}
						if other, taken := has[part]; taken {
							t.Fatalf("part %d has %s and %s", part, node, other)
						}
						has[part] = node
					}
				}
			},
		})
		alive := []string{}
		for node, h := range nodes {
			if now.Before(h.until) {
				alive = append(alive, node)
			}
		}
		if len(alive) == 0 {
			return
		}
		for range 2 {
			for _, node := range alive {
				ask(node, term)
			}
		}
		all := 0
		for _, node := range alive {
			n := len(nodes[node].parts)
			if all += n; n > (parts+len(alive)-1)/len(alive) {
				t.Fatalf("%s has %d of %d parts among %d nodes", node, n, parts, len(alive))
			}
		}
		if all != parts {
			t.Fatalf("%d of %d parts have a node", all, parts)
		}
	})
}
