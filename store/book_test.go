package store

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A book does what a slice of its pages in order would, whatever is done to it.
func TestBookAgainstASlice(t *testing.T) {
	type entry struct {
		key, value int
		added      time.Duration
	}
	const limit = 20
	b := newBook[int, int](limit)
	var want []entry
	find := func(k int) int { return slices.IndexFunc(want, func(e entry) bool { return e.key == k }) }
	for step := range 20_000 {
		k, now := rand.IntN(40), time.Duration(step)
		i := find(k)
		switch rand.IntN(6) {
		case 0, 1, 2:
			if i >= 0 {
				want = slices.Delete(want, i, i+1)
			}
			evict := 0
			if len(want) == limit {
				want, evict = want[1:], 1
			}
			want = append(want, entry{k, step, now})
			if got := b.add(k, step, now); got != evict {
				t.Fatalf("step %d: adding %d evicted %d, want %d", step, k, got, evict)
			}
		case 3:
			if i >= 0 {
				want[i].value = -step
			}
			b.set(k, -step)
		case 4:
			if i >= 0 {
				want = slices.Delete(want, i, i+1)
			}
			b.drop(k)
		case 5:
			until := now - time.Duration(rand.IntN(200))
			want = slices.DeleteFunc(want, func(e entry) bool { return e.added <= until })
			b.expire(until)
		}
		for k := range 40 {
			v, ok := b.get(k)
			if i := find(k); ok != (i >= 0) || ok != b.has(k) || ok && v != want[i].value {
				t.Fatalf("step %d: %d is %d, %v; want it at %d of %v", step, k, v, ok, i, want)
			}
		}
		if len(b.at) != len(want) || len(b.pages) > limit+1 {
			t.Fatalf("step %d: %d keys and %d pages, want %d", step, len(b.at), len(b.pages), len(want))
		}
	}
}
