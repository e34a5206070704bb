package main

import (
	"strings"
	"testing"
)

// TestEveryCalleeIsCalledOnce holds what the measurements rest on: a warming pass touches each callee once, and the share of
// calls to those with a text is the one asked for.
func TestEveryCalleeIsCalledOnce(t *testing.T) {
	for name, c := range map[string]struct {
		o           options
		calls       int
		texts, each int // calls to callees with a text; times that each silent one is called
	}{
		"nobody with a text":                {options{silent: 1000, texts: 100}, 1000, 0, 1},
		"each of both":                      {options{silent: 1000, texts: 100, textEvery: 11}, 1100, 100, 1},
		"each of both, twice, begun within": {options{silent: 1000, texts: 100, textEvery: 11, first: 330}, 2200, 200, 2},
		"a number that the step divides":    {options{silent: 3 * 61_803, texts: 10}, 3 * 61_803, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			who, called, texts := newOrder(c.o), map[int]int{}, 0
			for n := range c.calls {
				called[who.callee(n)]++
			}
			for callee, times := range called {
				if callee >= c.o.silent {
					texts += times
				} else if times != c.each {
					t.Fatalf("callee %d is called %d times, want %d", callee, times, c.each)
				}
			}
			if texts != c.texts || len(called) < c.o.silent {
				t.Errorf("%d calls to callees with a text, want %d; %d callees in all, want at least %d", texts, c.texts, len(called), c.o.silent)
			}
		})
	}
}

func TestAnINVITEIsItsCallsOwn(t *testing.T) {
	m := newMaker("127.77.0.1:6060", "<sip:odi@127.77.0.3:6060;lr>", newOrder(options{silent: 1000, texts: 100, first: 1}))
	first := string(m.invite(0))
	second := string(m.invite(123_456_789))
	if strings.Contains(second, "@@") || strings.Contains(second, "{") || len(first) != len(second) {
		t.Errorf("a mark is left, or the length changed:\n%s", second)
	}
	if got := m.number([]byte(second)); got != 123_456_789 {
		t.Errorf("its number is read as %d", got)
	}
	if n := strings.Count(second, "000000000"); n > 0 {
		t.Errorf("the first call's number stands in the second's %d times", n)
	}
	if got := m.number(answer(nil, []byte(second), "180 Ringing", nil)); got != 123_456_789 {
		t.Errorf("its answer's number is read as %d", got)
	}
}
