package store

import (
	"math"
	"sync"
	"time"
	"unsafe"

	"github.com/callsign-as/callsign"
)

const (
	shards = 64
	// entryCost is what an entry takes beyond its text: itself, and as measured its place in the index and what growing costs.
	entryCost = int(unsafe.Sizeof(entry{})) + 56
)

// shard is a part of memory: a table of entries in a slab, evicted by CLOCK. It is bounded in bytes; when they don't
// suffice, what wasn't looked at since the hand last passed makes room, and is counted.
type shard struct {
	mu      sync.Mutex
	flights map[callsign.MSISDN]*flight
	index   map[callsign.MSISDN]int32
	slots   []entry
	free    []int32
	hand    int
	bytes   int
	limit   int
}

// entry is a profile with all its strings in one: its only pointer. A free slot has msisdn 0.
type entry struct {
	msisdn      callsign.MSISDN
	rev         uint64        // 0: the number is nobody's
	read        time.Duration // when, since the cache began
	at, expires int64         // microseconds since 1970, 0: none
	stamp       callsign.Stamp
	text        string
	ends        [7]uint16 // where in text each string but the last ends
	generation  uint32
	used        bool // since the hand last passed
}

func (s *shard) open(limit int) {
	s.limit = limit
	s.index = map[callsign.MSISDN]int32{}
	s.flights = map[callsign.MSISDN]*flight{}
}

// shard spreads consecutive numbers (Fibonacci hashing).
func (c *Cached) shard(m callsign.MSISDN) *shard {
	return &c.shards[uint64(m)*0x9e3779b97f4a7c15>>58]
}

func (e *entry) cost() int { return entryCost + len(e.text) }

func (s *shard) get(m callsign.MSISDN) *entry {
	i, ok := s.index[m]
	if !ok {
		return nil
	}
	s.slots[i].used = true
	return &s.slots[i]
}

// put remembers e and tells how many others went for it. What is too large to remember replaces nothing.
func (s *shard) put(e entry) (evicted int) {
	s.drop(e.msisdn)
	if e.msisdn == 0 || e.cost() > s.limit {
		return 0
	}
	for ; s.bytes+e.cost() > s.limit; evicted++ {
		s.evict()
	}
	var i int32
	if n := len(s.free); n > 0 {
		i, s.free = s.free[n-1], s.free[:n-1]
		s.slots[i] = e
	} else {
		i = int32(len(s.slots))
		s.slots = append(s.slots, e)
	}
	s.index[e.msisdn] = i
	s.bytes += e.cost()
	return evicted
}

// evict moves the hand to the next entry that wasn't used since it last passed. There is one, or put wouldn't ask.
func (s *shard) evict() {
	for {
		e := &s.slots[s.hand]
		s.hand = (s.hand + 1) % len(s.slots)
		switch {
		case e.msisdn == 0:
		case e.used:
			e.used = false
		default:
			s.drop(e.msisdn)
			return
		}
	}
}

func (s *shard) drop(m callsign.MSISDN) {
	i, ok := s.index[m]
	if !ok {
		return
	}
	s.bytes -= s.slots[i].cost()
	s.slots[i] = entry{}
	s.free = append(s.free, i)
	delete(s.index, m)
}

// pack makes p, or that m is nobody's, an entry; one without msisdn if it can't be one.
func pack(m callsign.MSISDN, p callsign.Profile, read time.Duration, generation uint32) entry {
	g := &p.Signature
	e := entry{
		msisdn: m, rev: p.Rev, read: read, stamp: g.Stamp, generation: generation,
		at: Micros(g.At), expires: Micros(g.Expires),
	}
	for i, part := range [...]string{p.Tenant, p.Name, g.Network, g.Account, g.Text, g.Shown, g.Lang} {
		e.text += part
		if len(e.text) > math.MaxUint16 {
			return entry{}
		}
		e.ends[i] = uint16(len(e.text))
	}
	e.text += g.Origin
	return e
}

func (e *entry) profile() callsign.Profile {
	from := uint16(0)
	part := func(i int) string {
		s := e.text[from:e.ends[i]]
		from = e.ends[i]
		return s
	}
	return callsign.Profile{
		MSISDN: e.msisdn, Rev: e.rev, Tenant: part(0), Name: part(1),
		Signature: callsign.Signature{
			Network: part(2), Account: part(3), Text: part(4), Shown: part(5), Lang: part(6), Origin: e.text[from:],
			Stamp: e.stamp, At: FromMicros(e.at), Expires: FromMicros(e.expires),
		},
	}
}
