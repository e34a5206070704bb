package gsmbridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A recent does what a slice would, whatever is done to it.
func TestRecentAgainstASlice(t *testing.T) {
	type entry struct {
		key   string
		value int
		until time.Time
	}
	const limit, keep = 10, 20 * time.Second
	r := newRecent[int](limit, keep)
	now := r.began
	var want []entry
	for step := range 20_000 {
		now = now.Add(time.Duration(rand.IntN(3)) * time.Second)
		key := fmt.Sprint(rand.IntN(6))
		if rand.IntN(3) > 0 {
			wantOld, wantFull := 0, 0
			for ; len(want) > 0 && (len(want) >= limit || now.After(want[0].until)); want = want[1:] {
				if now.After(want[0].until) {
					wantOld++
				} else {
					wantFull++
				}
			}
			want = append(want, entry{key, step, now.Add(keep)})
			if old, full := r.add(key, step, now); old != wantOld || full != wantFull {
				t.Fatalf("step %d: %d were too old and %d too many, want %d and %d", step, old, full, wantOld, wantFull)
			}
		} else if all := r.all(key); len(all) > 0 {
			k := all[rand.IntN(len(all))]
			r.remove(k)
			want = slices.DeleteFunc(want, func(e entry) bool { return e.value == k.value })
		}
		for i := range 6 {
			key := fmt.Sprint(i)
			var got, wanted []int
			for _, k := range r.all(key) {
				got = append(got, k.value)
			}
			for _, e := range want {
				if e.key == key {
					wanted = append(wanted, e.value)
				}
			}
			if !slices.Equal(got, wanted) || r.size != len(want) {
				t.Fatalf("step %d: %s has %v, want %v; %d in all, want %d", step, key, got, wanted, r.size, len(want))
			}
		}
	}
}
