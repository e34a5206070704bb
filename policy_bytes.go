package callsign

import (
	"math/bits"
	"unsafe"
)

// perPolicy is what a policy takes beside what Bytes counts: itself and its time zone, which each has of its own.
const perPolicy = 6 << 10

// Bytes is about what the policy takes of memory, as a subscriber may choose: lists of short items take many times their JSON.
func (c *Compiled) Bytes() int {
	p := &c.Policy
	n := perPolicy + list(p.Pauses) + items(p.Never) + c.never.bytes() + items(p.Holidays) + list(c.calendar.holidays) + list(c.languages) + list(p.Rules) + list(c.Rules)
	n += table[string, []string](len(p.Groups)) + list(c.groups)
	for _, group := range p.Groups {
		n += items(group)
	}
	for i := range c.groups {
		n += table[MSISDN, struct{}](len(c.groups[i].numbers))
	}
	n += table[string, string](len(p.Languages)) + 32*len(p.Languages)
	n += table[string, PolicyText](len(p.Texts)) + table[string, Signature](len(c.Shown))
	for name, t := range p.Texts {
		n += len(name) + len(t.Text) + table[string, string](len(t.Languages))
		for language, text := range t.Languages {
			n += len(language) + len(text)
		}
	}
	for name, s := range c.Shown {
		n += len(name) + len(s.Account) + len(s.Shown) + len(s.Lang) + len(s.Origin)
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		n += len(r.Name) + len(r.Show) + 48 + items(r.Callers) + items(r.Days) + items(r.Dates)
	}
	for i := range c.Rules {
		n += c.Rules[i].callers.bytes() + list(c.Rules[i].window.dates)
	}
	return n
}

func (l *callers) bytes() int { return list(l.numbers) + list(l.spans) }

// list is what a slice takes with the room that it has.
func list[T any](s []T) int {
	var item T
	return cap(s) * int(unsafe.Sizeof(item))
}

// items are a list's with their texts, each of which is allocated.
func items(s []string) int {
	n := list(s)
	for _, item := range s {
		n += (len(item) + 15) &^ 7
	}
	return n
}

// table is what a map of so many takes: slots in powers of two, at least eight, of which at most seven eighths are used.
func table[K comparable, V any](entries int) int {
	if entries == 0 {
		return 48
	}
	var slot struct {
		k K
		v V
	}
	return 48 + (1<<bits.Len(uint(max(7, entries*8/7))))*(int(unsafe.Sizeof(slot))+1)
}
