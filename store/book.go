package store

import "time"

// book is a map that forgets: what was added longest ago goes first, when its time is over or when the book is full. Its
// pages stand in one slice and name each other by number: a busy node holds many, and each costs little more than its value.
type book[K comparable, V any] struct {
	limit int
	at    map[K]int32
	pages []page[K, V] // the first is no page: its next is the oldest, its prev the newest, and its number ends every chain
	free  int32        // a page that was dropped; its next is another
}

type page[K comparable, V any] struct {
	key        K
	value      V
	added      time.Duration
	prev, next int32
}

func newBook[K comparable, V any](limit int) book[K, V] {
	return book[K, V]{limit: limit, at: map[K]int32{}, pages: make([]page[K, V], 1)}
}

func (b *book[K, V]) has(k K) bool {
	_, ok := b.at[k]
	return ok
}

func (b *book[K, V]) get(k K) (v V, ok bool) {
	if i, ok := b.at[k]; ok {
		return b.pages[i].value, true
	}
	return v, false
}

// add puts v down as the latest and tells how many others went for it.
func (b *book[K, V]) add(k K, v V, now time.Duration) (evicted int) {
	b.drop(k)
	for ; len(b.at) >= b.limit; evicted++ {
		b.drop(b.pages[b.pages[0].next].key)
	}
	i := b.free
	if i != 0 {
		b.free = b.pages[i].next
	} else {
		i = int32(len(b.pages))
		b.pages = append(b.pages, page[K, V]{})
	}
	last := b.pages[0].prev
	b.pages[i] = page[K, V]{k, v, now, last, 0}
	b.pages[last].next, b.pages[0].prev, b.at[k] = i, i, i
	return evicted
}

// set changes the value of what is there.
func (b *book[K, V]) set(k K, v V) {
	if i, ok := b.at[k]; ok {
		b.pages[i].value = v
	}
}

func (b *book[K, V]) drop(k K) {
	i, ok := b.at[k]
	if !ok {
		return
	}
	p := b.pages[i]
	b.pages[p.prev].next, b.pages[p.next].prev = p.next, p.prev
	b.pages[i] = page[K, V]{next: b.free}
	b.free = i
	delete(b.at, k)
}

// expire drops what was added at that time or before.
func (b *book[K, V]) expire(until time.Duration) {
	for i := b.pages[0].next; i != 0 && b.pages[i].added <= until; i = b.pages[0].next {
		b.drop(b.pages[i].key)
	}
}
