package gsmbridge

import (
	"slices"
	"time"
)

// recent keeps values by key for a while, and at most so many: when it is full the oldest go. Several values may have the same
// key. Its owner locks it.
type recent[T any] struct {
	limit int
	keep  time.Duration
	began time.Time
	byKey map[string]*kept[T]
	order []*kept[T] // oldest first
}

type kept[T any] struct {
	value   T
	key     string
	until   time.Duration // since began
	removed bool
	next    *kept[T] // of the same key, the one before
}

func newRecent[T any](limit int, keep time.Duration) *recent[T] {
	return &recent[T]{limit: limit, keep: keep, began: time.Now(), byKey: make(map[string]*kept[T])}
}

// add keeps v, and tells how many values had to go: too old, or for lack of room.
func (r *recent[T]) add(key string, v T, now time.Time) (old, full int) {
	age := now.Sub(r.began)
	for ; len(r.order) > 0 && (r.order[0].removed || len(r.order) >= r.limit || age > r.order[0].until); r.order = r.order[1:] {
		switch oldest := r.order[0]; {
		case oldest.removed:
			continue
		case age > oldest.until:
			old++
		default:
			full++
		}
		r.remove(r.order[0])
	}
	k := &kept[T]{value: v, key: key, until: age + r.keep, next: r.byKey[key]}
	r.byKey[key] = k
	r.order = append(r.order, k)
	return old, full
}

// remove makes k not found any more, and lets go of its value.
func (r *recent[T]) remove(k *kept[T]) {
	var none T
	k.removed, k.value = true, none
	switch first := r.byKey[k.key]; {
	case first != k:
		for first.next != k {
			first = first.next
		}
		first.next = k.next
	case k.next != nil:
		r.byKey[k.key] = k.next
	default:
		delete(r.byKey, k.key)
	}
}

// all are the values that have a key, the oldest first.
func (r *recent[T]) all(key string) (all []*kept[T]) {
	for k := r.byKey[key]; k != nil; k = k.next {
		all = append(all, k)
	}
	slices.Reverse(all)
	return all
}
