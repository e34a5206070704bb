package store

import (
	"container/list"
	"time"
)

// book is a map that forgets: what was added longest ago goes first, when its time is over or when the book is full.
type book[K comparable, V any] struct {
	limit int
	pages map[K]*list.Element
	order *list.List // of page[K, V], the last added at the back
}

type page[K comparable, V any] struct {
	key   K
	value V
	added time.Duration
}

func newBook[K comparable, V any](limit int) book[K, V] {
	return book[K, V]{limit, map[K]*list.Element{}, list.New()}
}

func (b *book[K, V]) has(k K) bool {
	_, ok := b.pages[k]
	return ok
}

func (b *book[K, V]) get(k K) (v V, ok bool) {
	if e, ok := b.pages[k]; ok {
		return e.Value.(*page[K, V]).value, true
	}
	return v, false
}

// add puts v down as the latest and tells how many others went for it.
func (b *book[K, V]) add(k K, v V, now time.Duration) (evicted int) {
	b.drop(k)
	for ; len(b.pages) >= b.limit; evicted++ {
		b.drop(b.order.Front().Value.(*page[K, V]).key)
	}
	b.pages[k] = b.order.PushBack(&page[K, V]{k, v, now})
	return evicted
}

// set changes the value of what is there.
func (b *book[K, V]) set(k K, v V) {
	if e, ok := b.pages[k]; ok {
		e.Value.(*page[K, V]).value = v
	}
}

func (b *book[K, V]) drop(k K) {
	if e, ok := b.pages[k]; ok {
		b.order.Remove(e)
		delete(b.pages, k)
	}
}

// expire drops what was added at that time or before.
func (b *book[K, V]) expire(until time.Duration) {
	for e := b.order.Front(); e != nil; e = b.order.Front() {
		p := e.Value.(*page[K, V])
		if p.added > until {
			return
		}
		b.drop(p.key)
	}
}
