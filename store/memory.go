package store

import (
	"math/bits"
	"sync"
	"time"
	"unsafe"

	"github.com/callsign-as/callsign"
)

const (
	shards = 64
	// entryCost is what an entry takes beyond its packed profile: itself, its place in the index, and as measured what growing
	// and the sizes of allocations cost.
	entryCost = int(unsafe.Sizeof(entry{})) + 24
	// maxPacked is the largest profile that is remembered.
	maxPacked = 128 << 10
	// maxSlots is what the index can tell apart.
	maxSlots = 1 << 24
)

// shard is a part of memory: entries in a slab, an index over it with open addressing, and SIEVE over both: entries stand in
// the order in which they came, and when the bytes don't suffice a hand goes from the oldest to the newest, forgets a mark
// where it finds one, and evicts the first entry without. So what is looked at once goes soon, and a look moves nothing.
type shard struct {
	mu       sync.Mutex
	flights  map[callsign.MSISDN]*flight
	policies map[callsign.MSISDN]*callsign.Compiled // of the entries that have one
	index    []uint32                               // by hash: 8 more bits of it, and 24 of a slot; 0: free
	slots    []entry                                // the first is no entry: the oldest stands behind it, the newest before it
	free     uint32                                 // the first of the slots that are free, which stand behind each other; 0: none
	hand     uint32                                 // the slot that is looked at next; 0: the oldest's
	entries  int
	bytes    int
	limit    int
}

// entry is what is remembered of a number. Its packed profile is its only pointer.
type entry struct {
	msisdn         callsign.MSISDN
	rev            uint64 // 0: the number is nobody's
	packed         string
	read           int32 // when, in seconds since the cache began
	generation     uint32
	older, younger uint32 // slots
	marked         bool   // it was looked at since the hand last passed
	compiled       uint32 // what its policy takes beside its packed form; 0: it has none
}

func (s *shard) open(limit int) {
	s.limit = min(limit, (maxSlots-1)*entryCost)
	s.index, s.slots = make([]uint32, 8), make([]entry, 1)
	s.flights, s.policies = map[callsign.MSISDN]*flight{}, map[callsign.MSISDN]*callsign.Compiled{}
}

// hash spreads numbers, which are mostly consecutive, over all bits.
func hash(m callsign.MSISDN) uint64 {
	high, low := bits.Mul64(uint64(m)^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	return high ^ low
}

func (c *Cached) shard(m callsign.MSISDN) *shard { return &c.shards[hash(m)>>58] }

func (e *entry) cost() int {
	return entryCost + len(e.packed) + int(e.compiled)
}

func (e *entry) since() time.Duration { return time.Duration(e.read) * time.Second }

// place is where m stands in the index, or the free place at which looking for it ends.
func (s *shard) place(m callsign.MSISDN) (at int, found bool) {
	h, last := hash(m), len(s.index)-1
	for at = int(h) & last; s.index[at] != 0; at = (at + 1) & last {
		if uint8(s.index[at]>>24) == uint8(h>>50) && s.slots[s.index[at]%maxSlots].msisdn == m {
			return at, true
		}
	}
	return at, false
}

// get is m's entry, until the next put.
func (s *shard) get(m callsign.MSISDN) *entry {
	at, found := s.place(m)
	if !found {
		return nil
	}
	return &s.slots[s.index[at]%maxSlots]
}

// put remembers e with its policy, if it has one, and tells how many others went for it. What is too large to remember replaces nothing.
func (s *shard) put(e entry, policy *callsign.Compiled) (evicted int) {
	s.drop(e.msisdn)
	if policy != nil {
		e.compiled = uint32(policy.Bytes())
	}
	if e.msisdn == 0 || len(e.packed) > maxPacked || e.cost() > s.limit {
		return 0
	}
	for ; s.bytes+e.cost() > s.limit; evicted++ {
		s.evict()
	}
	if policy != nil {
		s.policies[e.msisdn] = policy
	}
	slot := s.free
	if slot == 0 {
		slot = uint32(len(s.slots))
		s.slots = append(s.slots, entry{})
	}
	s.free = s.slots[slot].younger
	e.older, e.younger = s.slots[0].older, 0
	s.slots[slot] = e
	s.slots[e.older].younger, s.slots[0].older = slot, slot
	s.bytes += e.cost()
	s.entries++
	if s.entries*4 > len(s.index)*3 {
		s.reindex(2 * len(s.index))
		return evicted
	}
	at, _ := s.place(e.msisdn)
	s.index[at] = word(e.msisdn, slot)
	return evicted
}

// word is what the index has of a number in a slot.
func word(m callsign.MSISDN, slot uint32) uint32 { return uint32(uint8(hash(m)>>50))<<24 | slot }

func (s *shard) reindex(size int) {
	s.index = make([]uint32, size)
	for slot := s.slots[0].younger; slot != 0; slot = s.slots[slot].younger {
		m := s.slots[slot].msisdn
		at, _ := s.place(m)
		s.index[at] = word(m, slot)
	}
}

// evict is called when there are entries.
func (s *shard) evict() {
	for {
		if s.hand == 0 {
			s.hand = s.slots[0].younger
		}
		e := &s.slots[s.hand]
		if !e.marked {
			s.drop(e.msisdn)
			return
		}
		e.marked = false
		s.hand = e.younger
	}
}

// drop forgets m, if it is there.
func (s *shard) drop(m callsign.MSISDN) {
	at, found := s.place(m)
	if !found {
		return
	}
	slot := s.index[at] % maxSlots
	e := &s.slots[slot]
	s.bytes -= e.cost()
	s.entries--
	if e.compiled > 0 {
		delete(s.policies, m)
	}
	s.slots[e.older].younger, s.slots[e.younger].older = e.younger, e.older
	if s.hand == slot {
		s.hand = e.younger
	}
	// Those who stand behind because this place was taken move up.
	last := len(s.index) - 1
	for next := (at + 1) & last; s.index[next] != 0; next = (next + 1) & last {
		home := int(hash(s.slots[s.index[next]%maxSlots].msisdn)) & last
		if (next-home)&last >= (next-at)&last {
			s.index[at], at = s.index[next], next
		}
	}
	s.index[at] = 0
	*e = entry{younger: s.free}
	s.free = slot
}
