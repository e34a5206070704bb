package gsmbridge

import (
	"slices"
	"time"
)

// recent keeps values by key for a while, and at most so many: when it is full the oldest go. Several values may have the same
// key. Its owner locks it.
type recent[T any] struct {
	limit, size    int
	keep           time.Duration
	began          time.Time
	byKey          map[string]*kept[T]
	oldest, newest *kept[T]
}

type kept[T any] struct {
	value        T
	key          string
	until        time.Duration // since began
	alike        *kept[T]      // the one of the same key before it
	older, newer *kept[T]
}

func newRecent[T any](limit int, keep time.Duration) *recent[T] {
	return &recent[T]{limit: limit, keep: keep, began: time.Now(), byKey: make(map[string]*kept[T])}
}

// add keeps v, and tells how many values had to go: too old, or for lack of room.
func (r *recent[T]) add(key string, v T, now time.Time) (old, full int) {
	age := now.Sub(r.began)
	for ; r.size > 0 && (r.size >= r.limit || age > r.oldest.until); r.remove(r.oldest) {
		if age > r.oldest.until {
			old++
		} else {
			full++
		}
	}
	k := &kept[T]{value: v, key: key, until: age + r.keep, alike: r.byKey[key], older: r.newest}
	r.byKey[key] = k
	if r.newest == nil {
		r.oldest = k
	} else {
		r.newest.newer = k
	}
	r.newest = k
	r.size++
	return old, full
}

func (r *recent[T]) remove(k *kept[T]) {
	switch first := r.byKey[k.key]; {
	case first != k:
		for first.alike != k {
			first = first.alike
		}
		first.alike = k.alike
	case k.alike != nil:
		r.byKey[k.key] = k.alike
	default:
		delete(r.byKey, k.key)
	}
	if k.older == nil {
		r.oldest = k.newer
	} else {
		k.older.newer = k.newer
	}
	if k.newer == nil {
		r.newest = k.older
	} else {
		k.newer.older = k.older
	}
	r.size--
}

// all are the values that have a key, the oldest first.
func (r *recent[T]) all(key string) (all []*kept[T]) {
	for k := r.byKey[key]; k != nil; k = k.alike {
		all = append(all, k)
	}
	slices.Reverse(all)
	return all
}
